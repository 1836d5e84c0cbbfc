package listen

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
)

// patience ends a wait that would otherwise never end; nothing is asserted
// about time.
const patience = 90 * time.Second

// helpers run in a process of their own: the test binary, executed again.
var helpers = map[string]func() error{
	"inherited": helperInherited,
	"streams":   helperClosedStreams,
	"no-ipv6":   helperNoIPv6,
	"low-port":  helperLowPort,
	"umask":     helperUmask,
	"readonly":  helperReadOnly,
}

func TestMain(m *testing.M) {
	if name := os.Getenv("LISTEN_TEST_HELPER"); name != "" {
		out := os.NewFile(outFD(), "out")
		if err := helpers[name](); err != nil {
			fmt.Fprint(out, err)
			os.Exit(1)
		}
		fmt.Fprint(out, "fine")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// outFD is where a helper reports: behind the extra files.
func outFD() uintptr {
	var fd uintptr
	fmt.Sscan(os.Getenv("LISTEN_TEST_OUT"), &fd)
	return fd
}

// runHelper fails the test with what the helper reports.
func runHelper(t *testing.T, name string, cred *syscall.Credential, env []string, files ...*os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	self, err := os.Open("/proc/self/exe") // its directory may be closed to another uid
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	// The binary itself is the last file, so that it can be found by number.
	number := 3 + len(files)
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", number+1))
	cmd.ExtraFiles = append(append([]*os.File{}, files...), write, self)
	cmd.Env = append(append(os.Environ(), env...), "LISTEN_TEST_HELPER="+name, fmt.Sprintf("LISTEN_TEST_OUT=%d", number))
	cmd.Stderr = os.Stderr
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var answer strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := read.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil || answer.String() != "fine" {
		t.Fatalf("helper %s: %v: %s", name, err, answer.String())
	}
}

// freePort finds a port that nobody used a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func port(t *testing.T) string { return fmt.Sprint(freePort(t)) }

// mustOpen opens the list, in which PORT stands for a free port.
func mustOpen(t *testing.T, list string) *Set {
	t.Helper()
	for try := 0; ; try++ {
		specs, err := Parse(strings.ReplaceAll(list, "PORT", fmt.Sprint(freePort(t))))
		if err != nil {
			t.Fatal(err)
		}
		set, err := Open(specs, nil, nil)
		if err == nil {
			t.Cleanup(set.Close)
			return set
		}
		if try == 20 || !strings.Contains(list, "PORT") {
			t.Fatal(err)
		}
	}
}

// lent is what generation n gets, until the test ends.
func lent(t *testing.T, set *Set, n int) Given {
	t.Helper()
	given, err := set.Lend(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(given.Close)
	return given
}

// until polls, yielding, for something that must come true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := clock.Now().Add(patience); !done(); {
		if clock.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
		<-clock.After(time.Millisecond)
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
