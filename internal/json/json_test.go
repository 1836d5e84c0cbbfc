package json

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

const depthMax = 8

// valid is what the standard library holds for JSON, within our limits.
func valid(text []byte) bool {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
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
	return utf8.Valid(text) && json.Valid(text) && deepest <= depthMax
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"", "hello", `{"a":1}`, "\"\x01\\n\"", "\x00\x1f\"\\\u2028", "\xff", "7", "[trueish]", `"\ud800"`, `[true,false,null,-0.5e+7,1E-3]`,
		`[01]`, `[1.]`, `{"a":truer}`, strings.Repeat(`{"":[`, 5),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, wrong := Check([]byte(text), depthMax)
		if (wrong == "") != valid([]byte(text)) || values > len(text) {
			t.Fatalf("%q: %d values, %q", text, values, wrong)
		}
		if wrong != "" {
			return
		}
		// The standard library puts U+FFFD in place of half a pair.
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(got)
		if HalfPair([]byte(text)) && !strings.Contains(string(again), "\ufffd") {
			t.Fatalf("%q has no half of a pair", text)
		}
	})
}

func TestHalfPair(t *testing.T) {
	for text, want := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\ud83d"`: true, `"\ude00\ud83d"`: true, `"\\ud83d"`: false, `"\ud83d\u0041"`: true, `"\ud83d\\ude00"`: true, `"\u0041 \n"`: false,
	} {
		if got := HalfPair([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain äöü \"\\\n\t\x1b\u009b\u202e\xff\ufffd\U000e0001\U0001f600", 1000)
	f.Add("123456\u009b", 7)
	f.Fuzz(func(t *testing.T, s string, most int) {
		var got string
		text := AppendString([]byte("x"), s, math.MaxInt)[1:]
		if err := json.Unmarshal(text, &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("%q: %s: %v", s, text, err)
		}
		for _, r := range string(text) {
			if r < ' ' || r == 0x7f || r == 0x9b || r == 0x202e {
				t.Fatalf("%q: %q", s, text)
			}
		}
		if most < len("…") {
			return
		}
		if text = AppendString(nil, s, most); len(text)-2 > most || json.Unmarshal(text, &got) != nil {
			t.Fatalf("%q at %d: %s", s, most, text)
		}
	})
}
