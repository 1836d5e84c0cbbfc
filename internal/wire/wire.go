// Package wire writes and reads the lines of swapinit's protocols: one JSON object
// (RFC 8259) a line, with "v" first. What is in a type of a protocol say the tags of its
// fields, in the order of the fields:
//
//	wire   the member's name; then omitempty: it is not written where it is zero;
//	       percent: 1/10000 is a number of percent on the wire; raw: any value, as
//	       JSON, read without white space between its parts; version: Version is
//	       written, whatever the field says
//	verbs  the verbs that have this arg
//
// What is absent or null is zero when it is read. A list is never written as null.
package wire

import (
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

// Version is that of the lines, the "v" of every one.
const Version = 1

// Member is a field of such a type.
type Member struct {
	Name    string
	options string
	value   reflect.Value
	element bool // it is an element of the list of that name
}

// Raw is a member whose value is any JSON; text is what is written and read.
func Raw(name string, text *string) Member {
	return Member{Name: name, options: "raw", value: reflect.ValueOf(text).Elem()}
}

// Members lists those of the struct to which m points; with verb those that it has.
func Members(m any, verb string) []Member { return members(reflect.ValueOf(m).Elem(), verb) }

func members(v reflect.Value, verb string) (list []Member) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		name, options, _ := strings.Cut(text.Tag(tag, "wire"), ",")
		if name != "" && strings.Contains(text.Tag(tag, "verbs"), verb) {
			list = append(list, Member{Name: name, options: options, value: v.Field(i)})
		}
	}
	return list
}

// Begin begins a line with its version and the members of the struct to which m points.
// It lacks the end of object and line.
func Begin(m any) []byte {
	return Append(strconv.AppendInt([]byte(`{"v":`), Version, 10), Members(m, ""))
}

// Object is the struct to which m points, as JSON.
func Object(m any) string { return string(appendValue(nil, reflect.ValueOf(m), "")) }

// Append appends members to an object that has begun.
func Append(b []byte, list []Member) []byte {
	for _, m := range list {
		none := m.value.IsZero() || m.value.Kind() == reflect.Slice && m.value.Len() == 0
		if none && strings.Contains(m.options, "omitempty") {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, `"`+m.Name+`":`...)
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
		return append(Append(append(b, '{'), members(v, "")), '}')
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
