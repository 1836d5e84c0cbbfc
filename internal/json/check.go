package json

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Check tells what is wrong with b, as in "it is not JSON", "" if nothing is, and
// about how many values it has; more than most levels of lists and objects are
// wrong too.
func Check(b []byte, most int) (values int, wrong string) {
	if !utf8.Valid(b) {
		return 0, "is not UTF-8"
	}
	s := scanner{left: b, levels: most}
	ok := s.value()
	s.space()
	switch {
	case s.deep:
		return 0, "nests deeper than " + strconv.Itoa(most)
	case !ok || len(s.left) > 0:
		return 0, "is not JSON"
	}
	return s.values, ""
}

// scanner goes through a text. Each method takes something off, and tells whether it was
// there.
type scanner struct {
	left   []byte
	levels int  // how much deeper it may nest
	deep   bool // it nests deeper
	values int
}

func (s *scanner) take(c byte) bool {
	ok := len(s.left) > 0 && s.left[0] == c
	if ok {
		s.left = s.left[1:]
	}
	return ok
}

func (s *scanner) space() { s.left = bytes.TrimLeft(s.left, " \t\r\n") }

// value takes a value off, with the white space before it.
func (s *scanner) value() bool {
	s.space()
	if len(s.left) == 0 {
		return false
	}
	switch s.left[0] {
	case '{', '[':
		return s.parts()
	case '"':
		return s.quoted()
	case 't', 'f', 'n':
		for _, word := range [...]string{"true", "false", "null"} {
			if bytes.HasPrefix(s.left, []byte(word)) {
				s.left = s.left[len(word):]
				return true
			}
		}
		return false
	}
	return s.number()
}

// parts takes a list or an object off.
func (s *scanner) parts() bool {
	object := s.left[0] == '{'
	if s.levels == 0 {
		s.deep = true
		return false
	}
	s.levels--
	for first := true; ; first = false {
		s.values++
		s.left = s.left[1:] // the bracket or the comma
		if s.space(); first && s.end(object) {
			break
		}
		if object && (!s.quoted() || !s.colon()) || !s.value() {
			return false
		}
		if s.space(); s.end(object) {
			break
		}
		if len(s.left) == 0 || s.left[0] != ',' {
			return false
		}
	}
	s.levels++
	return true
}

func (s *scanner) end(object bool) bool {
	if object {
		return s.take('}')
	}
	return s.take(']')
}

func (s *scanner) colon() bool {
	s.space()
	return s.take(':')
}

func (s *scanner) quoted() bool {
	if !s.take('"') {
		return false
	}
	for i := 0; i < len(s.left); i++ {
		switch c := s.left[i]; {
		case c == '"':
			s.left = s.left[i+1:]
			return true
		case c < ' ':
			return false
		case c != '\\':
		case i+1 < len(s.left) && bytes.IndexByte([]byte(`"\/bfnrtu`), s.left[i+1]) >= 0:
			if _, ok := escaped(s.left[i:]); s.left[i+1] == 'u' && !ok {
				return false
			}
			i++
		default:
			return false
		}
	}
	return false
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() || s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	n := len(s.left)
	s.left = bytes.TrimLeft(s.left, "0123456789")
	return len(s.left) < n
}
