package main

import (
	"archive/tar"
	"archive/zip"
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
