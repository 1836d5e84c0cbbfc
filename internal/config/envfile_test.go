package config

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvFile(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []KV
	}{
		{"", nil},
		{"\n# comment\n  # another\n \t\n", nil},
		{"A=1\nB=2", []KV{{"A", "1"}, {"B", "2"}}},
		{"\ufeffA=1\r\n\r\n# c\r\nB=\r\n", []KV{{"A", "1"}, {"B", ""}}},
		{"A=1\r", []KV{{"A", "1"}}},
		{"export A=1\nexport\tB=2\nexport=3\nexported=4", []KV{{"A", "1"}, {"B", "2"}, {"export", "3"}, {"exported", "4"}}},
		{" A = b c  \n_x9=1", []KV{{"A", "b c"}, {"_x9", "1"}}},
		{"A=b # c\nB=b#c\nC=#c\nD= # c\nE=b\t#", []KV{{"A", "b"}, {"B", "b#c"}, {"C", "#c"}, {"D", ""}, {"E", "b"}}},
		{`A='a # b' # c` + "\n" + `B="x=y"`, []KV{{"A", "a # b"}, {"B", "x=y"}}},
		{`A="\n\r\t\"\\\$\x"`, []KV{{"A", "\n\r\t\"\\$\\x"}}},
		{`A='\n\'\\'`, []KV{{"A", `\n'\\`}}},
		{"A='' \nB=\"\"", []KV{{"A", ""}, {"B", ""}}},
		{"A='l1\nl2'\nB=\"l1\r\nl2\" # c\r\nC=1", []KV{{"A", "l1\nl2"}, {"B", "l1\nl2"}, {"C", "1"}}},
		{"A=$HOME ${X} `id`", []KV{{"A", "$HOME ${X} `id`"}}},
		{"A=it's\nB=a\"b\"", []KV{{"A", "it's"}, {"B", `a"b"`}}},
		{"A=1\nA=2", []KV{{"A", "1"}, {"A", "2"}}},
		{"A=x=y=", []KV{{"A", "x=y="}}},
		{"swapinit_log=1\nSWAPINIT=1", []KV{{"swapinit_log", "1"}, {"SWAPINIT", "1"}}},
		{"NGINX={fd.web};", []KV{{"NGINX", "{fd.web};"}}},
	} {
		got, err := EnvFile([]byte(c.in))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("EnvFile(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]string{
		"A=1\nB":                         `line 2: no =`,
		"export A":                       `line 1: no =`,
		"\n\n1A=1":                       `line 3: "1A" is not a name`,
		"=1":                             `line 1: "" is not a name`,
		"export =1":                      `line 1: "" is not a name`,
		"A-B=1":                          `"A-B" is not a name`,
		"A B=1":                          `"A B" is not a name`,
		"É=1":                            `"É" is not a name`,
		"\x1b[31m=1":                     `"\x1b[31m" is not a name`,
		"A=1\n\nB='x\ny\n":               "line 3: unclosed quote",
		`A="x\"`:                         "line 1: unclosed quote",
		"A='x\ny' z":                     `line 2: text after the closing quote`,
		"A='l\nm'\nB":                    "line 3: no =",
		"A=\"l\\\nm\"\nB":                "line 3: no =",
		"A=\"l\r\nm\"\r\nB":              "line 3: no =",
		`A="x"#c"`:                       "", // see below
		"A=1\nB=\x00":                    "line 2: NUL",
		"A=1\nSWAPINIT_LOG=debug":        "line 2: SWAPINIT_LOG would have no effect here",
		"SWAPINIT_GENERATION=1":          "line 1: SWAPINIT_GENERATION would have no effect here",
		strings.Repeat("A=1\n", 1<<18+1): "larger than 1 MiB",
	} {
		_, err := EnvFile([]byte(in))
		if want == "" { // a comment may follow a closing quote at once
			if err != nil {
				t.Errorf("EnvFile(%q): %v", in, err)
			}
			continue
		}
		wantError(t, err, "cannot read environment file", want)
	}
}

func FuzzEnvFile(f *testing.F) {
	for _, s := range []string{"export A='b\n' # c\r\nB=\"\\n\"\n", "A", "=", "A='", "SWAPINIT_X=1", "\x00", "A= \t#\r", "\ufeff#"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kvs, err := EnvFile(data)
		if err != nil {
			checkMessage(t, err)
			return
		}
		var b strings.Builder
		for _, kv := range kvs {
			if !validKey(kv.Key) || strings.HasPrefix(kv.Key, Prefix) || strings.Contains(kv.Value, "\x00") {
				t.Errorf("%q from %q", kv, data)
			}
			// Written with all escapes it must read back the same.
			value := strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\n", "\\n", "\r", "\\r", "$", "\\$").Replace(kv.Value)
			b.WriteString("export " + kv.Key + "=\"" + value + "\"\n")
		}
		if b.Len() > maxEnvFile {
			return
		}
		again, err := EnvFile([]byte(b.String()))
		if err != nil || !slices.Equal(again, kvs) {
			t.Errorf("%q -> %q -> %q, %v", data, kvs, again, err)
		}
	})
}
