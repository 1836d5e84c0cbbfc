package kernels

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	release "github.com/swapinit/swapinit/test/build"
)

// only is which kernels are booted: none of them by `go test ./...`, as each takes minutes.
var only = os.Getenv("SWAPINIT_TEST_KERNELS")

// patience is how long a machine may take. It is a net against hangs.
var patience = flag.Duration("patience", 40*time.Minute, "how long a machine may take")

// TestKernels boots the kernels that SWAPINIT_TEST_KERNELS names, `all` of them, and holds
// each to the same list of tests.
func TestKernels(t *testing.T) {
	if only == "" {
		t.Skip("SWAPINIT_TEST_KERNELS is not set: `make kernels` boots them")
	}
	chosen, err := choose(only)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range chosen {
		t.Run(k.name, func(t *testing.T) { testKernel(t, k) }) // one after the other: each uses all CPUs
	}
}

// choose finds kernels by their names.
func choose(names string) ([]kernel, error) {
	if names == "all" {
		return kernels, nil
	}
	var chosen []kernel
	for _, name := range strings.Fields(names) {
		k := slices.IndexFunc(kernels, func(k kernel) bool { return k.name == name })
		if k < 0 {
			var all []string
			for _, k := range kernels {
				all = append(all, k.name)
			}
			return nil, fmt.Errorf("no kernel %q: there are %s, and all", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, kernels[k])
	}
	return chosen, nil
}

func testKernel(t *testing.T, k kernel) {
	began := time.Now()
	files, err := k.fetch()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "initramfs")
	if err := k.initramfs(image, files); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, made in %v", files.version, time.Since(began).Round(time.Second))

	began = time.Now()
	log := filepath.Join(files.dir, "console")
	console, err := k.boot(t.Context(), files.vmlinuz, image, log, *patience)
	t.Logf("the machine ran for %v", time.Since(began).Round(time.Second))
	report := parse(console)
	for _, problem := range report.problems(expected()) {
		t.Error(problem)
	}
	if err != nil {
		t.Error(err)
	}
	for _, name := range report.order {
		t.Logf("%s %s", report.results[name], name)
	}
	if t.Failed() {
		t.Logf("the console (%s):\n%s", log, console)
	}
}

// initramfs makes the machine's file system.
func (k kernel) initramfs(out string, files kernelFiles) error {
	dir, err := os.MkdirTemp("", "swapinit-kernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := release.SwapinitFor(k.arch, at("swapinit")); err != nil {
		return err
	}
	for _, b := range []struct {
		pkg, name string
		test      bool
	}{{"./test/kernels/guest", "guest", false}, {"./test/server", "server", false}, {"./test/e2e", "e2e.test", true}} {
		if err := release.Static(k.arch, b.pkg, at(b.name), b.test); err != nil {
			return err
		}
	}
	a := &archive{}
	for _, name := range []string{"dev", "proc", "sys", "tmp", "run", "bin", "etc", "modules", "tests"} {
		a.folder(name)
	}
	a.console("dev/console") // the kernel opens it for the init, before anything is mounted
	a.text("etc/passwd", "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	a.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
	a.text("tests/before", pattern(uncounted))
	a.text("tests/after", pattern(counted))
	a.file("swapinit", at("swapinit"))
	a.file("guest", at("guest"))
	a.link("bin/swapinit", "/swapinit")
	a.file("bin/server", at("server"))
	a.file("bin/e2e.test", at("e2e.test"))
	a.file("bin/busybox", files.busybox)
	for _, name := range applets {
		a.link("bin/"+name, "busybox")
	}
	for n, name := range files.modules {
		a.file(fmt.Sprintf("modules/%d-%s", n, filepath.Base(name)), name)
	}
	return a.write(out)
}

// The tests' scripts use no other programs.
var applets = strings.Fields("sh true false sleep cat echo env setsid nsenter grep touch test kill mkdir rm ls id setpriv head wc seq ps")
