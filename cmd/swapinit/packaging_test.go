//go:build linux

package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the completions and man pages again")

const (
	packaging = "../../packaging"
	written   = "written by go test ./cmd/swapinit -update"
)

// fresh holds a file of packaging/ to what is written from the tables; with -update it
// writes the file.
func fresh(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(packaging, name)
	got, err := os.ReadFile(file)
	switch {
	case err == nil && string(got) == want:
	case *update:
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case err != nil:
		t.Errorf("%v; run: go test ./cmd/swapinit -update", err)
	default:
		t.Errorf("packaging/%s is stale; run: go test ./cmd/swapinit -update", name)
	}
}

// initFlag is a flag of the init.
type initFlag struct {
	names []string // -r, --rewrite
	value string   // FROM:TO, "" for none
	means string
	again bool // it may be repeated
}

var (
	flagLine = regexp.MustCompile(`(?m)^  (-[\w-]+(?:, -[\w-]+)*)(?: (\S+))?  +(\S.*)$`)
	flagNote = regexp.MustCompile(` \((repeatable)?;? ?(--[a-z-]+)?(?:; [a-z]+)?\)$`)
)

// initFlags reads them from the help.
func initFlags(t *testing.T) (list []initFlag) {
	t.Helper()
	for _, m := range flagLine.FindAllStringSubmatch(usageFlags, -1) {
		f := initFlag{names: strings.Split(m[1], ", "), value: m[2], means: m[3]}
		if note := flagNote.FindStringSubmatch(f.means); note != nil {
			f.means, f.again = strings.TrimSuffix(f.means, note[0]), note[1] != ""
			if note[2] != "" {
				f.names = append(f.names, note[2])
			}
		}
		list = append(list, f)
	}
	return list
}

// The help has every flag that is accepted, and its notes are understood.
func TestInitFlags(t *testing.T) {
	var got []string
	for _, f := range initFlags(t) {
		line := strings.Join(f.names, " ")
		if f.value != "" {
			line += "=" + f.value
		}
		if f.again {
			line += " ..."
		}
		if f.means == "" || strings.ContainsAny(f.means, "()") {
			t.Errorf("%s: %q", line, f.means)
		}
		got = append(got, line)
	}
	const want = "-g; -e=N ...; -r --rewrite=FROM:TO ...; -p=SIGNAL; -v --verbose ...; -w; -c -s --single-child; -V --version; -h --help"
	if line := strings.Join(got, "; "); line != want {
		t.Errorf("flags %s\nwant  %s", line, want)
	}
}
