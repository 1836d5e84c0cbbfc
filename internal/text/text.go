// Package text makes text from elsewhere fit for a message: one line that can
// neither steer a terminal nor fill it.
package text

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const ellipsis = "…"

// Quote quotes s as Go does, of a longer s the first most bytes.
func Quote(s string, most int) string {
	if len(s) > most {
		return strconv.Quote(Cut(s, most)) + ellipsis
	}
	return strconv.Quote(s)
}

// Escape makes one line: control and format characters (C0, C1, DEL, line
// separators, bidirectional overrides) and bytes that are not UTF-8 become Go
// escapes such as \n, \x1b, \u202e. A backslash stays as it is: the result is for
// reading, not for parsing.
func Escape(s string) string {
	q := strconv.Quote(s)
	var b []byte
	for i := 1; i < len(q)-1; i++ {
		if q[i] == '\\' && (q[i+1] == '\\' || q[i+1] == '"') {
			i++
		}
		b = append(b, q[i])
	}
	return string(b)
}

// Clip shortens s to at most this many bytes, the ellipsis among them.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return Cut(s, most-len(ellipsis)) + ellipsis
}

// Cut is the first n bytes of s, which has more, or a few less in order to split
// no character.
func Cut(s string, n int) string {
	for i := n; i > max(n-utf8.UTFMax, 0); i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:max(n, 0)]
}

// ShellWords quotes words where a shell needs it, and joins them.
func ShellWords(words []string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.Trim(w, plain) != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}

// Upper is s with capitals for its ASCII letters: Unicode has other letters whose capital is an S.
func Upper(s string) string { return strings.Map(upper, s) }

func upper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// Lower is the same for small letters.
func Lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// Fault is an error that is a constant. One of errors.New is made when the program starts,
// for which its package comes into memory even where nothing of it is used.
type Fault string

func (f Fault) Error() string { return string(f) }
