package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Signals and the end of the container.

// Everything that can be caught is forwarded, and keeps its number.
func TestSignalsAreForwarded(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SWAP_SIGNALS="}})
	notForwarded := map[int]bool{9: true, 19: true, 17: true, 13: true, 23: true, 27: true, 32: true, 33: true, 34: true,
		// Sent by the kernel for a process's own faults; the test server does
		// not catch them.
		4: true, 5: true, 7: true, 8: true, 11: true, 31: true,
		15: true} // stops
	for n := 1; n <= 64; n++ {
		if notForwarded[n] {
			continue
		}
		sig := syscall.Signal(n)
		name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
		if name == "" {
			name = fmt.Sprint(n)
		}
		await(t, "a handler for "+name, func() bool { return c.catches(sig) }) // some come after the first fork
		c.Signal(sig)
		c.awaitOut("gen 1: got " + name + "\n")
	}
	c.wantServing(1)
}

// What is never forwarded, and does not harm swapinit either.
func TestSignalsThatAreNotForwarded(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	for _, n := range []syscall.Signal{13, 17, 23, 27, 32, 33, 34} {
		c.Signal(n)
	}
	c.Signal(syscall.SIGWINCH)
	c.awaitOut("gen 1: got WINCH")
	for _, name := range []string{"PIPE", "CHLD", "URG", "PROF", "32", "33", "34"} {
		c.wantNever("got " + name)
	}
	c.wantServing(1)
}

// While a swap runs the successor gets forwarded signals, too, once it is
// ready; and a signal is never forwarded to one that is not.
func TestSignalsDuringASwap(t *testing.T) {
	t.Parallel()
	gate := tempDir(t) + "/gate"
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}})
	if r := c.Verb(append([]string{"swap", "--no-wait", "--"}, server(t, "-gate", gate)...)...); r.Code != 0 {
		t.Fatal(r)
	}
	c.awaitOut("gen 2: started")
	c.Signal(syscall.SIGUSR1)
	c.awaitOut("gen 1: got USR1")
	touch(t, gate)
	c.awaitStates("1:active 2:ready")
	c.Signal(syscall.SIGWINCH)
	c.awaitOut("gen 1: got WINCH")
	c.awaitOut("gen 2: got WINCH")
	c.wantNever("gen 2: got USR1")
}

func TestStopSignal(t *testing.T) {
	t.Run("at the end", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_SIGNAL=QUIT"}}, "-on", "QUIT", "-status", "3")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(3)
		c.wantOrder("gen 1: got QUIT")
		c.wantNever("got TERM")
	})
	t.Run("of a predecessor", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_SIGNAL=USR1"}}, "-on", "USR1")
		c.Swap()
		c.awaitStates("2:active")
		c.wantOrder("gen 1: got USR1", "gen 1: done")
		c.wantNever("got TERM")
	})
	t.Run("RETIRE_SIGNAL", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_SIGNAL=INT", "SWAPINIT_RETIRE_SIGNAL=WINCH"}}, "-on", "WINCH,INT")
		c.Swap()
		c.awaitStates("2:active")
		c.wantOrder("gen 1: got WINCH", "gen 1: done")
		c.wantNever("got INT")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		c.wantOrder("gen 2: got INT", "gen 2: done")
	})
	t.Run("STOP_SIGNALS", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_SIGNALS=INT QUIT", "SWAPINIT_STOP_SIGNAL=USR1"}}, "-on", "USR1", "-status", "6")
		c.Signal(syscall.SIGTERM)
		c.awaitOut("gen 1: got TERM") // only forwarded
		c.wantNever("got USR1")
		c.Signal(syscall.SIGINT)
		c.wantStatus(6)
		c.wantNever("got INT")
	})
}

// Race 16, and KILL of the whole tree.
func TestRetireTimeout(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_RETIRE_TIMEOUT=200ms", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}},
		"-stop", "ignore", "-strays", "2", "-stray-stop", "never")
	c.Swap("--", binary(t, "server"), "-stop", "ignore")
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	await(t, "the strays to be killed", func() bool {
		for _, p := range c.Procs() {
			if len(p.Args) > 1 && p.Args[1] == "stray" {
				return false
			}
		}
		return true
	})
	c.wantServing(2)
	c.wantNever("gen 2: got")
}

func TestStopTimeout(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_TIMEOUT=200ms"}}, "-stop", "ignore")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(128 + 9)
	c.wantOrder("gen 1: got TERM")
}

// A second TERM is forwarded and shortens nothing; other signals are forwarded
// to the end.
func TestSecondTermShortensNothing(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{}, "-status", "4")
	request := c.longRequest()
	c.Signal(syscall.SIGTERM)
	c.awaitOut("gen 1: got TERM")
	for n := 2; n <= 4; n++ {
		c.Signal(syscall.SIGTERM)
		await(t, "another TERM", func() bool { return strings.Count(c.Stdout(), "gen 1: got TERM") == n })
	}
	c.Signal(syscall.SIGUSR1)
	c.awaitOut("gen 1: got USR1")
	request.finish()
	c.wantStatus(4)
}

// With a stop delay the server serves on, and gets other signals, until it is
// over.
func TestStopDelay(t *testing.T) {
	t.Run("not before", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_DELAY=1h"}})
		c.Signal(syscall.SIGTERM)
		c.Signal(syscall.SIGUSR1)
		c.awaitOut("gen 1: got USR1")
		c.wantServing(1)
		c.status()
		c.wantNever("got TERM")
		c.do("exit", "5") // the delay ends with the server
		c.wantStatus(5)
	})
	t.Run("but then", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_DELAY=50ms"}}, "-status", "3")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(3)
		c.wantOrder("got TERM")
	})
}

// Race 19. TERM in mid-swap: both get it, and the exit status is that of the
// active one.
func TestTermDuringASwap(t *testing.T) {
	for _, tc := range []struct {
		name  string
		gate  string
		state string
		want  int
	}{
		{"starting", "/nonexistent/gate", "1:active 2:starting", 21},
		{"settling", "", "1:active 2:ready", 21},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}}, "-status", "21")
			swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", tc.gate, "-status", "22")...)...)
			c.awaitStates(tc.state)
			c.Signal(syscall.SIGTERM)
			c.wantStatus(tc.want)
			c.wantOrder("gen 1: got TERM")
			if tc.gate == "" {
				c.awaitOut("gen 2: got TERM")
			}
			if r := receive(t, "the swap", swap); r.Code == 0 {
				t.Errorf("the swap was reported as done: %v", r)
			}
		})
	}
	t.Run("draining", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-status", "21", "-stop", "ignore")
		c.Swap("--", binary(t, "server"), "-status", "22")
		c.awaitStates("1:draining 2:active")
		first := c.status().pidOf(1)
		c.Signal(syscall.SIGTERM)
		c.awaitOut("gen 2: done")
		for _, p := range c.Procs() { // no limit by default: the runtime's own deadline
			if p.Pid == first {
				_ = syscall.Kill(p.Host, syscall.SIGKILL)
			}
		}
		c.wantStatus(22)
	})
}

// No swap begins once the container stops.
func TestNoSwapWhileStopping(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	request := c.longRequest()
	c.Signal(syscall.SIGTERM)
	c.awaitOut("gen 1: got TERM")
	if r := c.Verb("swap"); r.Code != 1 {
		t.Errorf("swap: %v, want status 1", r)
	}
	c.Signal(syscall.SIGHUP)
	c.Signal(syscall.SIGUSR1)
	c.awaitOut("got USR1")
	request.finish()
	c.wantStatus(0)
	c.wantNever("gen 2")
}

// The child has a process group of its own, and is not a session leader.
func TestProcessGroup(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	s := c.state()
	if s.Pgrp != s.Pid {
		t.Errorf("process group %d, pid %d", s.Pgrp, s.Pid)
	}
	if s.PPid != 1 {
		t.Errorf("the parent is %d, want 1", s.PPid)
	}
}
