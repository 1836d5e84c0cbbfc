package wire

import (
	"errors"
	"reflect"
	"strings"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

const (
	// maxDepth is how deep a line may nest; the reply to status needs 7,
	// and what a child gets by message may have 64.
	maxDepth = 66
	// maxQuoted is how much of the sender's text a reason shows, in bytes.
	maxQuoted = 40
)

// Wrong is what is wrong with JSON, "" if nothing is. What the parser would change
// quietly is wrong too, so that nothing is done with other words than were sent.
func Wrong(b []byte) string {
	_, wrong := json.Check(b, maxDepth)
	if wrong == "" && json.HalfPair(b) {
		wrong = "has half of a surrogate pair"
	}
	return wrong
}

// Quote quotes text of the sender.
func Quote(s string) string { return text.Quote(s, maxQuoted) }

// Decoder reads a line. After an error the values are of no use.
type Decoder struct {
	Line []json.Member
	Err  error // the first thing that was wrong
}

// Parse begins to read a line, of which it returns the version.
func Parse(line []byte) (d *Decoder, version int) {
	d = new(Decoder)
	if wrong := Wrong(line); wrong != "" {
		d.Fail("it " + wrong)
		return d, 0
	}
	d.Line = d.Object("it", json.Line(line))
	d.Members([]Member{{Name: "v", value: reflect.ValueOf(&version).Elem()}}, d.Line)
	return d, version
}

// Read reads the line into the struct to which m points.
func (d *Decoder) Read(m any) { d.Members(Members(m, ""), d.Line) }

// Fail notes what is wrong with the line; the first one counts.
func (d *Decoder) Fail(reason string) {
	if d.Err == nil {
		d.Err = errors.New(reason)
	}
}

// Object is v, called name in errors. A member that is there twice is an error, as
// programs disagree about which of the two counts.
func (d *Decoder) Object(name string, v json.Value) []json.Member {
	list, ok := v.Members()
	if !ok {
		d.Fail(name + " must be an object")
	}
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.Name] {
			d.Fail(Quote(m.Name) + " is there twice")
		}
		seen[m.Name] = true
	}
	return list
}

// Get is nil for a member that is not there or null.
func Get(list []json.Member, name string) json.Value {
	for _, m := range list {
		if m.Name == name && !m.Value.IsNull() {
			return m.Value
		}
	}
	return nil
}

// Members reads those that are there into list.
func (d *Decoder) Members(list []Member, from []json.Member) {
	for _, m := range list {
		for _, f := range from {
			switch {
			case f.Name != m.Name:
			case m.options == "raw":
				m.value.SetString(f.Value.Compact())
			case !f.Value.IsNull():
				d.value(m, f.Value)
			}
		}
	}
}

// value reads v into m.
func (d *Decoder) value(m Member, v json.Value) {
	want := func(ok bool, one, many string) {
		if m.element {
			one = "a list of " + many
		}
		if !ok {
			d.Fail(m.Name + " must be " + one)
		}
	}
	switch to := m.value; to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		m.value = to.Elem()
		d.value(m, v)
	case reflect.Struct:
		name := m.Name
		if m.element {
			name = "each of " + name
		}
		d.Members(members(to, ""), d.Object(name, v))
	case reflect.Slice:
		elements, ok := v.Elements()
		want(ok, "a list", "")
		to.Grow(len(elements))
		to.SetLen(len(elements))
		for i, e := range elements {
			d.value(Member{Name: m.Name, value: to.Index(i), element: true}, e)
		}
	case reflect.String:
		s, ok := v.Text()
		want(ok, "a string", "strings")
		to.SetString(s)
	case reflect.Bool:
		yes, ok := v.Bool()
		want(ok, "true or false", "")
		to.SetBool(yes)
	default:
		if strings.Contains(m.options, "percent") {
			share, ok := shares.Parse(string(v))
			if !ok {
				d.Fail(m.Name + " must be a number from 0 to 100")
			}
			to.SetInt(int64(share))
			return
		}
		n, ok := v.Int()
		want(ok, "an integer", "integers")
		to.SetInt(n)
	}
}
