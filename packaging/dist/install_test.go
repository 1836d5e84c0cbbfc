package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLintian: Debian's own checks have nothing to say.
func TestLintian(t *testing.T) {
	need(t, "tools", "lintian")
	if out := run(t, root, nil, "lintian", "--allow-root", "-I", "--pedantic", one(t, dist(t)+"/*_amd64.deb")); out != "" {
		t.Error(out)
	}
}

// TestRPM: rpm installs it and takes it away again, in a folder of its own.
func TestRPM(t *testing.T) {
	need(t, "tools", "rpm")
	if os.Geteuid() != 0 {
		t.Skip("rpm installs as root only")
	}
	dir := t.TempDir()
	file := one(t, dist(t)+"/*_amd64.rpm")
	rpm := func(args ...string) string {
		t.Helper()
		return run(t, dir, nil, "rpm", append([]string{"--root", dir, "--nosignature"}, args...)...)
	}
	rpm("-i", file)
	files := strings.Fields(rpm("-ql", "swapinit"))
	if out := rpm("-V", "swapinit"); out != "" || !slices.Contains(files, "/usr/libexec/swapinit/docker-init") {
		t.Errorf("installed: %s, changed: %s", files, out)
	}
	if out := run(t, dir, nil, dir+"/usr/bin/swapinit", "version"); !strings.HasSuffix(out, " - git."+commit+"\n") {
		t.Error(out)
	}
	rpm("-e", "swapinit")
	for _, name := range files {
		if _, err := os.Lstat(dir + name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// TestDockerPackage: the .deb is installed in a container, is a program and an engine's
// init there, and goes without a trace.
func TestDockerPackage(t *testing.T) {
	base := debian(t)
	deb := one(t, dist(t)+"/*_amd64.deb")
	out := docker(t, append(runArgs(), "-v", deb+":/swapinit.deb:ro", base, "sh", "-ec", `
find /usr /etc -xdev | sort >/before
dpkg --path-include='/usr/share/*' -i /swapinit.deb >/dev/null # the image leaves out pages
swapinit version
/usr/libexec/swapinit/docker-init true
dpkg --verify swapinit
dpkg -L swapinit | grep -c /usr/share/man/man
dpkg -P swapinit >/dev/null
find /usr /etc -xdev | sort | diff /before - && echo nothing is left
`)...)
	want := regexp.MustCompile(`^swapinit [0-9.]+ - git\.` + commit + "\n[0-9]+\nnothing is left\n$")
	if !want.MatchString(out) {
		t.Errorf("%s", out)
	}
}

// TestDockerImage: Docker loads the image, under a name that only this test has, and its
// file runs.
func TestDockerImage(t *testing.T) {
	debian(t)
	dir, version := t.TempDir()+"/dist", fmt.Sprintf("0.0.0-test.%d", os.Getpid())
	run(t, root, []string{"SOURCE_DATE_EPOCH=0"}, "go", "run", "./packaging/dist", "-arch", "amd64", "-version", version, "-commit", commit, "-out", dir)
	if out := docker(t, "load", "-i", one(t, dir+"/*_image.tar")); out != "Loaded image: swapinit:"+version+"-amd64\n" {
		t.Fatal(out)
	}
	defer docker(t, "rmi", "swapinit:"+version+"-amd64")
	if out := docker(t, append(runArgs(), "--entrypoint", "/swapinit", "swapinit:"+version+"-amd64", "version")...); out != "swapinit "+version+" - git."+commit+"\n" {
		t.Error(out)
	}
}

// runArgs are those of each container of a test.
func runArgs() []string {
	return []string{"run", "--rm", "--network", "none", "--label", "swapinit.test=1", "--label", "swapinit.test.run=" + os.Getenv("SWAPINIT_TEST_RUN")}
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, root, nil, "docker", args...)
}

// debian is an image with Debian in it.
func debian(t *testing.T) string {
	t.Helper()
	need(t, "docker", "docker", "mmdebstrap")
	lines := strings.Fields(run(t, root, nil, "test/e2e/docker/fixtures", "base"))
	return lines[len(lines)-1]
}

// TestGoInstall: `go install MODULE/cmd/swapinit@VERSION` gives a program that says its
// version, and is the one of `make build` in what it prints. The module comes from a
// folder that stands in for the proxy.
func TestGoInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program")
	}
	const module = "github.com/swapinit/swapinit"
	place := t.TempDir() + "/source"
	source(t, place)
	r := release{}
	t.Chdir(root)
	if err := r.identify(); err != nil {
		t.Fatal(err)
	}
	v := "v" + r.version
	proxy := t.TempDir()
	folder := filepath.Join(proxy, module, "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write("list", []byte(v+"\n"))
	write(v+".mod", mod)
	write(v+".info", []byte(`{"Version":"`+v+`"}`))
	write(v+".zip", moduleZip(t, place, module+"@"+v+"/"))
	bin := t.TempDir()
	env := []string{
		"GOPROXY=file://" + proxy + ",file://" + strings.TrimSpace(run(t, ".", nil, "go", "env", "GOMODCACHE")) + "/cache/download",
		"GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw", "GOSUMDB=off", "GOBIN=" + bin, "CGO_ENABLED=0",
	}
	run(t, bin, env, "go", "install", module+"/cmd/swapinit@"+v)
	made := t.TempDir()
	run(t, ".", nil, "make", "--no-print-directory", "-s", "build", "BIN="+made+"/swapinit", "VERSION=", "COMMIT=")
	for _, arg := range []string{"version", "help"} {
		// By the same name, as the help has it.
		got, want := run(t, bin, nil, "./swapinit", arg), run(t, made, nil, "./swapinit", arg)
		if got != want || arg == "version" && got != "swapinit "+r.version+" - git.unknown\n" {
			t.Errorf("%s: %q, and of make build %q", arg, got, want)
		}
	}
}

// moduleZip is a module as a proxy serves it (https://go.dev/ref/mod#zip-files): without
// the folders that are modules of their own.
func moduleZip(t *testing.T, dir, prefix string) []byte {
	t.Helper()
	var data bytes.Buffer
	z := zip.NewWriter(&data)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(path + "/go.mod"); err == nil && path != dir {
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w, err := z.Create(prefix + strings.TrimPrefix(path, dir+"/"))
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}
