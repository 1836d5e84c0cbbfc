package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/text"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{" \t\r\n", nil},
		{"a", []string{"a"}},
		{" a  b\tc\nd\r\ne ", []string{"a", "b", "c", "d", "e"}},
		{`'a b' "c d" e\ f`, []string{"a b", "c d", "e f"}},
		{`a'b'"c"d`, []string{"abcd"}},
		{`'' "" x`, []string{"", "", "x"}},
		{`'a\b"$c'`, []string{`a\b"$c`}},
		{`"a\"b\\c\$d` + "\\`" + `e\f'"`, []string{`a"b\c$d` + "`" + `e\f'`}},
		{"\"a\\\nb\" c\\\nd \\\n e", []string{"ab", "cd", "e"}},
		{"'a\nb'", []string{"a\nb"}},
		{"\\\n", nil},
		{"a \\\n", []string{"a"}},
		{`$HOME ; | > & * # ~`, []string{"$HOME", ";", "|", ">", "&", "*", "#", "~"}},
		{`NGINX={fd.web}; -g 'daemon off;'`, []string{"NGINX={fd.web};", "-g", "daemon off;"}},
		{"\xff é", []string{"\xff", "é"}},
	} {
		got, err := Words(c.in)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Words(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]string{
		`a 'b`:      "unclosed single quote",
		`a "b`:      "unclosed double quote",
		`a "b\"`:    "unclosed double quote",
		`a 'b\'c'`:  "unclosed single quote",
		`a\`:        "nothing after the last backslash",
		"a\x00b":    "NUL",
		"'a\x00b'":  "NUL",
		"\"\x00\"":  "NUL",
		"a \\\x00b": "NUL",
	} {
		_, err := Words(in)
		wantError(t, err, want)
	}
}

func TestTarget(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"/srv/a/server --port 80\n", args("/srv/a/server --port 80")},
		{"a", args("a")},
		{"\ufeffa b\r\n", args("a b")},
		{"# which one\n\n  a b # the new one\n# end", args("a b")},
		{"a b#c '#d' \\#e", []string{"a", "b#c", "#d", "#e"}},
		{"a 'b\nc'\n", []string{"a", "b\nc"}},
		{"a \\\n b\n", args("a b")},
		{"a \\\n # c\n", args("a")},
		{"a ''\n", []string{"a", ""}},
		{"a\r\n\r\n", args("a")},
		{"a " + strings.Repeat("b", maxTarget-3) + "\n", []string{"a", strings.Repeat("b", maxTarget-3)}},
	} {
		got, err := Target([]byte(c.in))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Target(%.60q) = %.60q, %v; want %.60q", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]string{
		"":                                 "no command",
		"\n \n# only a comment":            "no command",
		"'' a":                             "no command",
		"\\\n":                             "no command",
		"a\nb\n":                           "line 2: a second command",
		"# c\na\n\n  b\n":                  "line 4: a second command",
		"\n\na 'b\n":                       "line 3: unclosed single quote",
		"a\x00":                            "line 1: NUL",
		"\na \\":                           "line 2: nothing after the last backslash",
		strings.Repeat("a", maxTarget+1):   "64 KiB",
		strings.Repeat("# c\n", maxTarget): "64 KiB",
	} {
		_, err := Target([]byte(in))
		wantError(t, err, "cannot read target", want)
	}
}

func TestFormatTarget(t *testing.T) {
	data, err := FormatTarget([]string{"/srv/a-1.2/server", "--bind=:80", "", "it's", "a b", "#x", "a\nb\\", "é"})
	want := `/srv/a-1.2/server --bind=:80 '' 'it'\''s' 'a b' '#x' 'a` + "\n" + `b\' 'é'` + "\n"
	if err != nil || string(data) != want {
		t.Errorf("got %q, %v; want %q", data, err, want)
	}
	for _, command := range [][]string{nil, {""}, {"a\x00"}, {"a", strings.Repeat("b", maxTarget)}} {
		if data, err := FormatTarget(command); err == nil {
			t.Errorf("FormatTarget(%.20q) = %.20q", command, data)
		}
	}
}

func TestExpand(t *testing.T) {
	fd := func(name string) (int, bool) {
		n, ok := map[string]int{"web": 3, "a.sock": 12, "8080": 4, "loop{": 9}[name]
		return n, ok
	}
	for in, want := range map[string]string{
		"":                                "",
		"plain":                           "plain",
		"{fd.web};":                       "3;",
		"fd://{fd.web},fd://{fd.8080}":    "fd://3,fd://4",
		"/run/{generation}.pid":           "/run/7.pid",
		"{fd.a.sock}{generation}":         "127",
		"{{generation}}":                  "{7}",
		"{{fd.web}}":                      "{3}",
		`{"a":{"fd":{fd.web}},"b":{}}`:    `{"a":{"fd":3},"b":{}}`,
		"${HOME} {Generation} {fd} {fd.}": "${HOME} {Generation} {fd} {fd.}",
		"{fd.web":                         "{fd.web",
		"{generation":                     "{generation",
		"}{":                              "}{",
		"{fd.a b}":                        "{fd.a b}",
		"{fd.loop{}":                      "{fd.loop{}",
		"{fd.\n}":                         "{fd.\n}",
		"${generation} $${fd.web}":        "${generation} $${fd.web}",
		`${fd.nobody} \{fd.nobody}`:       `${fd.nobody} {fd.nobody}`,
		`\{generation}{\{generation}}`:    "{generation}{{generation}}",
		`\\{generation} \{x} \{ \`:        `\{generation} \{x} \{ \`,
		`$x{generation}`:                  "$x7",
		"${x}{generation}":                "${x}7",
	} {
		got, err := Expand(in, 7, fd)
		if err != nil || got != want {
			t.Errorf("Expand(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	_, err := Expand("x {fd.wbe}", 1, fd)
	wantError(t, err, "{fd.wbe}", `no endpoint is named "wbe"`, "SWAPINIT_LISTEN", "backslash")
	_, err = Expand("{fd.web}", 1, nil)
	wantError(t, err, "{fd.web}")
	_, err = Expand("{fd."+strings.Repeat("\u202e", 9000)+"}", 1, nil)
	wantError(t, err, "no endpoint")
	// What was put in is not looked at again.
	if got, err := Expand("{fd.web}generation}", 1, fd); err != nil || got != "3generation}" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"a 'b' \"c\" \\d", "'", "\"\\", "a\\\n b", "\\\n\\\n \\\n", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := Words(s)
		if err != nil {
			checkMessage(t, err)
			return
		}
		again, err := Words(text.ShellWords(words))
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q -> %q -> %q, %v", s, words, again, err)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"a 'b' # c\n", "\n# x\na \\\n b", "a\nb", "\ufeff'", "a\r\r\n", "a '\n' b\\\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		command, err := Target(data)
		if !bytes.Equal(before, data) {
			t.Error("input changed")
		}
		if err != nil {
			checkMessage(t, err)
			return
		}
		if len(command) == 0 || command[0] == "" {
			t.Errorf("no command in %q and no error", data)
		}
		text, err := FormatTarget(command)
		if err != nil {
			if len(data) < maxTarget/8 {
				t.Errorf("FormatTarget(%q): %v", command, err)
			}
			return
		}
		if again, err := Target(text); err != nil || !slices.Equal(again, command) {
			t.Errorf("%q -> %q -> %q, %v", data, command, again, err)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"{fd.web}", "{generation}", "{{fd.x}", "{fd.\x1b}", "{fd.{fd.web}}", "{", "${generation}", `\{fd.web}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Expand(s, 2, func(name string) (int, bool) { return 3, name == "web" })
		if err != nil {
			checkMessage(t, err)
			return
		}
		replaced := strings.NewReplacer("${", "x", `\{`, "x").Replace(s)
		if strings.Count(got, "}")+strings.Count(replaced, "{generation}")+strings.Count(replaced, "{fd.web}") != strings.Count(s, "}") {
			t.Errorf("Expand(%q) = %q", s, got)
		}
	})
}
