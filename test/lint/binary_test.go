package lint

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// maxSize is 3.5 MiB, the limit with everything ever added. An init stands in every
// image, and pays for what it does in size: see the list of packages below.
const maxSize = 7 << 19

// banned packages cost more than an init may: net 0.4 MB, net/http 4 MB,
// log/slog 0.3 MB; os/exec races the reaper; os/user may need cgo; text and
// html bring reflection that keeps every method in the binary.
var banned = []string{"net", "net/http", "log/slog", "os/exec", "os/user", "encoding/gob", "text/", "html/", "runtime/cgo"}

func TestPackages(t *testing.T) {
	out := command(t, root, []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps", "./cmd/swapinit")
	for pkg := range strings.FieldsSeq(string(out)) {
		for _, b := range banned {
			if pkg == b || strings.HasSuffix(b, "/") && strings.HasPrefix(pkg, b) {
				t.Errorf("the binary contains %s", pkg)
			}
		}
	}
}

// TestBinary builds as `make build` does.
func TestBinary(t *testing.T) {
	t.Chdir(root)
	// The example is built without the Makefile and must not fall behind it.
	const flags = `-trimpath -buildvcs=false -gcflags=all=-l -ldflags "-s -w -buildid= -funcalign=1 -X runtime.godebugDefault=containermaxprocs=0,updatemaxprocs=0,profstackdepth=0`
	for _, file := range []string{"Makefile", "Dockerfile.example"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(flags)) {
			t.Errorf("%s does not build with %s", file, flags)
		}
	}
	first := buildIn(t, ".")
	size := len(first)
	t.Logf("%s/%s: %d bytes, %d left", runtime.GOOS, runtime.GOARCH, size, maxSize-size)
	if size > maxSize {
		t.Errorf("the binary has %d bytes, %d is the limit", size, maxSize)
	}

	f, err := elf.NewFile(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is not static: it has %v", p.Type)
		}
	}
	for _, name := range []string{".symtab", ".debug_info", ".zdebug_info"} {
		if f.Section(name) != nil {
			t.Errorf("the binary is not stripped: it has %s", name)
		}
	}

	// The same source elsewhere gives the same bytes.
	dir := t.TempDir()
	for _, name := range strings.Fields(string(command(t, ".", []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps", "-f",
		"{{if not .Standard}}{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}{{end}}", "./cmd/swapinit"))) {
		from, err := filepath.Rel(absolute(t, "."), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, from), os.DirFS(name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if second := buildIn(t, dir); !bytes.Equal(first, second) {
		t.Error("the same source built in another folder gives another binary")
	}
}

// TestPlatforms: it compiles for each system that is supported, and for the
// others, where it says that it is not.
func TestPlatforms(t *testing.T) {
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
		goos, arch, _ := strings.Cut(platform, "/")
		command(t, root, []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + arch},
			"go", "build", "-o", os.DevNull, "./cmd/swapinit")
	}
}

func buildIn(t *testing.T, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "swapinit")
	command(t, dir, []string{"GOOS=linux"}, "make", "--no-print-directory", "-s", "build", "BIN="+out)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func command(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
