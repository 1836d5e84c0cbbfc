package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// built is what `make install` puts into place for one architecture.
type built struct {
	arch
	root string // the folder that stands for /
}

func (b built) program() string { return b.root + "/usr/bin/swapinit" }

// build makes the files of one architecture.
func (r *release) build(a arch) (built, error) {
	b := built{a, filepath.Join(r.work, a.label(), "root")}
	env := []string{"GOOS=linux", "GOARCH=" + a.name, "GOARM=" + a.goarm}
	err := r.command(env, "make", "--no-print-directory", "-s", "install", "DESTDIR="+b.root,
		"BIN="+filepath.Join(r.work, a.label(), "swapinit"), "VERSION="+r.version, "COMMIT="+r.commit)
	if err != nil {
		return b, err
	}
	if err := r.archive(b); err != nil {
		return b, err
	}
	if err := r.packages(b); err != nil {
		return b, err
	}
	// From the program itself: what the linker put in, not what go.mod lists.
	return b, r.command(env, filepath.Join(r.work, "cyclonedx-gomod"), "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", "v"+r.version, "-output", r.file(a, ".cdx.json"), b.program())
}

// archive writes the .tar.gz: the same folders as a package, below bin/, libexec/, share/.
func (r *release) archive(b built) error {
	var data bytes.Buffer
	t := tar.NewWriter(&data)
	top := "swapinit-" + r.version + "/"
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := r.add(t, top+name, text, 0o644); err != nil {
			return err
		}
	}
	// In the order of the names, as WalkDir has them.
	err := filepath.WalkDir(b.root+"/usr", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return r.add(t, top+strings.TrimPrefix(path, b.root+"/usr/"), text, info.Mode().Perm())
	})
	if err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	packed, err := pack(data.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(r.file(b.arch, ".tar.gz"), packed, 0o644)
}

// add writes one file, of root's, with the time of the release.
func (r *release) add(t *tar.Writer, name string, text []byte, mode fs.FileMode) error {
	err := t.WriteHeader(&tar.Header{Name: name, Mode: int64(mode), Size: int64(len(text)), ModTime: r.at, Format: tar.FormatUSTAR})
	if err != nil {
		return err
	}
	_, err = t.Write(text)
	return err
}

// packages writes .deb, .rpm and .apk. What only one of them has stands in nfpm.yaml.
func (r *release) packages(b built) error {
	pages, err := filepath.Glob(b.root + "/usr/share/man/*/*")
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := compress(page, page+".gz"); err != nil {
			return err
		}
		if err := os.Remove(page); err != nil {
			return err
		}
	}
	extra := filepath.Join(filepath.Dir(b.root), "extra")
	if err := os.MkdirAll(extra, 0o755); err != nil {
		return err
	}
	// Debian's policy, 12.7: the packager's changelog, and beside it the project's.
	text := fmt.Sprintf("swapinit (%s-1) unstable; urgency=medium\n\n  * Version %s: see changelog.gz.\n\n -- %s  %s\n",
		r.version, r.version, maintainer, r.at.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	if err := os.WriteFile(extra+"/changelog.Debian", []byte(text), 0o644); err != nil {
		return err
	}
	if err := compress(extra+"/changelog.Debian", extra+"/changelog.Debian.gz"); err != nil {
		return err
	}
	if err := compress("CHANGELOG.md", extra+"/changelog.gz"); err != nil {
		return err
	}
	for _, name := range []string{"LICENSE", "packaging/debian/copyright", "packaging/debian/lintian-overrides"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(extra, filepath.Base(name)), text, 0o644); err != nil {
			return err
		}
	}
	// A tree has the modes and times of its files, so these are made equal everywhere.
	for _, dir := range []string{b.root, extra} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			// What others may do depends on the umask; who may run it does not.
			mode := fs.FileMode(0o644)
			if info.Mode()&0o100 != 0 {
				mode = 0o755
			}
			if err := os.Chmod(path, mode); err != nil {
				return err
			}
			return os.Chtimes(path, r.at, r.at)
		})
		if err != nil {
			return err
		}
	}
	env := []string{"ARCH=" + b.nfpm, "VERSION=" + r.version, "ROOT=" + b.root, "EXTRA=" + extra, "MAINTAINER=" + maintainer}
	zsh := b.root + "/usr/share/zsh/"
	for _, kind := range []string{"rpm", "apk", "deb"} {
		if kind == "deb" {
			// Debian's zsh does not look into site-functions.
			if err := os.Rename(zsh+"site-functions", zsh+"vendor-completions"); err != nil {
				return err
			}
			if err := os.Chtimes(zsh, r.at, r.at); err != nil {
				return err
			}
		}
		if err := r.command(env, filepath.Join(r.work, "nfpm"), "package", "--config", "packaging/nfpm.yaml",
			"--packager", kind, "--target", r.file(b.arch, "."+kind)); err != nil {
			return err
		}
	}
	return nil
}

// maintainer is an address that GitHub takes for a name and no mail is read at;
// SECURITY.md has the way for reports.
const maintainer = "The swapinit authors <swapinit@users.noreply.github.com>"

// compress writes a file as gzip.
func compress(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	packed, err := pack(text)
	if err != nil {
		return err
	}
	return os.WriteFile(to, packed, 0o644)
}

// pack compresses with gzip, without a name and a time.
func pack(text []byte) ([]byte, error) {
	var data bytes.Buffer
	z, err := gzip.NewWriterLevel(&data, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	err = z.Close() // before the bytes are taken: it writes the last of them
	return data.Bytes(), err
}
