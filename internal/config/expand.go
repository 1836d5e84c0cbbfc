package config

import (
	"errors"
	"strconv"
	"strings"
)

// Expand replaces {generation} by the number and {fd.NAME} by the number of
// the endpoint's file descriptor in the child, as fd tells it (nil: there are
// no endpoints). All other braces stay as they are: JSON and shell code have
// many. What was put in is not looked at again.
func Expand(s string, generation int, fd func(name string) (int, bool)) (string, error) {
	if !strings.Contains(s, "{") {
		return s, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		s = after
		inner, rest, closed := strings.Cut(after, "}")
		name, isFD := strings.CutPrefix(inner, "fd.")
		switch {
		case closed && inner == "generation":
			b.WriteString(strconv.Itoa(generation))
			s = rest
		case closed && isFD && endpointName(name):
			n, ok := 0, false
			if fd != nil {
				n, ok = fd(name)
			}
			if !ok {
				return "", errors.New("cannot replace {fd." + oneLine(name) + "}: no endpoint is named " + quote(name) + ", see SWAPINIT_LISTEN")
			}
			b.WriteString(strconv.Itoa(n))
			s = rest
		default:
			b.WriteByte('{')
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
