// Package e2e holds the real binary to the contract from outside: as a true
// PID 1 in namespaces of its own, and (files docker*) in Docker containers.
package e2e

import (
	"flag"
	"fmt"
	release "github.com/swapinit/swapinit/test/build"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/pristine"
)

// parallelTests is more than the processors: most tests wait most of the time.
const parallelTests = "4"

// skipped counts the tests that could not run here.
var skipped atomic.Int32

func TestMain(m *testing.M) {
	ns.Stage()
	pristine.Signals()
	ns.Root()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", parallelTests); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
	}
	defer func() {
		if dir := binDir(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}()
	status := m.Run()
	if n := skipped.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "e2e: %d tests were skipped\n", n)
	}
	return status
}

// skip skips a test that needs what this machine does not have, unless
// SWAPINIT_TEST_REQUIRE names it: then it fails.
func skip(t *testing.T, need, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), need) {
		t.Fatalf("%s are required: %s", need, reason)
	}
	skipped.Add(1)
	t.Skipf("no %s: %s", need, reason)
}

var namespaces = sync.OnceValue(ns.Supported)

// needNamespaces skips the test where the kernel refuses them.
func needNamespaces(t *testing.T) {
	t.Helper()
	if err := namespaces(); err != nil {
		skip(t, "namespaces", "%v", err)
	}
	if _, err := exec.LookPath("nsenter"); err != nil {
		skip(t, "namespaces", "nsenter (util-linux) is not installed")
	}
}

// needUser skips the test where another uid cannot be used.
func needUser(t *testing.T, uid int) {
	t.Helper()
	if !ns.Mapped(uid) {
		skip(t, "namespaces", "uid %d does not exist in this user namespace; run the tests as root", uid)
	}
}

// build is the result of building the binaries, once a test run.
type build struct {
	dir string
	err error
}

var built atomic.Pointer[build]

var buildOnce = sync.OnceValue(func() build {
	b := build{}
	// Where there is no Go, as on the machines of test/kernels, they were built before.
	if dir := os.Getenv("SWAPINIT_TEST_BIN"); dir != "" {
		return build{dir: dir}
	}
	b.dir, b.err = os.MkdirTemp("", "swapinit-e2e-")
	built.Store(&b)
	if b.err != nil {
		return b
	}
	// Containers run as other users, too.
	if b.err = os.Chmod(b.dir, 0o755); b.err != nil {
		return b
	}
	if b.err = release.Swapinit(b.dir + "/swapinit"); b.err != nil {
		return b
	}
	b.err = release.Server(b.dir)
	return b
})

func binDir() string {
	if b := built.Load(); b != nil {
		return b.dir
	}
	return ""
}

// binary is the path of a program built for this test run: swapinit or server.
func binary(t *testing.T, name string) string {
	t.Helper()
	b := buildOnce()
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, name)
}
