package arbiter

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Events and effects as text: the kind, then the fields that are not zero, as in
// "ask session=3 id=1 generation=1 share=10000".

// kindOf is the kebab-case name of an event's or an effect's type.
func kindOf(e any) string { return kebab(reflect.TypeOf(e).Elem().Name()) }

func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !strings.HasSuffix(b.String(), "-") && !strings.HasSuffix(name[:i], "I") {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var noticeNames = []string{"lost", "back", "serve", "cut", "ending", "renew"}

func (n Notice) String() string { return noticeNames[n] }

func (s Slot) String() string {
	if s == (Slot{}) {
		return "waiting"
	}
	return fmt.Sprintf("%s/%d", s.Member, s.Generation)
}

func (s State) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "(epoch=%d last=%d holder=%s", s.Epoch, s.Last, s.Holder)
	for _, m := range s.Members {
		fmt.Fprintf(&b, " %s=%d", m.Container, m.Order)
		if m.Out != "" {
			b.WriteString("," + string(m.Out))
		}
		if m.Settled {
			b.WriteString(",settled")
		}
	}
	return b.String() + ")"
}

// describe writes an event or an effect; sessions by their member's names, if known.
func describe(e any, names map[Session]string) string {
	var b strings.Builder
	b.WriteString(kindOf(e))
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), kebab(v.Type().Field(i).Name)
		if _, ok := e.(*Tell); ok && name == "notice" {
			fmt.Fprintf(&b, " %v", f.Interface())
			continue
		}
		if _, ok := e.(*Aim); ok && name == "to" {
			fmt.Fprintf(&b, " %v", f.Interface())
			continue
		}
		if f.IsZero() {
			continue
		}
		if s, ok := f.Interface().(Session); ok {
			if n := names[s]; n != "" {
				b.WriteString(" " + n)
				continue
			}
		}
		switch name {
		case "state":
			if s, ok := f.Interface().(State); ok {
				fmt.Fprintf(&b, " %v", s)
				continue
			}
		case "session", "id":
		}
		if f.Kind() == reflect.String && strings.ContainsAny(f.String(), " =") {
			fmt.Fprintf(&b, " %s=%q", name, f.String())
		} else if f.Kind() == reflect.Bool {
			b.WriteString(" " + name)
		} else {
			fmt.Fprintf(&b, " %s=%v", name, f.Interface())
		}
	}
	return b.String()
}
