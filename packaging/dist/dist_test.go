package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// maxSize is the limit of test/lint, on the other machines too.
const maxSize = 7 << 19

// need fails where SWAPINIT_TEST_REQUIRE asks for what is not here, and skips without.
func need(t *testing.T, what string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), what) {
			t.Fatalf("%s are required: there is no %s", what, program)
		}
		t.Skipf("there is no %s", program)
	}
}

// run runs one in a folder and gives its output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// source copies what the module is made of to a folder: neither what was built nor .git.
func source(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", "tmp"}, name) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// made is a folder with the files of a release. The tests share it.
var made struct {
	once sync.Once
	dir  string
}

// commit is not asked of git here: the other place has none.
const commit = "0123456789abcdef"

func dist(t *testing.T) string {
	t.Helper()
	made.once.Do(func() {
		dir, err := os.MkdirTemp("", "swapinit-dist-")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // dpkg's and apt's users
			t.Fatal(err)
		}
		run(t, root, nil, "go", "run", "./packaging/dist", "-commit", commit, "-out", dir+"/dist")
		made.dir = dir
	})
	if made.dir == "" {
		t.Fatal("there is no release")
	}
	return made.dir + "/dist"
}

func TestMain(m *testing.M) {
	status := m.Run()
	if made.dir != "" {
		_ = os.RemoveAll(made.dir)
	}
	os.Exit(status)
}

// TestReproducible: whoever makes the release elsewhere, with other modes for new files
// and in another time zone, gets the same bytes.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the release twice")
	}
	want := sums(t, dist(t))
	place := t.TempDir() + "/elsewhere"
	source(t, place)
	run(t, place, []string{"TZ=Asia/Kathmandu", "LC_ALL=C", "VERSION=", "COMMIT="}, "sh", "-c",
		"umask 077; exec make --no-print-directory -s dist COMMIT="+commit)
	got := sums(t, place+"/dist")
	for name, sum := range want {
		if got[name] != sum {
			t.Errorf("%s differs", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is more than there was the first time", name)
	}
	kinds := map[string]int{}
	for name := range want {
		kinds[strings.TrimPrefix(filepath.Ext(name), ".")]++
	}
	if fmt.Sprint(kinds) != "map[apk:4 deb:4 gz:4 json:4 rpm:4 tar:1]" {
		t.Errorf("a release of %v", kinds)
	}
}

// sums checks SHA256SUMS as its reader does, and returns it by name.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	run(t, dir, nil, "sha256sum", "-c", "--strict", "SHA256SUMS")
	text, err := os.ReadFile(dir + "/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		all[name] = sum
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(all)+1 {
		t.Errorf("%d files, %d of them in SHA256SUMS", len(entries), len(all))
	}
	return all
}

func one(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[0]
}

// unpack returns the files of an archive, and checks that they are root's.
func unpack(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 || h.Typeflag != tar.TypeReg {
			t.Errorf("%s: uid %d, gid %d, mode %o, type %c", h.Name, h.Uid, h.Gid, h.Mode, h.Typeflag)
		}
		files[h.Name] = text
	}
}

func opened(t *testing.T, path string) *bytes.Reader {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(text)
}

func unzipped(t *testing.T, r io.Reader) io.Reader {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestArchives: each has a program for its machine, within the limit, twice.
func TestArchives(t *testing.T) {
	machines := map[string]uint16{"amd64": 62, "arm64": 183, "armv7": 40, "riscv64": 243} // e_machine, elf(5)
	for label, machine := range machines {
		files := unpack(t, unzipped(t, opened(t, one(t, dist(t)+"/*_linux_"+label+".tar.gz"))))
		top := ""
		for name := range files {
			top, _, _ = strings.Cut(name, "/")
		}
		if !regexp.MustCompile(`^swapinit-[0-9.]+$`).MatchString(top) {
			t.Errorf("%s: unpacks to %s", label, top)
		}
		program := files[top+"/bin/swapinit"]
		if len(program) < 1<<20 || len(program) > maxSize {
			t.Fatalf("%s: a program of %d bytes, %d is the limit", label, len(program), maxSize)
		}
		if got := uint16(program[18]) | uint16(program[19])<<8; got != machine {
			t.Errorf("%s: a program for machine %d", label, got)
		}
		if !bytes.Equal(program, files[top+"/libexec/swapinit/docker-init"]) {
			t.Errorf("%s: docker-init is another program", label)
		}
		for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "share/doc/swapinit/NOTICES", "share/man/man1/swapinit.1"} {
			if len(files[top+"/"+name]) == 0 {
				t.Errorf("%s: no %s", label, name)
			}
		}
	}
}

// TestBillOfMaterials: each names what its program is linked from, and the machine.
func TestBillOfMaterials(t *testing.T) {
	for _, a := range archs {
		var bom struct {
			BOMFormat  string `json:"bomFormat"`
			Components []struct{ Name, Version, Purl string }
		}
		text, err := io.ReadAll(opened(t, one(t, dist(t)+"/*_linux_"+a.label()+".cdx.json")))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &bom); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range bom.Components {
			names = append(names, c.Name)
			if c.Version == "" || !strings.Contains(c.Purl, "goarch="+a.name+"&") {
				t.Errorf("%s: %+v", a.label(), c)
			}
		}
		slices.Sort(names)
		modules := strings.Fields(run(t, root, []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps",
			"-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./cmd/swapinit"))
		modules = append(modules, "std")
		slices.Sort(modules)
		if modules = slices.Compact(modules); bom.BOMFormat != "CycloneDX" || !slices.Equal(names, modules) {
			t.Errorf("%s: %s of %v, want %v", a.label(), bom.BOMFormat, names, modules)
		}
	}
}

// TestImageLayout: an image for each machine, with one file, and manifest.json has the
// same ones.
func TestImageLayout(t *testing.T) {
	files := unpack(t, opened(t, one(t, dist(t)+"/*_image.tar")))
	get := func(name string, value any) {
		t.Helper()
		if err := json.Unmarshal(files[name], value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	type list struct{ Manifests []descriptor }
	type manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var top, index list
	get("index.json", &top)
	get(top.Manifests[0].blobPath(), &index)
	var old []struct {
		Config           string
		RepoTags, Layers []string
	}
	get("manifest.json", &old)
	if len(top.Manifests) != 1 || len(index.Manifests) != len(archs) || len(old) != len(archs) {
		t.Fatalf("%d, %d, %d images", len(top.Manifests), len(index.Manifests), len(old))
	}
	for k, d := range index.Manifests {
		var m manifest
		get(d.blobPath(), &m)
		var config struct {
			Architecture, Variant string
			Config                struct{ Entrypoint []string }
		}
		get(m.Config.blobPath(), &config)
		if config.Architecture != archs[k].name || config.Variant != archs[k].variant || d.Platform.Architecture != config.Architecture ||
			!slices.Equal(config.Config.Entrypoint, []string{"/swapinit", "gate"}) {
			t.Errorf("%+v, %+v", d, config)
		}
		if old[k].Config != m.Config.blobPath() || len(m.Layers) != 1 || !slices.Equal(old[k].Layers, []string{m.Layers[0].blobPath()}) {
			t.Errorf("manifest.json has %+v, the index %+v", old[k], m)
		}
		inside := unpack(t, unzipped(t, bytes.NewReader(files[m.Layers[0].blobPath()])))
		if len(inside) != 1 || len(inside["swapinit"]) < 1<<20 {
			t.Errorf("%s: %d files", config.Architecture, len(inside))
		}
	}
}
