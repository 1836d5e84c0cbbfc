//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fleetSection is what docs/fleet.md has for one engine.
type fleetSection struct {
	title string
	marks []string // how it was checked
	files map[string]string
	typed []pageCommand
}

const (
	fleetRunMark    = "**Run by a test**"
	fleetParsedMark = "**Parsed by a test, not run**"
	fleetToldMark   = "**From documentation**"
)

var fleetMark = regexp.MustCompile(`\*\*(Run|Parsed|From) [^*]*\*\*`)

// fleetPage reads the page. It is strict: what it does not understand fails the test.
func fleetPage(t *testing.T) (sections []*fleetSection) {
	t.Helper()
	text, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	s := &fleetSection{} // what is before the first one
	file := ""
	lines := strings.Split(string(text), "\n")
	for n := 0; n < len(lines); n++ {
		line := lines[n]
		title, heading := strings.CutPrefix(line, "## ")
		language, fence := strings.CutPrefix(line, "```")
		name := pageFileName.FindStringSubmatch(line)
		switch {
		case heading:
			s = &fleetSection{title: title, files: map[string]string{}}
			sections = append(sections, s)
		case name != nil:
			file = name[1]
		case fence:
			end := slices.Index(lines[n+1:], "```") + n + 1
			if end == n {
				t.Fatalf("line %d: a block without an end", n+1)
			}
			if err := s.block(file, language, lines[n+1:end]); err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
			n, file = end, ""
		case line != "" && file != "":
			t.Fatalf("line %d: %s is not followed by its block", n+1, file)
		default:
			s.marks = append(s.marks, fleetMark.FindAllString(line, -1)...)
		}
	}
	return sections
}

// block takes a fenced block.
func (s *fleetSection) block(file, language string, lines []string) error {
	switch {
	case s.files == nil:
		return fmt.Errorf("a block before the first section")
	case file != "" && s.files[file] != "":
		return fmt.Errorf("%s is there twice", file)
	case file != "":
		s.files[file] = strings.Join(lines, "\n") + "\n"
	case language != "console":
		return fmt.Errorf("a block that is neither a file nor a console")
	default:
		typed, err := pageConsole(lines)
		s.typed = append(s.typed, typed...)
		return err
	}
	return nil
}

// save writes the files of the section into a new folder. Scripts can be executed there.
func (s *fleetSection) save(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	pageSave(t, dir, s.files)
	for name, text := range s.files {
		if strings.HasPrefix(text, "#!") {
			if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// command is the one that begins like this.
func (s *fleetSection) command(t *testing.T, begin string) pageCommand {
	t.Helper()
	for _, c := range s.typed {
		if strings.HasPrefix(c.line, begin) {
			return c
		}
	}
	t.Fatalf("the section does not show %q", begin)
	return pageCommand{}
}

// fleetShell types a line.
func fleetShell(t *testing.T, dir string, env []string, line string) dockerResult {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	return dockerCommand(t, cmd)
}

// prints: what the page shows is what was printed, in that order.
func (c pageCommand) prints(t *testing.T, r dockerResult) {
	t.Helper()
	if len(c.output) == 0 {
		t.Errorf("the page does not show what %q prints", c.line)
	}
	inOrder(t, r.Stdout+r.Stderr, c.output...)
}

var (
	fleetRun    = map[string]func(*testing.T, *fleetSection){"Docker Swarm": fleetSwarm, "Compose over ssh": fleetSSH, "Ansible": fleetAnsible}
	fleetParsed = map[string]func(*testing.T, *fleetSection){"Nomad": fleetNomad, "Podman Quadlet": fleetQuadlet, "Kamal": fleetKamal}
)

// Every section of the page has one mark that says how it was checked, and is checked like that.
func TestFleet(t *testing.T) {
	t.Parallel()
	checked := map[string]string{}
	for _, s := range fleetPage(t) {
		if len(s.marks) != 1 {
			t.Errorf("%q has the marks %q, want one", s.title, s.marks)
			continue
		}
		if checked[s.title] != "" {
			t.Errorf("%q is there twice", s.title)
		}
		checked[s.title] = s.marks[0]
		for mark, tests := range map[string]map[string]func(*testing.T, *fleetSection){fleetRunMark: fleetRun, fleetParsedMark: fleetParsed} {
			test := tests[s.title]
			if (test != nil) != (s.marks[0] == mark) {
				t.Errorf("%q is marked %s; a test for %s: %t", s.title, s.marks[0], mark, test != nil)
			} else if test != nil && often(s.title) {
				t.Run(s.title, func(t *testing.T) {
					t.Parallel()
					test(t, s)
				})
			}
		}
		if !slices.Contains([]string{fleetRunMark, fleetParsedMark, fleetToldMark}, s.marks[0]) {
			t.Errorf("%q has an unknown mark %s", s.title, s.marks[0])
		}
		if s.marks[0] == fleetToldMark && len(s.files) > 0 {
			t.Errorf("%q has files that nobody checks", s.title)
		}
	}
	for _, tests := range []map[string]func(*testing.T, *fleetSection){fleetRun, fleetParsed} {
		for title := range maps.Keys(tests) {
			if checked[title] == "" {
				t.Errorf("the page has no section %q, which there is a test for", title)
			}
		}
	}
}
