package json

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is a value as it stands in a text that Check has nothing against; nil: none. It
// shares the text's memory, what the methods return does not.
type Value []byte

// Member is a member of an object.
type Member struct {
	Name  string
	Value Value
}

// Line is the value of a line that Check has nothing against.
func Line(b []byte) Value { return bytes.Trim(b, " \t\r\n") }

func (v Value) begins(c byte) bool { return len(v) > 0 && v[0] == c }

// IsNull reports whether it is null.
func (v Value) IsNull() bool { return v.begins('n') }

// IsObject reports whether it is an object.
func (v Value) IsObject() bool { return v.begins('{') }

// each calls do for the parts of a list or an object, with their names as they stand in
// the text, until it is false.
func (v Value) each(do func(name, part Value) bool) {
	s := scanner{left: v, levels: len(v)}
	next := func() Value {
		s.space()
		from := s.left
		s.value()
		return Value(from[:len(from)-len(s.left)])
	}
	for first := true; ; first = false {
		s.left = s.left[1:] // the bracket or the comma
		if s.space(); first && s.end(v.IsObject()) {
			return
		}
		var name Value
		if v.IsObject() {
			name = next()
			s.colon()
		}
		if !do(name, next()) {
			return
		}
		if s.space(); s.end(v.IsObject()) {
			return
		}
	}
}

// Members are those of an object.
func (v Value) Members() (list []Member, ok bool) {
	if !v.IsObject() {
		return nil, false
	}
	v.each(func(name, part Value) bool {
		text, _ := name.Text()
		list = append(list, Member{text, part})
		return true
	})
	return list, true
}

// Get is the first member of an object that has this name.
func (v Value) Get(name string) (found Value) {
	if v.IsObject() {
		v.each(func(n, part Value) bool {
			if n.says(name) {
				found = part
			}
			return found == nil
		})
	}
	return found
}

// Elements are those of a list.
func (v Value) Elements() (list []Value, ok bool) {
	if !v.begins('[') {
		return nil, false
	}
	v.each(func(_, part Value) bool {
		list = append(list, part)
		return true
	})
	return list, true
}

// Bool is whether it is true; ok: it is true or false.
func (v Value) Bool() (yes, ok bool) { return v.begins('t'), v.begins('t') || v.begins('f') }

// Int is a number without fraction and exponent.
func (v Value) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// Text is what a string says. Half of a surrogate pair becomes U+FFFD.
func (v Value) Text() (s string, ok bool) {
	if !v.begins('"') {
		return "", false
	}
	v = v[1 : len(v)-1]
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v), true
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' {
			b = append(b, v[i])
			continue
		}
		if r, ok := escaped(v[i:]); ok {
			i += 5
			if utf16.IsSurrogate(r) {
				low, _ := escaped(v[i+1:])
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			b = utf8.AppendRune(b, r)
			continue
		}
		i++
		c := v[i]
		if n := bytes.IndexByte([]byte("bfnrt"), c); n >= 0 {
			c = "\b\f\n\r\t"[n]
		}
		b = append(b, c)
	}
	return string(b), true
}

// says is Text without a copy where it needs none: whoever sends many lines makes no garbage.
func (v Value) says(name string) bool {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1:len(v)-1]) == name
	}
	s, _ := v.Text()
	return s == name
}

// Compact is the value without white space between its parts.
func (v Value) Compact() string {
	b := make([]byte, 0, len(v))
	quoted := false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			b = append(b, c)
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && c <= ' ':
			continue
		}
		b = append(b, v[i])
	}
	return string(b)
}
