package channel

import (
	"bytes"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// depthMax bounds the stack that a line takes to check.
const depthMax = 64

// check tells why line is not JSON, and about how many values it has. It looks
// for what fastjson lets pass, control characters before an escape above all,
// and for what is dear to it: deep nesting, and an unknown word, of which it
// makes an error with the whole rest of the line at each level.
func check(line []byte) (values int, reason string) {
	const no = "a line is not JSON"
	if !utf8.Valid(line) {
		return 0, "a line is not UTF-8"
	}
	depth, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++ // what is escaped ends no string
			} else if c < ' ' {
				return 0, no
			}
		case c == '{' || c == '[':
			values++
			if depth++; depth > depthMax {
				return 0, "a line nests deeper than 64"
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		case c > 'e':
			n := word(line[i:])
			if n == 0 {
				return 0, no
			}
			i += n - 1
		}
	}
	if fastjson.ValidateBytes(line) != nil {
		return 0, no
	}
	return values, ""
}

// word is the length of the literal that b begins with, or 0.
func word(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("true")), bytes.HasPrefix(b, []byte("null")):
		return 4
	case bytes.HasPrefix(b, []byte("false")):
		return 5
	}
	return 0
}
