//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
)

func TestVerbOf(t *testing.T) {
	for _, v := range strings.Fields("swap status health stop restart rollback promote message gate wait check metrics version help") {
		if name, rest, ok := verbOf([]string{v, "--json", "x"}); !ok || name != v || !slices.Equal(rest, []string{"--json", "x"}) {
			t.Errorf("%s: got %q %q %v", v, name, rest, ok)
		}
	}
	for _, line := range []string{"", "bash", "Swap", "-- swap", "-v swap", "/swap", "-h", "swapinit"} {
		if name, rest, ok := verbOf(strings.Fields(line)); ok || name != "" || rest != nil {
			t.Errorf("%q: got %q %q %v", line, name, rest, ok)
		}
	}
	if _, _, ok := verbOf([]string{""}); ok {
		t.Error("an empty argument is no verb")
	}
}

// What docs/ quotes of a verb's usage is what it says.
func TestUsageInDocs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, usage, quoted := strings.Cut(line, "accepted: swapinit ")
			if !quoted {
				continue
			}
			found++
			verb, _, _ := strings.Cut(usage, " ")
			if want, _ := verbUsage("swapinit", verb); strings.TrimSpace(usage) != strings.TrimPrefix(want, "swapinit ") {
				t.Errorf("%s: %q, want %q", page, usage, want)
			}
		}
	}
	if found == 0 {
		t.Error("no page quotes one")
	}
}

// The help is about the program as it was started.
func TestUsageOfAnEngine(t *testing.T) {
	text := usage("/sbin/docker-init")
	if _, lines, _ := strings.Cut(text, "\n"); strings.Contains(lines, "swapinit ") || !strings.Contains(text, "\n  /sbin/docker-init swap [--no-wait]") {
		t.Errorf("it names swapinit:\n%s", text)
	}
	if out := usage("swapinit"); !strings.Contains(out, "\n  swapinit [flags] [--] command [arg...]     run command as init") {
		t.Errorf("the first line is not aligned:\n%s", out)
	}
}

func TestUsageIsComplete(t *testing.T) {
	text := usage("swapinit")
	fields := strings.Fields(text)
	known := 0
	for _, v := range config.Variables(pid1.Parsers()) {
		if slices.Contains(fields, v.Name) {
			known++
		} else {
			t.Errorf("%s is missing", v.Name)
		}
	}
	for _, name := range fields {
		if strings.HasPrefix(name, config.Prefix) {
			known--
		}
	}
	if known != 0 {
		t.Error("some setting is there twice, or is none")
	}
	for _, name := range []string{"single-child", "rewrite", "verbose", "version", "help"} {
		if !strings.Contains(text, "--"+name) {
			t.Errorf("--%s is missing", name)
		}
	}
	for _, letter := range "gerpvwcsVh" {
		if !strings.Contains(text, "-"+string(letter)) {
			t.Errorf("-%c is missing", letter)
		}
	}
	for _, v := range verbs {
		if found := strings.Contains(text, "\n  swapinit "+v.name); found != (v.help != "") {
			t.Errorf("swapinit %s is there: %v", v.name, found)
		}
		for _, arg := range strings.Fields(v.args) {
			if !strings.Contains(text, arg) {
				t.Errorf("%s of %s is missing", arg, v.name)
			}
		}
	}
	if !strings.Contains(text, "docs/environment.md") {
		t.Error("it does not say where the settings are described")
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 90 || strings.HasSuffix(line, " ") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
		t.Error("not one newline at the end")
	}
}
