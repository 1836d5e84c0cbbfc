package wire

import (
	"reflect"
	"strings"
	"testing"
)

type inner struct {
	Name string
	N    int64
}

func (n *inner) fields(c *Codec) {
	c.String("name", &n.Name)
	c.Int64("n?", &n.N)
}

type message struct {
	Word    string
	Count   int
	Share   int
	Yes     bool
	Words   []string
	Numbers []int
	List    []inner
	One     *inner
	Must    *inner
	MS      *int64
	Open    *int
	Part    *int
	Any     string
	Version int
	Own     string // not on the wire
}

func (m *message) fields(c *Codec) {
	c.String("word", &m.Word)
	c.Int("count?", &m.Count)
	c.Percent("share?", &m.Share)
	c.Bool("yes?", &m.Yes)
	c.Strings("words?", &m.Words)
	c.Ints("numbers", &m.Numbers)
	c.List("list?", len(m.List), func(i int) {
		if i == len(m.List) {
			m.List = append(m.List, inner{})
		}
		m.List[i].fields(c)
	})
	c.Object("one?", m.One != nil, func() {
		if m.One == nil {
			m.One = new(inner)
		}
		m.One.fields(c)
	})
	c.Object("must", m.Must != nil, func() {
		if m.Must == nil {
			m.Must = new(inner)
		}
		m.Must.fields(c)
	})
	c.Int64OrNull("ms", &m.MS)
	c.IntOrNull("open?", &m.Open)
	c.PercentOrNull("part", &m.Part)
	c.Raw("any?", &m.Any)
	c.Version("version", &m.Version)
}

func TestLine(t *testing.T) {
	ms, none, part := int64(-1), 0, 5000
	for want, m := range map[string]message{
		`{"v":1,"word":"","numbers":[],"must":null,"ms":null,"part":null,"version":1}`: {},
		`{"v":1,"word":"\"ä\n","count":-3,"share":25.01,"yes":true,"words":["a",""],"numbers":[1,0],"list":[{"name":"x"},{"name":"","n":7}],` +
			`"one":{"name":"o"},"must":{"name":""},"ms":-1,"open":0,"part":50,"any":[{"a":null},1],"version":1}`: {
			Word: "\"ä\n", Count: -3, Share: 2501, Yes: true, Words: []string{"a", ""}, Numbers: []int{1, 0}, List: []inner{{Name: "x"}, {N: 7}},
			One: &inner{Name: "o"}, Must: &inner{}, MS: &ms, Open: &none, Part: &part, Any: `[{"a":null},1]`},
	} {
		line := string(Line(m.fields))
		if line != want+"\n" {
			t.Errorf("%+v became %s, want %s", m, line, want)
		}
		if object := Object(m.fields); strings.Replace(line, `"v":1,`, "", 1) != object+"\n" {
			t.Errorf("%s as an object is %s", line, object)
		}
		var again message
		d, version := Parse([]byte(line))
		again.fields(d)
		m.Version = Version
		if d.Err != nil || version != Version || !reflect.DeepEqual(again, m) {
			t.Errorf("%s became %+v, version %d, %v", line, again, version, d.Err)
		}
	}
	const all = "word count share yes words numbers list one must ms open part any version"
	if names := strings.Join(Names(new(message).fields), " "); names != all {
		t.Errorf("the names are %s, want %s", names, all)
	}
}

func TestWrong(t *testing.T) {
	for line, want := range map[string]string{
		``:                               "it is not JSON",
		`[]`:                             "it must be an object",
		`{"v":"1"}`:                      "v must be an integer",
		`{"v":1,"v":1}`:                  `"v" is there twice`,
		`{"v":1,"count":1.5}`:            "count must be an integer",
		`{"v":1,"word":7}`:               "word must be a string",
		`{"v":1,"yes":1}`:                "yes must be true or false",
		`{"v":1,"list":{}}`:              "list must be a list",
		`{"v":1,"list":[null]}`:          "each of list must be an object",
		`{"v":1,"one":[]}`:               "one must be an object",
		`{"v":1,"share":101}`:            "share must be a number from 0 to 100",
		`{"v":1,"list":[{"n":"1"}]}`:     "n must be an integer",
		`{"v":1,"words":["a",1]}`:        "words must be a list of strings",
		`{"v":1,"numbers":[null]}`:       "numbers must be a list of integers",
		`{"v":1,"open":{}}`:              "open must be an integer",
		`{"v":1,"part":-1}`:              "part must be a number from 0 to 100",
		`{"v":1,"list":[{"n":1,"n":2}]}`: `"n" is there twice`,
		`{"v":1,"word":"\ud800"}`:        "it has half of a surrogate pair",
		strings.Repeat("[", 67):          "it nests deeper than 66",
		`{"v":1,"new":[1],"yes":null}`:   "",
	} {
		d, _ := Parse([]byte(line))
		new(message).fields(d)
		if got := ""; d.Err != nil && d.Err.Error() != want || d.Err == nil && want != got {
			t.Errorf("%s: %v, want %q", line, d.Err, want)
		}
	}
}
