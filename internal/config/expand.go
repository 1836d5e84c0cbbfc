package config

import (
	"errors"
	"strconv"
	"strings"
)

// Expand replaces {generation} by the number and {fd.NAME} by the number of
// the endpoint's file descriptor in the child, as fd tells it (nil: there are
// no endpoints). All other braces stay as they are: JSON and shell code have
// many. So does what follows a $, as in a shell's ${generation}, and what follows a
// backslash, which is removed. What was put in is not looked at again.
func Expand(s string, generation int, fd func(name string) (int, bool)) (string, error) {
	if !strings.Contains(s, "{") {
		return s, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "{")
		inner, rest, closed := strings.Cut(after, "}")
		name, isFD := strings.CutPrefix(inner, "fd.")
		isFD = isFD && endpointName(name)
		template := closed && (isFD || inner == "generation")
		literal, escaped := strings.CutSuffix(before, "\\")
		if template && escaped {
			before = literal
		}
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		s = after
		switch {
		case !template || escaped || strings.HasSuffix(before, "$"):
			b.WriteByte('{')
		case isFD:
			n, ok := 0, false
			if fd != nil {
				n, ok = fd(name)
			}
			if !ok {
				return "", errors.New("cannot replace {fd." + oneLine(name) + "}: no endpoint is named " + quote(name) + ", see SWAPINIT_LISTEN; a backslash before it leaves it as it is")
			}
			b.WriteString(strconv.Itoa(n))
			s = rest
		default:
			b.WriteString(strconv.Itoa(generation))
			s = rest
		}
	}
}

// endpointName says whether an endpoint could have that name. White space ends
// an endpoint in SWAPINIT_LISTEN; more braces belong to something else.
func endpointName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '{' {
			return false
		}
	}
	return s != ""
}
