package lint

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestInstall: `make install` puts each file in its place, and nothing else anywhere.
func TestInstall(t *testing.T) {
	for _, prefix := range []string{"", "/opt/swapinit"} {
		dir := t.TempDir()
		bin := filepath.Join(t.TempDir(), "swapinit")
		args := []string{"--no-print-directory", "-s", "install", "DESTDIR=" + dir, "BIN=" + bin}
		if prefix != "" {
			args = append(args, "PREFIX="+prefix)
		} else {
			prefix = "/usr"
		}
		command(t, root, nil, "make", args...)
		want := map[string]string{ // where it comes from
			"bin/swapinit":                                  bin,
			"libexec/swapinit/docker-init":                  bin,
			"share/man/man1/swapinit.1":                     root + "/packaging/man/swapinit.1",
			"share/man/man1/swapinit-gate.1":                root + "/packaging/man/swapinit-gate.1",
			"share/man/man5/swapinit.env.5":                 root + "/packaging/man/swapinit.env.5",
			"share/bash-completion/completions/swapinit":    root + "/packaging/completion/swapinit.bash",
			"share/zsh/site-functions/_swapinit":            root + "/packaging/completion/_swapinit",
			"share/fish/vendor_completions.d/swapinit.fish": root + "/packaging/completion/swapinit.fish",
			"share/doc/swapinit/NOTICES":                    root + "/NOTICES",
			"share/doc/swapinit/engine-init.md":             root + "/docs/engine-init.md",
		}
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			path, err := filepath.Rel(dir+prefix, name)
			if err != nil {
				return err
			}
			source, known := want[path]
			if !known {
				t.Errorf("%s is installed", name)
				return nil
			}
			delete(want, path)
			mode := fs.FileMode(0o644)
			if source == bin {
				mode = 0o755
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			got, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			from, err := os.ReadFile(source)
			if err != nil {
				return err
			}
			if info.Mode() != mode || !bytes.Equal(got, from) {
				t.Errorf("%s: mode %v, as %s: %v", name, info.Mode(), source, bytes.Equal(got, from))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for path := range want {
			t.Errorf("%s is missing", path)
		}
	}
}
