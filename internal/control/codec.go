package control

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/valyala/fastjson"
)

// The types of the protocol are written as JSON (RFC 8259) and read by the tags
// of their fields, in the order of the fields:
//
//	wire   the member's name; then omitempty: it is not written where it is zero;
//	       percent: 1/10000 is a number of percent on the wire; raw: any value, as
//	       JSON, read without white space between its parts; version: Version is
//	       written, whatever the field says
//	verbs  the verbs that have this arg
//
// What is absent or null is zero when it is read. A list is never written as null.

// member is a field of such a type.
type member struct {
	name    string
	options string
	value   reflect.Value
	element bool // it is an element of the list of that name
}

// members lists those of the struct v; of args, those of a verb.
func members(v reflect.Value, verb string) (list []member) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		name, options, _ := strings.Cut(tag.Get("wire"), ",")
		if name != "" && strings.Contains(tag.Get("verbs"), verb) {
			list = append(list, member{name: name, options: options, value: v.Field(i)})
		}
	}
	return list
}

func appendMembers(b []byte, list []member) []byte {
	for _, m := range list {
		none := m.value.IsZero() || m.value.Kind() == reflect.Slice && m.value.Len() == 0
		if none && strings.Contains(m.options, "omitempty") {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, `"`+m.name+`":`...)
		b = appendValue(b, m.value, m.options)
	}
	return b
}

func appendValue(b []byte, v reflect.Value, options string) []byte {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, "null"...)
		}
		return appendValue(b, v.Elem(), options)
	case reflect.Struct:
		return append(appendMembers(append(b, '{'), members(v, "")), '}')
	case reflect.Slice:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v.Index(i), "")
		}
		return append(b, ']')
	case reflect.String:
		if options == "raw" {
			return append(b, strings.ReplaceAll(v.String(), "\n", " ")...) // no string has one in it
		}
		return json.AppendString(b, v.String(), math.MaxInt)
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	}
	switch {
	case strings.Contains(options, "percent"):
		return append(b, shares.Percent(int(v.Int()))...)
	case options == "version":
		return strconv.AppendInt(b, Version, 10)
	}
	return strconv.AppendInt(b, v.Int(), 10)
}

// decoder reads a line. After an error the values are of no use.
type decoder struct {
	line *fastjson.Object // its strings are the parser's, so copies are taken
	err  error            // the first thing that was wrong
}

func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = errors.New(reason)
	}
}

// object is v, called name in errors. A member that is there twice is an error, as
// programs disagree about which of the two counts.
func (d *decoder) object(name string, v *fastjson.Value) *fastjson.Object {
	o, err := v.Object()
	if err != nil {
		d.fail(name + " must be an object")
		return &fastjson.Object{}
	}
	seen := map[string]bool{}
	o.Visit(func(key []byte, _ *fastjson.Value) {
		if seen[string(key)] {
			d.fail(quote(string(key)) + " is there twice")
		}
		seen[string(key)] = true
	})
	return o
}

// get is nil for a member that is not there or null.
func get(o *fastjson.Object, name string) *fastjson.Value {
	if v := o.Get(name); v != nil && v.Type() != fastjson.TypeNull {
		return v
	}
	return nil
}

func (d *decoder) members(list []member, from *fastjson.Object) {
	for _, m := range list {
		switch v := from.Get(m.name); {
		case v == nil:
		case m.options == "raw": // asking for the type of a string would replace its text
			m.value.SetString(v.String())
		case v.Type() != fastjson.TypeNull:
			d.value(m, v)
		}
	}
}

// value reads v into m.
func (d *decoder) value(m member, v *fastjson.Value) {
	want := func(err error, one, many string) {
		if m.element {
			one = "a list of " + many
		}
		if err != nil {
			d.fail(m.name + " must be " + one)
		}
	}
	switch to := m.value; to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		m.value = to.Elem()
		d.value(m, v)
	case reflect.Struct:
		name := m.name
		if m.element {
			name = "each of " + name
		}
		d.members(members(to, ""), d.object(name, v))
	case reflect.Slice:
		elements, err := v.Array()
		want(err, "a list", "")
		to.Grow(len(elements))
		to.SetLen(len(elements))
		for i, e := range elements {
			d.value(member{name: m.name, value: to.Index(i), element: true}, e)
		}
	case reflect.String:
		b, err := v.StringBytes()
		want(err, "a string", "strings")
		to.SetString(string(b))
	case reflect.Bool:
		b, err := v.Bool()
		want(err, "true or false", "")
		to.SetBool(b)
	default:
		if strings.Contains(m.options, "percent") {
			percent, err := strconv.ParseFloat(v.String(), 64)
			if err != nil || percent < 0 || percent > 100 {
				d.fail(m.name + " must be a number from 0 to 100")
			}
			to.SetInt(int64(percent*100 + 0.5))
			return
		}
		n, err := v.Int64()
		want(err, "an integer", "integers")
		to.SetInt(n)
	}
}
