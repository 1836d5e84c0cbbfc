package kernels

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// kernel is one that is booted.
type kernel struct {
	name  string
	suite string // the release of Debian that has it
	arch  string // Go's name and Debian's
	pkg   string // depends on the newest one
}

// For amd64 they are those for clouds: the same source and patches, without most drivers.
var kernels = []kernel{
	{"5.10-amd64", "bullseye", "amd64", "linux-image-cloud-amd64"},
	{"6.1-amd64", "bookworm", "amd64", "linux-image-cloud-amd64"},
	{"6.12-amd64", "trixie", "amd64", "linux-image-cloud-amd64"},
	{"6.1-arm64", "bookworm", "arm64", "linux-image-cloud-arm64"},
}

// kernelFiles are what is taken out of the packages.
type kernelFiles struct {
	dir     string // where they are
	version string // of the package
	vmlinuz string
	busybox string   // the programs that the tests' scripts use
	modules []string // in the order in which they can be loaded
}

// wanted are these files in the packages. Modules are compressed in some, and are below
// /usr in some.
var wanted = regexp.MustCompile(`^\./(?:boot/vmlinuz-.*|(?:usr/)?bin/busybox|(?:usr/)?lib/modules/[^/]+/kernel/net/ipv4/(?:inet_diag|tcp_diag)\.ko(?:\..*)?)$`)

// cache is where packages and what was taken out of them stay, a folder for each kernel.
func (k kernel) cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "swapinit-kernels", k.suite+"-"+k.arch)
	for _, name := range []string{"state/lists/partial", "cache/archives/partial", "files"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// fetch gets the newest package of the kernel. What is in the cache already is not asked
// for again: who wants a newer one removes the folder.
func (k kernel) fetch() (kernelFiles, error) {
	dir, err := k.cache()
	if err != nil {
		return kernelFiles{}, err
	}
	if f, err := k.cached(dir); err == nil {
		return f, nil
	}
	a, err := newApt(dir, k.suite, k.arch)
	if err != nil {
		return kernelFiles{}, err
	}
	name, version, err := a.dependency(k.pkg)
	if err != nil {
		return kernelFiles{}, err
	}
	part, err := os.MkdirTemp(dir, "part-")
	if err != nil {
		return kernelFiles{}, err
	}
	defer os.RemoveAll(part)
	if err := a.download(part, name, "busybox-static"); err != nil {
		return kernelFiles{}, err
	}
	packages, _ := filepath.Glob(part + "/*.deb")
	for _, p := range packages {
		if err := errors.Join(unpack(p, part), os.Remove(p)); err != nil {
			return kernelFiles{}, err
		}
	}
	if err := os.WriteFile(part+"/version", []byte(name+" "+version), 0o644); err != nil {
		return kernelFiles{}, err
	}
	// Another test run may have been faster.
	if err := os.Rename(part, filepath.Join(dir, "files", version)); err != nil && !errors.Is(err, os.ErrExist) {
		return kernelFiles{}, err
	}
	return k.cached(dir)
}

// cached is what the cache has; an error if it is not complete.
func (k kernel) cached(dir string) (kernelFiles, error) {
	versions, _ := filepath.Glob(dir + "/files/*/version")
	if len(versions) == 0 {
		return kernelFiles{}, errors.New("no kernel in " + dir)
	}
	text, err := os.ReadFile(versions[len(versions)-1])
	at := filepath.Dir(versions[len(versions)-1])
	f := kernelFiles{dir: at, version: string(text), busybox: at + "/busybox"}
	if found, _ := filepath.Glob(at + "/vmlinuz-*"); len(found) == 1 {
		f.vmlinuz = found[0]
	}
	for _, name := range []string{"inet_diag", "tcp_diag"} { // the second needs the first
		if found, _ := filepath.Glob(at + "/" + name + ".ko*"); len(found) == 1 {
			f.modules = append(f.modules, found[0])
		}
	}
	if f.vmlinuz == "" || len(f.modules) != 2 {
		err = fmt.Errorf("%s does not have a kernel and its two modules: remove the folder", at)
	}
	return f, err
}

// unpack takes the wanted files out of a package.
func unpack(deb, dir string) error {
	c := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("%w: apt-get install dpkg", err)
	}
	files := tar.NewReader(out)
	for {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err == nil && h.Typeflag == tar.TypeReg && wanted.MatchString(h.Name) {
			err = save(filepath.Join(dir, filepath.Base(h.Name)), files)
		}
		if err != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	_, _ = io.Copy(io.Discard, out) // what follows the end of an archive
	return c.Wait()
}

func save(name string, from io.Reader) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// field is the value of a field in what apt-cache prints.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
