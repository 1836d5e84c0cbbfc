//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tool is a program that a test needs. Where SWAPINIT_TEST_REQUIRE names tools a test that
// cannot run has failed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), "tools") {
			t.Fatalf("tools are required: %v", err)
		}
		t.Skipf("no %s", name)
	}
	return path
}

// output runs a command and returns what it prints on both; it has to end with 0.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	home := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home, "TERM=xterm", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

const bashOffers = `source "$1" || exit 3
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_swapinit
printf '%s\n' "${COMPREPLY[@]}"`

// shells ask a shell with completions from file what it offers for each of the lines, whose
// last word is to be completed.
var shells = map[string]func(t *testing.T, file string, lines []string) [][]string{
	"bash": func(t *testing.T, file string, lines []string) (all [][]string) {
		for _, line := range lines {
			words := strings.Split(strings.ReplaceAll(line, "=", " = "), " ")
			all = append(all, strings.Fields(output(t, "bash", append([]string{"--norc", "-c", bashOffers, "bash", file}, words...)...)))
		}
		return all
	},
	"zsh": func(t *testing.T, file string, lines []string) (all [][]string) {
		text := output(t, "zsh", append([]string{"-f", "testdata/complete.zsh", filepath.Dir(file)}, lines...)...)
		var words []string
		for word := range strings.Lines(text) {
			if word = strings.TrimSuffix(word, "\n"); word != "" {
				words = append(words, strings.TrimSuffix(word, "="))
				continue
			}
			all, words = append(all, words), nil
		}
		return all
	},
	"fish": func(t *testing.T, file string, lines []string) (all [][]string) {
		for _, line := range lines {
			var words []string
			for text := range strings.Lines(output(t, "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, line)) {
				word, _, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "\t")
				if _, value, ok := strings.Cut(word, "="); ok { // of --name=value it offers all
					word = value
				}
				words = append(words, word)
			}
			all = append(all, words)
		}
		return all
	},
}

var completionFiles = map[string]string{"bash": "swapinit.bash", "zsh": "_swapinit", "fish": "swapinit.fish"}

// optionsOf are those that are completed for a verb.
func optionsOf(verb string) (list []string) {
	usage, _ := verbUsage("", verb)
	return append(verbOptions(usage), optionHelp)
}

var completionCases = []struct {
	line string
	want []string // and nothing else, unless some
	not  []string
	some bool // others may be there
}{
	{line: "swapinit ", want: verbNames(), some: true}, // commands, too
	{line: "swapinit prom", want: []string{"promote"}, some: true},
	{line: "swapinit swap --", want: optionsOf("swap")},
	{line: "swapinit restart --f", want: []string{"--force"}},
	{line: "swapinit status --json --w", want: []string{"--watch"}},
	{line: "swapinit wait v2 --", want: optionsOf("wait")},
	{line: "swapinit swap --strategy ", want: choices("--strategy")},
	{line: "swapinit swap --strategy=h", want: []string{"handover"}},
	{line: "swapinit swap --canary ", want: []string{"off"}},
	{line: "swapinit help ", want: verbNames(), some: true},
	{line: "swapinit help roll", want: []string{"rollback"}},
	{line: "swapinit --verb", want: []string{"--verbose"}},
	{line: "swapinit -v promot", not: []string{"promote"}, some: true},
	{line: "swapinit -e 3 --verb", want: []string{"--verbose"}},
	{line: "swapinit -- promot", not: []string{"promote"}, some: true},
	{line: "swapinit swap -- bas", want: []string{"bash"}, some: true},
	{line: "swapinit -v bas", want: []string{"bash"}, some: true},
	{line: "swapinit cat --no", not: []string{"--no-wait"}, some: true},
}

// What the shells themselves offer, with the files as they are installed.
func TestShells(t *testing.T) {
	for shell, ask := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			tool(t, shell)
			file, err := filepath.Abs(filepath.Join(packaging, "completion", completionFiles[shell]))
			if err != nil {
				t.Fatal(err)
			}
			output(t, shell, "-n", file)
			var lines []string
			for _, c := range completionCases {
				lines = append(lines, c.line)
			}
			offered := ask(t, file, lines)
			if len(offered) != len(lines) {
				t.Fatalf("%d answers for %d lines: %q", len(offered), len(lines), offered)
			}
			for i, c := range completionCases {
				got := offered[i]
				slices.Sort(got)
				got = slices.Compact(got)
				for _, word := range c.want {
					if !slices.Contains(got, word) {
						t.Errorf("%q: no %s in %q", c.line, word, got[:min(len(got), 30)])
					}
				}
				for _, word := range c.not {
					if slices.Contains(got, word) {
						t.Errorf("%q: offers %s", c.line, word)
					}
				}
				if !c.some && len(got) != len(c.want) {
					t.Errorf("%q: %q, want %q", c.line, got, c.want)
				}
			}
		})
	}
}
