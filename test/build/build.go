// Package build makes swapinit for the tests and benchmarks exactly as it is
// released: by the Makefile, so that its flags stand in one place.
package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Root is the repository's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Swapinit builds the released binary as the file out, an absolute path.
func Swapinit(out string) error { return SwapinitFor(runtime.GOARCH, out) }

// SwapinitFor is Swapinit for another architecture, by its name in Go.
func SwapinitFor(arch, out string) error {
	cmd := exec.Command("make", "--no-print-directory", "-s", "-C", Root(), "build", "BIN="+out)
	cmd.Env = append(os.Environ(), "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make build for %s: %w\n%s", arch, err, text)
	}
	return nil
}

// Static builds the package pkg, such as ./test/server, as a static program; with test
// it is the package's tests.
func Static(arch, pkg, out string, test bool) error {
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	cmd := exec.Command("go", append(args, "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)...)
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s for %s: %w\n%s", pkg, arch, err, text)
	}
	return nil
}

// Server builds the server that the tests run under it, as dir/server.
func Server(dir string) error {
	return Static(runtime.GOARCH, "./test/server", dir+"/server", false)
}
