package text

import (
	"strconv"
	"strings"
)

// Sprintf is fmt.Sprintf for %s, %v, %d and %w, which print as %v does there, %q of what is
// text, and %%. fmt is 74 KB of the binary. Arguments are an error, one with a String
// method, a string, bytes, an integer or a bool; a test in test/lint holds all calls to that.
func Sprintf(format string, args ...any) string {
	s, _ := formatted(format, args)
	return s
}

// Errorf is an error with the text of Sprintf that wraps the arguments of each %w.
func Errorf(format string, args ...any) error {
	s, wrapped := formatted(format, args)
	return &wrapper{s, wrapped}
}

type wrapper struct {
	text string
	errs []error
}

func (w *wrapper) Error() string   { return w.text }
func (w *wrapper) Unwrap() []error { return w.errs }

func formatted(format string, args []any) (s string, wrapped []error) {
	var b []byte
	for {
		before, rest, found := strings.Cut(format, "%")
		b = append(b, before...)
		if !found {
			return string(b), wrapped
		}
		if rest == "" || rest[0] == '%' || len(args) == 0 {
			b = append(b, '%')
		} else {
			if err, ok := args[0].(error); ok && rest[0] == 'w' {
				wrapped = append(wrapped, err)
			}
			if s := shown(args[0]); rest[0] == 'q' {
				b = strconv.AppendQuote(b, s)
			} else {
				b = append(b, s...)
			}
			args = args[1:]
		}
		format = rest[min(1, len(rest)):]
	}
}

// shown is an argument as %v prints it.
func shown(arg any) string {
	switch v := arg.(type) {
	case error:
		return v.Error()
	case interface{ String() string }:
		return v.String()
	case string:
		return v
	case []byte:
		return string(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return "<nil>" // as fmt prints an error that is none
}
