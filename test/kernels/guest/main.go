// Command guest runs the tests on a machine of test/kernels. What passed and failed is said
// in go test's words, a line each, on the console.
//
// It has three lives. The kernel starts it: it makes of the initramfs what is expected of a
// system and becomes swapinit, as the init in a distribution's initramfs becomes that of the
// system. Then it is the server of that, looks at its init, and runs the tests. The last one
// is that its init swaps it for `guest last`, with whose exit status the machine ends.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// Passed and failed are the exit statuses of the machine's init. They are no common ones,
// so that nothing else is taken for them.
const (
	passed = 42
	failed = 43
)

func main() {
	switch {
	case os.Getpid() == 1:
		become()
	case len(os.Args) == 2 && os.Args[1] == "last":
		last()
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	g := guest{}
	fmt.Println("guest: kernel", text("/proc/sys/kernel/osrelease"))

	g.check("MachineInit", isInit)
	g.check("MachineZombies", reaps)
	g.check("MachineSignals", forwards)
	g.check("MachineCgroup2", limited)
	g.check("MachineUncounted", func() error { return counts(false) })
	g.run("/tests/before")
	g.check("MachineModules", modules)
	g.check("MachineCounted", func() error { return counts(true) })
	g.run("/tests/after")
	g.check("MachineSound", sound)
	if g.failed {
		os.Exit(failed)
	}
	// From here on the successor speaks. Its predecessor, this process, is told to end
	// when it has taken over.
	if out, err := exec.Command("/swapinit", "swap", "--no-wait", "--", "/guest", "last").CombinedOutput(); err != nil {
		fmt.Printf("guest: swap: %v: %s\n", err, out)
		os.Exit(failed)
	}
	<-term
}

// become makes a system, and this process its init.
func become() {
	err := system()
	if err == nil {
		err = syscall.Exec("/swapinit", []string{"/swapinit", "/guest"}, append(os.Environ(), "PATH=/bin"))
	}
	fmt.Println("guest: cannot make a system of it:", err)
	os.Exit(failed)
}

// last is the second generation.
func last() {
	if number := os.Getenv("SWAPINIT_GENERATION"); number != "2" {
		fmt.Println("guest: this should be generation 2, it is", number)
		os.Exit(failed)
	}
	ready := os.NewFile(fd(os.Getenv("SWAPINIT_READY_FD")), "ready")
	if _, err := fmt.Fprintln(ready); err != nil {
		fmt.Println("guest: cannot say that it is ready:", err)
		os.Exit(failed)
	}
	err := until("generation 1 to be gone", func() bool {
		out, err := exec.Command("/swapinit", "status", "--json").Output()
		return err == nil && !strings.Contains(string(out), `"generation":1,`)
	})
	g := guest{}
	g.check("MachineSwap", func() error { return err })
	if g.failed {
		os.Exit(failed)
	}
	os.Exit(passed)
}

// guest has the results.
type guest struct{ failed bool }

// check is a test.
func (g *guest) check(name string, test func() error) {
	result := "PASS"
	err := test()
	if err != nil {
		result, g.failed = "FAIL", true
		fmt.Printf("    %v\n", err)
	}
	fmt.Printf("--- %s: %s\n", result, name)
}

// run runs the end-to-end tests that the file names, a regular expression.
func (g *guest) run(file string) {
	tests := exec.Command("/bin/e2e.test", "-test.v", "-test.run", text(file), "-test.timeout", "0")
	tests.Dir = "/tmp"
	tests.Env = []string{"PATH=/bin", "HOME=/tmp", "TMPDIR=/tmp", "SWAPINIT_TEST_BIN=/bin", "SWAPINIT_TEST_REQUIRE=namespaces"}
	out, err := tests.StdoutPipe()
	if err != nil {
		fmt.Println("guest:", err)
		g.failed = true
		return
	}
	tests.Stderr = tests.Stdout
	if err := tests.Start(); err != nil {
		fmt.Println("guest:", err)
		g.failed = true
		return
	}
	// A console that is emulated takes its time for each character: what go test says of
	// each test that begins, waits and goes on is most of it.
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if line != "" && !strings.HasPrefix(line, "=== ") {
			_, _ = io.WriteString(os.Stdout, line)
		}
		if err != nil {
			break
		}
	}
	if err := tests.Wait(); err != nil {
		fmt.Printf("guest: %s: %v\n", file, err)
		g.failed = true
	}
}

// text is what the file has, without white space around it.
func text(name string) string {
	all, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(all))
}
