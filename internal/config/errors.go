package config

import (
	"strings"

	"github.com/swapinit/swapinit/internal/text"
)

// ExitStatus is what swapinit exits with after any error of this package.
const ExitStatus = 125

const (
	maxQuoted = 64  // bytes of a value shown in an error
	maxDetail = 400 // bytes of another package's message shown in an error
)

// ValueError is a setting whose name or value is not accepted.
type ValueError struct {
	Variable string // the whole name; as given, so perhaps not printable
	Value    string // as given, or the default
	Problem  string // what is wrong; "" when Accepts says it all
	Accepts  string // what would be right; "" when Problem says it all, not shown when that is a question
}

// Error is one line.
func (e *ValueError) Error() string {
	problem := oneLine(e.Problem)
	if e.Accepts != "" && !strings.HasSuffix(problem, "?") {
		if problem != "" {
			problem += "; "
		}
		problem += "want " + e.Accepts
	}
	return "cannot use " + plain(e.Variable) + "=" + quote(e.Value) + ": " + problem
}

// UsageError is a command line that is not accepted.
type UsageError struct {
	Problem string // one line
}

// Error is one line.
func (e *UsageError) Error() string { return e.Problem }

// quote shows input in an error: quoted, escaped, cut.
func quote(s string) string { return text.Quote(s, maxQuoted) }

// plain shows a name as it is when it is harmless, quoted otherwise.
func plain(name string) string {
	if len(name) <= maxQuoted && validKey(name) {
		return name
	}
	return quote(name)
}

// oneLine makes the message of somebody else's error safe.
func oneLine(s string) string { return text.Clip(text.Escape(s), maxDetail) }
