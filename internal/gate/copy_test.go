package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The copy is executable, follows no link, and is not written again for nothing.
func TestCopyProgram(t *testing.T) {
	dir, from := t.TempDir(), filepath.Join(t.TempDir(), "program")
	to := filepath.Join(dir, program)
	text := strings.Repeat("program", 20000)
	must(t, os.WriteFile(from, []byte(text), 0o700))
	victim := filepath.Join(dir, "victim")
	must(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	must(t, os.Symlink(victim, to))

	check := func(want string) os.FileInfo {
		t.Helper()
		must(t, copyProgram(from, dir))
		got, err := os.ReadFile(to)
		must(t, err)
		info, err := os.Lstat(to)
		must(t, err)
		if string(got) != want || info.Mode() != 0o755 {
			t.Errorf("the copy has %d bytes, want %d, and the mode %v", len(got), len(want), info.Mode())
		}
		return info
	}
	first := check(text)
	if again := check(text); !os.SameFile(first, again) {
		t.Error("the same was copied again")
	}
	same := filepath.Join(dir, "victim")
	must(t, os.Rename(to, same))
	must(t, os.Symlink(same, to))
	check(text) // and not by what the link leads to
	must(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	must(t, os.Chmod(to, 0o777))
	if again := check(text); os.SameFile(first, again) {
		t.Error("one that anybody can write to was kept")
	}
	text = "P" + text[1:]
	must(t, os.WriteFile(from, []byte(text), 0o700))
	check(text)
	if got, _ := os.ReadFile(victim); string(got) != "untouched" {
		t.Errorf("what a link leads to has %q", got)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
	must(t, os.Remove(to))
	must(t, os.Mkdir(to, 0o700))
	if err := copyProgram(from, dir); err == nil {
		t.Error("a directory was replaced")
	}
	if names, _ = os.ReadDir(dir); len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
}

// write writes a file and the folders above it.
func write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(text), 0o644))
}
