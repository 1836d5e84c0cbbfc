package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/environment.md anew")

func TestEnvironmentPage(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "environment.md")
	want := Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale; run: go test ./internal/config -run TestEnvironmentPage -update", page)
	}
}

func TestMarkdownIsComplete(t *testing.T) {
	text := Markdown()
	for _, heading := range []string{"## Interface", "## Settings", "## Variables that the server gets", "## Notes"} {
		if strings.Count(text, heading+"\n") != 1 {
			t.Errorf("heading %q", heading)
		}
	}
	_, settings, _ := strings.Cut(text, "## Settings\n")
	settings, _, _ = strings.Cut(settings, "\n## ")
	for _, r := range table() {
		if strings.Count(settings, "| `"+r.name+"` | ") != 1 {
			t.Errorf("not exactly one row for %s", r.name)
		}
	}
	for _, name := range runtimeNames {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is missing", name)
		}
	}
	for line := range strings.SplitSeq(settings, "\n") {
		if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
			t.Errorf("row has not four cells: %s", line)
		}
	}
	if strings.Contains(text, "^") || strings.Count(text, "`")%2 != 0 {
		t.Error("code marks are wrong")
	}
}

// The examples on the page are what Load says.
func TestMarkdownExamples(t *testing.T) {
	for _, entry := range []string{"SWAPINIT_READY_TIMEOUT=30", "SWAPINIT_LITSEN=:8080"} {
		_, err := Load([]string{entry}, []string{"x"}, testParsers())
		wantError(t, err)
		if !strings.Contains(Markdown(), "    swapinit: "+err.Error()+"\n") {
			t.Errorf("the page lacks %q", err)
		}
	}
}
