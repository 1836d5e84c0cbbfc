package folder

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func all(t *testing.T, path string) (names []string) {
	t.Helper()
	if err := Each(path, func(name string) bool { names = append(names, name); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestEach(t *testing.T) {
	dir := t.TempDir()
	if got := all(t, dir); len(got) > 0 {
		t.Errorf("%q in an empty folder", got)
	}
	// More than one block, and names of all lengths.
	var want []string
	for k := range 500 {
		name := strconv.Itoa(k) + strings.Repeat("n", k%250)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	slices.Sort(want)
	if got := all(t, dir); !slices.Equal(got, want) {
		t.Errorf("%d names, want %d", len(got), len(want))
	}
	calls := 0
	if err := Each(dir, func(string) bool { calls++; return calls < 3 }); err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestEachCannot(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(dir, "absent"): unix.ENOENT, fifo: unix.ENOTDIR} {
		if err := Each(path, func(string) bool { return true }); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}
