package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
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
	Accepts  string // what would be right; "" when Problem says it all
}

// Error is one line.
func (e *ValueError) Error() string {
	text := oneLine(e.Problem)
	if e.Accepts != "" {
		if text != "" {
			text += "; "
		}
		text += "want " + e.Accepts
	}
	return "cannot use " + plain(e.Variable) + "=" + quote(e.Value) + ": " + text
}

// ExitStatus of swapinit after this error.
func (e *ValueError) ExitStatus() int { return ExitStatus }

// UsageError is a command line that is not accepted.
type UsageError struct {
	Problem string // one line
}

// Error is one line.
func (e *UsageError) Error() string { return e.Problem }

// ExitStatus of swapinit after this error.
func (e *UsageError) ExitStatus() int { return ExitStatus }

// quote shows input in an error: quoted, escaped, cut.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:runeStart(s, maxQuoted)]) + "..."
	}
	return strconv.Quote(s)
}

// plain shows a name as it is when it is harmless, quoted otherwise.
func plain(name string) string {
	if len(name) <= maxQuoted && validKey(name) {
		return name
	}
	return quote(name)
}

// oneLine makes the message of somebody else's error safe: if it holds
// anything that is not printable it is escaped, and it is cut.
func oneLine(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, notPrintable) {
		s = strconv.Quote(s)
		s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
	}
	if len(s) > maxDetail {
		s = s[:runeStart(s, maxDetail)] + "..."
	}
	return s
}

func notPrintable(r rune) bool { return !strconv.IsPrint(r) }

// runeStart is the largest cut <= n that splits no character of s, if s is
// UTF-8. n < len(s).
func runeStart(s string, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n
}

// nameByte says whether c can stand in the name of an environment variable.
func nameByte(c byte) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}
