package config

import (
	"errors"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
)

// Words splits s as a shell would split simple words: at white space, with
// 'single quotes', "double quotes" and backslashes. Nothing is expanded, and
// $ ; | > & * # are ordinary characters. No words is no error.
func Words(s string) ([]string, error) {
	words := []string{}
	for {
		word, rest, err := nextWord(s, " \t\n\r")
		if err != nil {
			return nil, text.Errorf("cannot split words: %w", err)
		}
		if word != nil {
			words = append(words, *word)
		} else if rest == "" {
			return words, nil
		}
		s = rest
	}
}

// nextWord reads one word after any characters of blank and returns what
// follows it. Any white space ends a word. No word (nil) means the end, white
// space that is not blank, or, when something was consumed, joined lines.
func nextWord(s, blank string) (word *string, rest string, err error) {
	s = strings.TrimLeft(s, blank)
	var b strings.Builder
	quoted := false // "" and '' are words
	i := 0
	for i < len(s) && !isSpace(s[i]) {
		switch c := s[i]; c {
		case 0:
			return nil, "", errors.New("NUL byte")
		case '\'', '"':
			n, err := quotedPart(s[i:], &b)
			if err != nil {
				return nil, "", err
			}
			quoted = true
			i += n
		case '\\':
			if i+1 == len(s) {
				return nil, "", errors.New("nothing after the last backslash")
			}
			if s[i+1] == 0 {
				return nil, "", errors.New("NUL byte")
			}
			if s[i+1] != '\n' { // a backslash joins lines
				b.WriteByte(s[i+1])
				quoted = true
			}
			i += 2
		default:
			b.WriteByte(c)
			i++
		}
	}
	if b.Len() == 0 && !quoted {
		return nil, s[i:], nil
	}
	text := b.String()
	return &text, s[i:], nil
}

// quotedPart writes what the quotes at the beginning of s hold to b and returns
// how much of s that was.
func quotedPart(s string, b *strings.Builder) (int, error) {
	q := s[0]
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == 0:
			return 0, errors.New("NUL byte")
		case c == q:
			return i + 1, nil
		case c == '\\' && q == '"' && i+1 < len(s) && strings.IndexByte("\"\\$`\n", s[i+1]) >= 0:
			// The characters that POSIX lets a backslash escape in double quotes.
			i++
			if s[i] != '\n' {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	if q == '"' {
		return 0, errors.New("unclosed double quote")
	}
	return 0, errors.New("unclosed single quote")
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
