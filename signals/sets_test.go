package signals

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/pristine"
)

func TestMain(m *testing.M) {
	if os.Getenv("SIGNALS_TEST_CHILD") != "" {
		fmt.Print("inherited")
		for _, sig := range Inherited() {
			fmt.Print(" ", Name(sig))
		}
		os.Exit(0)
	}
	pristine.Signals()
	os.Exit(m.Run())
}

// Each signal is registered by exactly one of the two lists, or dropped.
func TestEarlyAndLate(t *testing.T) {
	seen := map[os.Signal]int{}
	for _, sig := range append(Early(), Late()...) {
		seen[sig]++
	}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		want := 1
		if kind, _ := (Policy{}).Decide(sig); kind == Drop {
			want = 0
		}
		if seen[sig] != want {
			t.Errorf("%s is registered %d times, want %d", Name(sig), seen[sig], want)
		}
	}
	if len(Early()) != 9 || Early()[0] != os.Signal(syscall.SIGTERM) {
		t.Errorf("Early() = %v", Early())
	}
}

// All that the two lists promise to catch is really delivered.
func TestRegistered(t *testing.T) {
	c := make(chan os.Signal, 128)
	signal.Notify(c, append(Early(), Late()...)...)
	defer signal.Stop(c)
	for _, sig := range append(Early(), Late()...) {
		if err := syscall.Kill(os.Getpid(), sig.(syscall.Signal)); err != nil {
			t.Fatal(err)
		}
		for got := range c {
			if got == sig {
				break
			}
		}
	}
}

func TestInherited(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for traps, want := range map[string]string{
		"HUP INT TSTP TTIN TTOU": "inherited HUP INT TSTP TTIN TTOU",
		"HUP USR1 TERM":          "inherited HUP",
		"USR1":                   "inherited",
	} {
		// A shell without job control keeps what it is told to ignore.
		cmd := exec.Command("/bin/sh", "-c", "trap '' "+traps+`; exec "$0"`, exe)
		cmd.Env = append(os.Environ(), "SIGNALS_TEST_CHILD=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("with %s ignored: %q, %v; want %q", traps, out, err, want)
		}
	}
}
