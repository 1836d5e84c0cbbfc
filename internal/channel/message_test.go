package channel

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	ours "github.com/swapinit/swapinit/internal/json"
)

func TestParse(t *testing.T) {
	parsers := map[bool]*parser{false: {}, true: {node: true}} // nothing is left of the line before
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := func(n int) string { return "[0" + strings.Repeat(",0", n) + "]" }
	for _, c := range []struct {
		line  string
		plain Message // what it is on a channel of ours
		node  Message // and over Node IPC
	}{
		{`{"swapinit":"ready"}`, Message{Kind: Ready}, Message{Kind: Ready}},
		{" {\t\"swapinit\" : \"ready\" }\r", Message{Kind: Ready}, Message{Kind: Ready}},
		{`{"swap\u0069nit":"ready","pid":7,"more":{"swapinit":"released"}}`, Message{Kind: Ready}, Message{Kind: Ready}},
		{`{"swapinit":"readyFor","resource":":8080"}`, Message{Kind: ReadyFor, Resource: ":8080"}, Message{Kind: ReadyFor, Resource: ":8080"}},
		{`{"resource":"k\u00fc\"he \u2713","swapinit":"released"}`, Message{Kind: Released, Resource: `kü"he ✓`}, Message{Kind: Released, Resource: `kü"he ✓`}},
		{`{"swapinit":"released","resource":"` + strings.Repeat("x", resourceMax) + `"}`,
			Message{Kind: Released, Resource: strings.Repeat("x", resourceMax)}, Message{Kind: Released, Resource: strings.Repeat("x", resourceMax)}},

		// Not for us.
		{`{}`, Message{}, Message{}},
		{`{"swapinit":"dance"}`, Message{}, Message{}},
		{`{"swapinit":"go","resource":":8080"}`, Message{}, Message{}},
		{`{"swapinit":["ready"]}`, Message{}, Message{}},
		{`{"swapinit":null}`, Message{}, Message{}},
		{`{"Swapinit":"ready"}`, Message{}, Message{}},
		{`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"swapinit":"ready"}}`, Message{}, Message{}},
		{`{"data":` + many(valuesMax) + `}`, Message{}, Message{}},
		{`"ready"`, garbage("a line is not a JSON object"), Message{Kind: Ready}},
		{`"rea\u0064y"`, garbage("a line is not a JSON object"), Message{Kind: Ready}},
		{`"READY"`, garbage("a line is not a JSON object"), Message{}},
		{`["ready"]`, garbage("a line is not a JSON object"), Message{}},
		{`-1.5e3`, garbage("a line is not a JSON object"), Message{}},
		{`null`, garbage("a line is not a JSON object"), Message{}},

		// Garbage in both.
		{``, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`ready`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`READY=1`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`{"swapinit":"ready"`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`{"swapinit":"ready"}}`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`{"swapinit":"ready","x":01}`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`{"swapinit":"ready","x":nul}`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{`{"swapinit":"ready","x":"` + "\t" + `\n"}`, garbage("a line is not JSON"), garbage("a line is not JSON")},
		{"{\"swapinit\":\"ready\",\"x\":\"\xff\"}", garbage("a line is not UTF-8"), garbage("a line is not UTF-8")},
		{nested(depthMax + 1), garbage("a line nests deeper than 64"), garbage("a line nests deeper than 64")},
		{strings.Repeat("[", lineMax), garbage("a line nests deeper than 64"), garbage("a line nests deeper than 64")},
		{`{"swapinit":"ready","data":` + many(valuesMax) + `}`, garbage("a line has too many values"), garbage("a line has too many values")},
	} {
		for node, want := range map[bool]Message{false: c.plain, true: c.node} {
			if got := parsers[node].parse([]byte(c.line)); got != want {
				t.Errorf("%.80q, node %v: %+v, want %+v", c.line, node, got, want)
			}
		}
	}
	if got := new(parser).parse([]byte(`{"swapinit":"ready","x":` + nested(depthMax-1) + `}`)); got.Kind != Ready {
		t.Errorf("nested as deep as may be: %+v", got)
	}
}

// What a child can write by the million makes no garbage to speak of.
func TestParseGarbage(t *testing.T) {
	for _, line := range []string{``, `nonsense`, `{}`, `7`, `{"swapinit":"ready"}`, `{"swapinit":"dance"}`, `{"other":[1,2,{"a":"b"}]}`} {
		p, text := new(parser), []byte(line)
		if n := testing.AllocsPerRun(1000, func() { p.parse(text) }); n > 1 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

func TestParseResource(t *testing.T) {
	for name, resource := range map[string]string{
		"absent":         `{"swapinit":"readyFor"}`,
		"empty":          `{"swapinit":"readyFor","resource":""}`,
		"number":         `{"swapinit":"readyFor","resource":8080}`,
		"newline":        `{"swapinit":"readyFor","resource":"a\nb"}`,
		"NUL":            `{"swapinit":"readyFor","resource":"a\u0000"}`,
		"escape":         `{"swapinit":"readyFor","resource":"\u001b[31m"}`,
		"line separator": `{"swapinit":"readyFor","resource":"a\u2028b"}`,
		"right to left":  `{"swapinit":"readyFor","resource":"a\u202eb"}`,
		"too long":       `{"swapinit":"readyFor","resource":"` + strings.Repeat("x", resourceMax+1) + `"}`,
	} {
		got := new(parser).parse([]byte(resource))
		if want := "the resource of readyFor is not 1 to 256 bytes of printable text"; got.Kind != Garbage || got.Data != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		m           Message
		plain, node string
	}{
		{Message{Kind: Go, Resource: ":8080"}, `{"swapinit":"go","resource":":8080"}`, `{"swapinit":"go","resource":":8080"}`},
		{Message{Kind: Takedown, Resource: `a "b" \c ü`}, `{"swapinit":"takedown","resource":"a \"b\" \\c ü"}`, `{"swapinit":"takedown","resource":"a \"b\" \\c ü"}`},
		{Message{Kind: Deliver, Data: `{"a":[1,"\n"]}`}, `{"swapinit":"message","data":{"a":[1,"\n"]}}`, `{"a":[1,"\n"]}`},
		{Message{Kind: Deliver, Data: "{\r\n\"a\":\n1}"}, `{"swapinit":"message","data":{  "a": 1}}`, `{  "a": 1}`},
		{Message{Kind: Deliver, Data: `null`}, `{"swapinit":"message","data":null}`, `null`},

		{Message{Kind: Deliver}, "", ""},
		{Message{Kind: Deliver, Data: `hello`}, "", ""},
		{Message{Kind: Deliver, Data: `{}{}`}, "", ""},
		{Message{Kind: Deliver, Data: "\"a\nb\\t\""}, "", ""},
		{Message{Kind: Go}, "", ""},
		{Message{Kind: Go, Resource: "a\nb"}, "", ""},
		{Message{Kind: Go, Resource: "a\xff"}, "", ""},
		{Message{Kind: Takedown, Resource: strings.Repeat("x", resourceMax+1)}, "", ""},
		{Message{Kind: Ready}, "", ""},
		{Message{}, "", ""},
	} {
		for node, want := range map[bool]string{false: c.plain, true: c.node} {
			if want != "" {
				want += "\n"
			}
			if got := string(encode(c.m, node)); got != want {
				t.Errorf("%+v, node %v: %q, want %q", c.m, node, got, want)
			}
		}
	}
}

// valid is what the standard library holds for JSON, within our limits.
func valid(line []byte) bool {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return utf8.Valid(line) && json.Valid(line) && deepest <= depthMax
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"swapinit":"ready"}`, `{"swapinit":"readyFor","resource":":8080"}`, `{"swapinit":"released","resource":"\ud83d\ude00\"\\\/\b\f\n\r\t"}`,
		`"ready"`, `{"cmd":"NODE_HANDLE_ACK"}`, "\"\t\\n\"", `[true,false,null,-0.5e+7,1E-3]`, `[01]`, `[1.]`, `{"a":truer}`, "\xff", `"\ud800"`,
		strings.Repeat(`{"":[`, 33), "\u2028", `{"swapinit":"ready","swapinit":5}`, `{"swapinit":"released","resource":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		values, reason := ours.Check(line, depthMax)
		if (reason == "") != valid(line) {
			t.Fatalf("%q: reason %q", line, reason)
		}
		before := string(line)
		for _, node := range []bool{false, true} {
			m := (&parser{node: node}).parse(line)
			switch m.Kind {
			case 0, Ready:
				if m.Resource != "" || m.Data != "" {
					t.Fatalf("%q: %+v", line, m)
				}
			case ReadyFor, Released:
				var o map[string]any
				if json.Unmarshal(line, &o) != nil || !isResource(m.Resource) || m.Data != "" {
					t.Fatalf("%q: %+v", line, m)
				}
			case Garbage:
				if m.Data == "" || m.Resource != "" {
					t.Fatalf("%q: %+v", line, m)
				}
			default:
				t.Fatalf("%q: %+v", line, m)
			}
			if (m.Kind == Garbage) != (reason != "") && !strings.HasPrefix(m.Data, "the resource") && !node && values <= valuesMax && line[0] == '{' {
				t.Fatalf("%q: %+v, reason %q", line, m, reason)
			}
			sent := encode(Message{Kind: Deliver, Data: string(line)}, node)
			if (sent != nil) != (reason == "") {
				t.Fatalf("%q: sent as %q", line, sent)
			}
			if sent != nil && (!json.Valid(sent) || strings.Count(string(sent), "\n") != 1) {
				t.Fatalf("%q: sent as %q", line, sent)
			}
		}
		if string(line) != before {
			t.Fatalf("%q was changed to %q", before, line)
		}
	})
}

func FuzzResource(f *testing.F) {
	f.Add(":8080")
	f.Add(`a "b" \c ü`)
	f.Add("a\nb\u2028\xff\U0001f600")
	f.Fuzz(func(t *testing.T, resource string) {
		line := encode(Message{Kind: Takedown, Resource: resource}, false)
		if (line != nil) != isResource(resource) {
			t.Fatalf("%q: %q", resource, line)
		}
		if line == nil {
			return
		}
		var got map[string]any
		want := map[string]any{"swapinit": "takedown", "resource": resource}
		if err := json.Unmarshal(line, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %q: %v", resource, line, err)
		}
	})
}
