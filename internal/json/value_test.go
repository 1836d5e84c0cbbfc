package json

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// read is v as encoding/json has it. twice: some object has a name twice.
func read(t *testing.T, v Value, twice *bool) any {
	t.Helper()
	if s, ok := v.Text(); ok {
		return s
	}
	if yes, ok := v.Bool(); ok {
		return yes
	}
	if list, ok := v.Elements(); ok {
		out := []any{}
		for _, e := range list {
			out = append(out, read(t, e, twice))
		}
		return out
	}
	if list, ok := v.Members(); ok != v.IsObject() {
		t.Errorf("%s: is it an object?", v)
	} else if ok {
		out := map[string]any{}
		for _, m := range list {
			if _, there := out[m.Name]; there {
				*twice = true
			} else if string(v.Get(m.Name)) != string(m.Value) {
				t.Errorf("%s has %q twice", v, m.Name)
			}
			out[m.Name] = read(t, m.Value, twice)
		}
		return out
	}
	if v.IsNull() {
		return nil
	}
	return json.Number(v)
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{
		` { "a" : [ ] , "b":{},"c":[1 , -2.5e+7,true,false , null],"\u00e4\"\\\/\b\f\n\r\t":"\ud83d\ude00\ud83dx\u0000" } `, `[[],[[]],{"":""}]`, ` "x" `, `7`, `-0`, `"\ud800\udc00"`, `"\ud800\ud800\udc00"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, wrong := Check([]byte(text), 100); wrong != "" {
			return
		}
		var want any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		twice := false
		v := Line([]byte(text))
		if got := read(t, v, &twice); !twice && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v", text, got, want)
		}
		compact := v.Compact()
		if got := read(t, Line([]byte(compact)), &twice); !twice && !reflect.DeepEqual(got, want) || len(compact) > len(v) {
			t.Fatalf("%q becomes %q", text, compact)
		}
	})
}

func TestInt(t *testing.T) {
	for text, want := range map[string]bool{"0": true, "-0": true, "9223372036854775807": true, "9223372036854775808": false, "1.0": false, "1e3": false, `"1"`: false, "null": false} {
		n, ok := Line([]byte(text)).Int()
		if ok != want || ok && text != "-0" && strconv.FormatInt(n, 10) != text {
			t.Errorf("%s is %d, %v", text, n, ok)
		}
	}
}

// What is not there is nothing else.
func TestNoValue(t *testing.T) {
	var v Value
	_, text := v.Text()
	_, yes := v.Bool()
	_, members := v.Members()
	_, elements := v.Elements()
	_, n := v.Int()
	if text || yes || members || elements || n || v.IsNull() || v.IsObject() || v.Get("") != nil || Line([]byte(`[{"a":1}]`)).Get("a") != nil {
		t.Error("it is something")
	}
}

// Whoever sends short lines makes no garbage.
func TestGetAllocates(t *testing.T) {
	line := []byte(` {"cmd":"NODE_x", "data" :{"a":[1,2,{"b":null}]},"swapinit":"ready"}`)
	if n := testing.AllocsPerRun(100, func() {
		if _, wrong := Check(line, 10); wrong != "" || Line(line).Get("swapinit") == nil {
			t.Error(wrong)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
