package wire

import (
	"reflect"
	"strings"
	"testing"
)

type inner struct {
	Name string `wire:"name"`
	N    int64  `wire:"n,omitempty"`
}

type message struct {
	Word  string  `wire:"word"`
	Count int     `wire:"count,omitempty"`
	Share int     `wire:"share,omitempty,percent"`
	Yes   bool    `wire:"yes,omitempty"`
	List  []inner `wire:"list,omitempty"`
	One   *inner  `wire:"one,omitempty"`
	Arg   string  `wire:"arg,omitempty" verbs:"a b"`
	Own   string  // not on the wire
}

// What is written is what is read.
func TestLine(t *testing.T) {
	for want, m := range map[string]message{
		`{"v":1,"word":""}`: {},
		`{"v":1,"word":"\"ä\n","count":-3,"share":25.01,"yes":true,"list":[{"name":"x"},{"name":"","n":7}],"one":{"name":"o"},"arg":"z"}`: {
			Word: "\"ä\n", Count: -3, Share: 2501, Yes: true, List: []inner{{Name: "x"}, {N: 7}}, One: &inner{Name: "o"}, Arg: "z"},
	} {
		line := string(append(Begin(&m), '}'))
		if line != want {
			t.Errorf("%+v became %s, want %s", m, line, want)
		}
		var again message
		d, version := Parse([]byte(line))
		if d.Read(&again); d.Err != nil || version != Version || !reflect.DeepEqual(again, m) {
			t.Errorf("%s became %+v, version %d, %v", line, again, version, d.Err)
		}
	}
	if list := Members(&message{}, "b"); len(list) != 1 || list[0].Name != "arg" {
		t.Errorf("members of a verb: %+v", list)
	}
}

func TestWrong(t *testing.T) {
	for line, want := range map[string]string{
		``:                             "it is not JSON",
		`[]`:                           "it must be an object",
		`{"v":"1"}`:                    "v must be an integer",
		`{"v":1,"v":1}`:                `"v" is there twice`,
		`{"v":1,"count":1.5}`:          "count must be an integer",
		`{"v":1,"word":7}`:             "word must be a string",
		`{"v":1,"yes":1}`:              "yes must be true or false",
		`{"v":1,"list":{}}`:            "list must be a list",
		`{"v":1,"list":[null]}`:        "each of list must be an object",
		`{"v":1,"one":[]}`:             "one must be an object",
		`{"v":1,"share":101}`:          "share must be a number from 0 to 100",
		`{"v":1,"word":"\ud800"}`:      "it has half of a surrogate pair",
		strings.Repeat("[", 67):        "it nests deeper than 66",
		`{"v":1,"new":[1],"yes":null}`: "",
	} {
		d, _ := Parse([]byte(line))
		d.Read(&message{})
		if got := ""; d.Err != nil && d.Err.Error() != want || d.Err == nil && want != got {
			t.Errorf("%s: %v, want %q", line, d.Err, want)
		}
	}
}
