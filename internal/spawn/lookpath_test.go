package spawn

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestLookPath(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a", "b", "c/tool"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root+"/a/tool", "", 0o644) // not executable: the search goes on
	write(t, root+"/b/tool", "", 0o755)
	write(t, root+"/a/only", "", 0o644)
	write(t, root+"/here", "", 0o755)
	if err := os.Symlink("loop", root+"/loop"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(root+"/a/fifo", 0o755); err != nil {
		t.Fatal(err)
	}
	a, b, c := root+"/a", root+"/b", root+"/c"
	for _, x := range []struct{ file, path, dir, want string }{
		{"tool", a + ":" + b, "", b + "/tool"},
		{"tool", c + ":" + b, "", b + "/tool"}, // a directory of that name
		{"tool", "/none:" + root + "/here:" + b, "", b + "/tool"},
		{"tool", b + "/", "", b + "//tool"},
		{"tool", "a:b", root, "b/tool"},
		{"tool", "a:b", root + "/", "b/tool"},
		{"here", ":" + b, root, "./here"},
		{"here", b + ":", root, "./here"},
		{"here", b + "::" + a, root, "./here"},
		{"here", ".", root, "./here"},
		{"./here", "", root, "./here"},
		{"b/tool", "/none", root, "b/tool"},
		{b + "/tool", "", "/none", b + "/tool"},
		{"sh", "", "", ""}, // the default PATH: wherever it is
	} {
		got, err := LookPath(x.file, x.path, x.dir)
		if err != nil || got != x.want && x.want != "" {
			t.Errorf("LookPath(%q, %q, %q) = %q, %v; want %q", x.file, x.path, x.dir, got, err, x.want)
		}
	}
	for _, x := range []struct {
		file, path, dir string
		status          int
		is              error
		text            string
	}{
		{"", "", "", 127, syscall.ENOENT, `cannot find command "": its name is empty`},
		{"none", a + ":" + b, "", 127, syscall.ENOENT, "cannot find command \"none\": no such file or directory in PATH \"" + a + ":" + b + `"`},
		{"none-such-tool", "", "", 127, syscall.ENOENT, "in PATH \"" + defaultPath + `"`},
		{"here", b, root, 127, syscall.ENOENT, "cannot find"}, // no empty element: the directory itself is not searched
		{root + "/none", "", "", 127, syscall.ENOENT, "cannot find"},
		{root + "/here/x", "", "", 127, syscall.ENOTDIR, "cannot find"},
		{"./none", "", root, 127, syscall.ENOENT, "cannot find"},
		{"only", b + ":" + a + ":/none", "", 126, syscall.EACCES, "cannot execute \"" + a + `/only"`},
		{"tool", a + ":" + c, "", 126, syscall.EACCES, "cannot execute \"" + a + `/tool"`},
		{"tool", c + ":" + a, "", 126, syscall.EISDIR, "is a directory"},
		{"fifo", a, "", 126, syscall.EACCES, "permission denied"},
		{root, "", "", 126, syscall.EISDIR, "is a directory"},
		{"./", "", root, 126, syscall.EISDIR, "is a directory"},
		{"./loop", "", root, 126, syscall.ELOOP, "too many levels"},
	} {
		got, err := LookPath(x.file, x.path, x.dir)
		if got != "" {
			t.Errorf("LookPath(%q, %q, %q) = %q", x.file, x.path, x.dir, got)
		}
		fails(t, err, "lookup", x.status, x.is, x.text)
	}
}

// What LookPath returns is what Fork takes, relative to the same directory.
func TestLookPathThenFork(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(root+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, root+"/bin/tool", "#!/bin/sh\nexit 9\n", 0o755)
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		for _, x := range []struct{ file, path, dir string }{{"tool", "bin", root}, {"tool", "", root + "/bin"}, {"bin/tool", "", root}} {
			if x.path == "" && x.file == "tool" {
				x.path = ":"
			}
			path, err := LookPath(x.file, x.path, x.dir)
			if err != nil {
				t.Error(err)
				continue
			}
			if _, ws, err := run(t, through(Spec{Path: path, Dir: x.dir, Tty: -1})); err != nil || ws.ExitStatus() != 9 {
				t.Errorf("%+v: %v, status %d", x, err, ws.ExitStatus())
			}
		}
	})
}
