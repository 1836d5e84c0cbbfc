// Package docs_test holds the pages to what they speak of: their links lead
// somewhere, every variable that they name exists, and what stands in the code as
// a table is there as it is in the code.
package docs_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/ready"
)

const (
	environmentPage = "environment.md"
	controlPage     = "control.md"
)

var update = flag.Bool("update", false, "write the tables of the pages again")

// pages lists the README and every page of this folder.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 5 || !slices.Contains(found, environmentPage) {
		t.Fatalf("found only %q: are these the docs?", found)
	}
	recipes, err := filepath.Glob("cookbook/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(found, recipes...), "../README.md")
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var fence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// prose is a page without its fenced code, in which # and [] are no Markdown.
func prose(page string) string { return fence.ReplaceAllString(page, "") }

var heading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)

// anchors are the fragments that the headings of a page can be reached by, in
// the way of GitHub: lower case, blanks are -, punctuation is left out, and a
// name that is there already gets a number.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(prose(page), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		unique := name
		for n := 1; found[unique]; n++ {
			unique = name + "-" + string(rune('0'+n))
		}
		found[unique] = true
	}
	return found
}

var (
	link = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	code = regexp.MustCompile("`[^`\n]+`")
)

// TestLinks follows every relative link of the pages to a file and, in a page,
// to a heading.
func TestLinks(t *testing.T) {
	followed := 0
	for _, page := range pages(t) {
		text := read(t, page)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(prose(text), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			followed++
			target, fragment, hasFragment := strings.Cut(m[1], "#")
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			if hasFragment && !anchors(read(t, file))[fragment] {
				t.Errorf("%s links to %s: %s has no such heading", page, m[1], file)
			}
		}
	}
	if followed < 20 {
		t.Errorf("only %d links were found: the test has gone blind", followed)
	}
}

// settings are the names in the table of settings.
func settings() (names []string) {
	for _, v := range config.Variables(pid1.Parsers()) {
		names = append(names, v.Name)
	}
	return names
}

// variable is a whole name; SWAPINIT_* and SWAPINIT_… are not.
var variable = regexp.MustCompile(config.Prefix + `[A-Z0-9_]*[A-Z0-9]`)

// runtimeVariables are the names that a server gets, as the environment page
// lists them: the part that is about them and not about settings.
func runtimeVariables(t *testing.T) []string {
	t.Helper()
	_, part, found := strings.Cut(read(t, environmentPage), "\n## Variables that the server gets\n")
	part, _, ended := strings.Cut(part, "\n## ")
	names := variable.FindAllString(part, -1)
	if !found || !ended || len(names) == 0 {
		t.Fatal("the environment page does not say what the server gets")
	}
	return names
}

// TestVariables finds names in the pages that no setting and no runtime
// variable has: misspelt, renamed, or of another version.
func TestVariables(t *testing.T) {
	known := append(settings(), runtimeVariables(t)...)
	for _, page := range pages(t) {
		text := read(t, page)
		if page == environmentPage {
			// Its example of an error is about a name that does not exist.
			const example = `cannot use SWAPINIT_LITSEN=`
			if !strings.Contains(text, example) {
				t.Errorf("%s has lost its example of a misspelt name", page)
			}
			text = strings.ReplaceAll(text, example, "")
		}
		seen := map[string]bool{}
		for _, name := range variable.FindAllString(text, -1) {
			if !slices.Contains(known, name) && !seen[name] {
				seen[name] = true
				t.Errorf("%s mentions %s, which does not exist", page, name)
			}
		}
	}
}

// TestEverySourceIsDocumented looks for each readiness source in the pages that
// are about them.
func TestEverySourceIsDocumented(t *testing.T) {
	rows, list := read(t, "swap.md"), read(t, environmentPage)
	for _, name := range regexp.MustCompile(`(^|, )[a-z]+(:/*)?`).FindAllString(ready.Forms(), -1) {
		name = strings.TrimPrefix(name, ", ")
		if !strings.Contains(rows, "\n| `"+name) || !strings.Contains(list, name) {
			t.Errorf("%q is not documented", name)
		}
	}
}

// TestDiffs holds the diffs of the pages to the files that they change: what
// they leave as it is must be there.
func TestDiffs(t *testing.T) {
	for _, page := range pages(t) {
		for _, diff := range regexp.MustCompile("(?s)\n```diff\n(.*?)\n```\n").FindAllStringSubmatch(read(t, page), -1) {
			file := ""
			for _, line := range strings.Split(diff[1], "\n") {
				if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
					file = read(t, "../"+name)
				}
				if text, ok := strings.CutPrefix(line, " "); ok && !strings.Contains(file, text+"\n") {
					t.Errorf("%s: the file has no line %q", page, text)
				}
			}
		}
	}
}

// TestEverySettingIsDocumented looks for each setting in the page that is
// about them.
func TestEverySettingIsDocumented(t *testing.T) {
	mentioned := variable.FindAllString(read(t, environmentPage), -1)
	for _, name := range settings() {
		if !slices.Contains(mentioned, name) {
			t.Errorf("%s says nothing about %s", environmentPage, name)
		}
	}
}
