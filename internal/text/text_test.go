package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain äöü 漢字 �":      "plain äöü 漢字 �",
		"a\nswapinit: fake":   `a\nswapinit: fake`,
		"\x1b]0;title\a":      `\x1b]0;title\a`,
		"c1 \u009b2J del\x7f": `c1 \u009b2J del\x7f`,
		"bad \xff\xc3(":       `bad \xff\xc3(`,
		"\u202eevil\u2028":    `\u202eevil\u2028`,
		`back\slash "quote"`:  `back\slash "quote"`,
		"":                    "",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCutting(t *testing.T) {
	for _, c := range [][3]string{ // text, quoted, clipped; both at 7 bytes
		{"", `""`, ""},
		{"1234567", `"1234567"`, "1234567"},
		{"12345678", `"1234567"…`, "1234…"},
		{"123äöü", `"123äö"…`, "123…"},
		{"äöü€", `"äöü"…`, "äö…"},
		{"\n\xff\x80\x80\x80\x80\x80\x80\x80", `"\n\xff\x80\x80\x80\x80\x80"…`, "\n…"},
	} {
		if got := Quote(c[0], 7); got != c[1] {
			t.Errorf("Quote(%q) = %s, want %s", c[0], got, c[1])
		}
		if got := Clip(c[0], 7); got != c[2] {
			t.Errorf("Clip(%q) = %q, want %q", c[0], got, c[2])
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("äöü", 3)
	f.Add("\x80\x80\x80\x80\x80\x80", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 0 || n >= len(s) {
			return
		}
		got := Cut(s, n)
		if !strings.HasPrefix(s, got) || len(got) > n || len(got) <= n-utf8.UTFMax || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Cut(%q, %d) = %q", s, n, got)
		}
	})
}

func TestShellWords(t *testing.T) {
	for want, words := range map[string][]string{
		"":                          nil,
		"/bin/a -x=1 user@h:80,%+_": {"/bin/a", "-x=1", "user@h:80,%+_"},
		`'' 'a b' 'it'\''s' '$x'`:   {"", "a b", "it's", "$x"},
	} {
		if got := ShellWords(words); got != want {
			t.Errorf("ShellWords(%q) = %s, want %s", words, got, want)
		}
	}
}
