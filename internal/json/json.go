// Package json reads and writes JSON (RFC 8259): strictly, within limits, and without
// reflection. A text is checked as a whole; its values are then found in it as they stand.
package json

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// HalfPair reports whether a string in the JSON b has a \u escape that is half of
// a surrogate pair, which no UTF-8 stands for.
func HalfPair(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if r, _ := escaped(b[i:]); utf16.IsSurrogate(r) {
			if low, _ := escaped(b[i+6:]); utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			i += 6
		}
		i++
	}
	return false
}

// escaped is the UTF-16 unit of a \uXXXX at the beginning of b.
func escaped(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(u), err == nil
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
