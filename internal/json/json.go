// Package json has what the parser that swapinit uses (fastjson) lacks: it lets
// pass what is not JSON, some text is dear to it, and it escapes as Go does.
package json

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// Check tells what is wrong with b, as in "it is not JSON", "" if nothing is, and
// about how many values it has; more than most levels of lists and objects are
// wrong too. It looks for what fastjson lets pass, control characters before an
// escape above all, and for what is dear to it: deep nesting, and an unknown
// word, of which it makes an error with the whole rest of the text at each level.
func Check(b []byte, most int) (values int, wrong string) {
	const no = "is not JSON"
	if len(b) == 0 {
		return 0, no // fastjson makes an error of it, and there may be millions
	}
	if !utf8.Valid(b) {
		return 0, "is not UTF-8"
	}
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
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
			if depth++; depth > most {
				return 0, "nests deeper than " + strconv.Itoa(most)
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		case c > 'e':
			n := word(b[i:])
			if n == 0 {
				return 0, no
			}
			i += n - 1
		}
	}
	if fastjson.ValidateBytes(b) != nil {
		return 0, no
	}
	return values, ""
}

// word is the length of the literal that b begins with, or 0.
func word(b []byte) int {
	for _, literal := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(b, []byte(literal)) {
			return len(literal)
		}
	}
	return 0
}

// HalfPair reports whether a string in the JSON b has a \u escape that is half of
// a surrogate pair, which no UTF-8 stands for.
func HalfPair(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if r := escaped(b[i:]); utf16.IsSurrogate(r) {
			if utf16.DecodeRune(r, escaped(b[i+6:])) == utf8.RuneError {
				return true
			}
			i += 6
		}
		i++
	}
	return false
}

// escaped is the UTF-16 unit of a \uXXXX at the beginning of b, or 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	u, _ := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(u)
}

const ellipsis = "…"

// AppendString appends a JSON string (RFC 8259) of at most this many bytes between
// the quotes, cut between characters. Whatever does not print is \u-escaped, also
// where JSON would not ask for it: a terminal may show it. Bytes that are not
// UTF-8 become U+FFFD.
func AppendString(b []byte, s string, most int) []byte {
	b = append(b, '"')
	start := len(b)
	for _, r := range s {
		before := len(b)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case strconv.IsPrint(r):
			b = utf8.AppendRune(b, r)
		default:
			const hex = "0123456789abcdef"
			for _, u := range utf16.AppendRune(nil, r) {
				b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
		if len(b)-start > most-len(ellipsis) {
			b = append(b[:before], ellipsis...)
			break
		}
	}
	return append(b, '"')
}
