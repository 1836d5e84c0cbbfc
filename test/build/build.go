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
func Swapinit(out string) error {
	cmd := exec.Command("make", "--no-print-directory", "-s", "-C", Root(), "build", "BIN="+out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, text)
	}
	return nil
}

// Server builds the server that the tests run under it, as dir/server.
func Server(dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "./test/server")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the test server: %w\n%s", err, text)
	}
	return nil
}
