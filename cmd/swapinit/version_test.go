//go:build linux

package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parsed is what dockerd makes of its init's --version (moby's parseInitVersion): ok,
// unless it would warn.
func parsed(out string) (commit string, ok bool) {
	parts := strings.Split(out, " - ")
	if len(parts) >= 2 {
		git := strings.Split(strings.TrimSpace(parts[1]), ".")
		if len(git) == 2 && git[0] == "git" {
			commit = git[1]
		}
	}
	return commit, commit != "" || strings.HasPrefix(parts[0], "tini version ")
}

// dockerd can read the line, also where nobody has said which version this is.
func TestVersionLine(t *testing.T) {
	if got, want := versionLine("1.2.3", "0123abc"), "swapinit 1.2.3 - git.0123abc"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, v := range [][2]string{{version, commit}, {"1.2.3", "0123abc"}, {"1.2.3-rc.1", "0123abc-dirty"}} {
		if got, ok := parsed(versionLine(v[0], v[1]) + "\n"); !ok || got != v[1] {
			t.Errorf("%q: commit %q, %v", v, got, ok)
		}
	}
}

// The version is the last release in the changelog, or comes after it.
func TestVersionOfChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	released := regexp.MustCompile(`(?m)^## \[([0-9.]+)\] - `).FindSubmatch(text)
	if released == nil {
		t.Fatal("CHANGELOG.md has no release")
	}
	if last := string(released[1]); version != last && (!strings.HasSuffix(version, "-dev") || version == last+"-dev") {
		t.Errorf("version is %s, the last release %s: want that, or the next one and -dev", version, last)
	}
}

// VERSION and COMMIT of the Makefile arrive.
func TestVersionOfMake(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "swapinit " + version + " - git.unknown\n"},
		{[]string{"VERSION=1.2.3", "COMMIT=0123abc"}, "swapinit 1.2.3 - git.0123abc\n"},
	} {
		bin := t.TempDir() + "/docker-init"
		cmd := exec.Command("make", append([]string{"--no-print-directory", "-s", "-C", "../..", "build", "BIN=" + bin}, c.args...)...)
		// Whoever runs the tests may have said which version this is.
		cmd.Env = slices.DeleteFunc(append(os.Environ(), "GOOS=linux"), func(kv string) bool {
			return strings.HasPrefix(kv, "VERSION=") || strings.HasPrefix(kv, "COMMIT=")
		})
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make build: %v\n%s", err, out)
		}
		for _, arg := range []string{"--version", "version"} {
			cmd := exec.Command(bin, arg)
			cmd.Env = []string{"SWAPINIT_CONTROL=off", "SWAPINIT_NOTHING=1"}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != c.want {
				t.Errorf("%s %s: %v, %q, want %q", c.args, arg, err, out, c.want)
			}
		}
	}
}
