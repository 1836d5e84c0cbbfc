package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The invariants of the README, each in a test that bears its name. The longer
// ones (EveryChildOnce, NoLeaks, Transparent) have files of their own.

func TestAlwaysAccepting(t *testing.T) {
	t.Run("in a container", alwaysAccepting)
	t.Run("across containers", alwaysAcceptingAtAGate)
}

func alwaysAccepting(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_READY_TIMEOUT=30s", manyGenerations}})
	l := c.load()
	failed := func(args ...string) func() {
		return func() {
			if r := c.Verb(append([]string{"swap"}, args...)...); r.Code != 1 {
				t.Errorf("swap %q: %v, want status 1", args, r)
			}
		}
	}
	bad := func(flags ...string) func() { return failed(append([]string{"--"}, server(t, flags...)...)...) }
	steps := []struct {
		name string
		do   func()
	}{
		{"swap by verb", func() { c.Swap() }},
		{"swap by HUP", func() { c.Signal(syscall.SIGHUP); c.awaitStates("3:active") }},
		{"swap by USR2", func() { c.Signal(syscall.SIGUSR2); c.awaitStates("4:active") }},
		{"successor cannot be executed", failed("--", "/nonexistent/server")},
		{"successor exits", bad("-die", "boot")},
		{"successor takes no socket", bad("-take", "none")},
		{"successor never ready", failed(append([]string{"--timeout", "100ms", "--"}, server(t, "-gate", "/nonexistent/gate")...)...)},
		{"successor killed", bad("-die", "boot", "-die-signal", "KILL")},
		{"swap again", func() { c.Swap() }},
	}
	for _, s := range steps {
		moreRequests(t, l, 50)
		s.do()
		if n := l.Count().Refused; n > 0 {
			t.Fatalf("%s: %d connections were refused", s.name, n)
		}
	}
	moreRequests(t, l, 50)
	noLoss(t, l)

	// While the container stops, too: the server no longer accepts, but a
	// request that it still answers keeps it alive.
	request := c.longRequest()
	c.Signal(syscall.SIGTERM)
	await(t, "TERM", func() bool { return strings.Contains(lastLines(c.Stdout(), 3), "got TERM") })
	conn, err := c.box.Dial(context.Background(), "tcp", web)
	if err != nil {
		t.Errorf("while stopping: %v", err)
	} else {
		conn.Close()
	}
	request.finish()
	c.wantStatus(0)
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-1-n):], "")
}

func TestReadyBeforeRetire(t *testing.T) {
	t.Run("across containers", readyBeforeRetireAtAGate)
	t.Run("not before it is ready", func(t *testing.T) {
		t.Parallel()
		gate := filepath.Join(tempDir(t), "gate")
		c := startWeb(t, opts{})
		swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", gate)...)...)
		c.awaitOut("gen 2: started")
		c.awaitStates("1:active 2:starting")
		c.wantServing(1)
		c.wantNever("gen 1: got")
		touch(t, gate)
		if r := receive(t, "the swap", swap); r.Code != 0 {
			t.Fatalf("swap: %v", r)
		}
		c.awaitOut("gen 1: done")
		c.wantOrder("gen 2: ready", "gen 1: got TERM", "gen 1: done")
		c.awaitStates("2:active")
	})
	t.Run("not before it has settled", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}})
		if r := c.Verb("swap", "--no-wait"); r.Code != 0 {
			t.Fatalf("swap --no-wait: %v", r)
		}
		c.awaitStates("1:active 2:ready")
		c.wantNever("gen 1: got")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("not when it does not survive its settle time", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}})
		r := c.Verb(append([]string{"swap", "--"}, server(t, "-die", "ready", "-die-status", "0")...)...)
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		c.awaitStates("1:active")
		c.wantNever("gen 1: got")
	})
	t.Run("not when it does not hold the endpoints", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		r := c.Verb(append([]string{"swap", "--"}, server(t, "-take", "none")...)...)
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		c.awaitStates("1:active")
		c.wantNever("gen 1: got")
	})
}

func TestFailureIsFree(t *testing.T) {
	t.Run("in a container", failureIsFree)
	t.Run("across containers", newcomersFail)
}

func failureIsFree(t *testing.T) {
	t.Parallel()
	plainFile := write(t, filepath.Join(tempDir(t), "data"), "not a program")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}}, "-side", "127.0.0.1:9000")
	pid := c.status().pidOf(1)
	before := c.state()
	cases := []struct {
		name  string
		flags []string
		args  []string
	}{
		{"not found", nil, []string{"/nonexistent/program"}},
		{"not in PATH", nil, []string{"no-such-program"}},
		{"not executable", nil, []string{plainFile}},
		{"a directory", nil, []string{"/usr"}},
		{"exits at once", nil, []string{"true"}},
		{"exits 3 at boot", nil, server(t, "-die", "boot", "-die-status", "3")},
		{"killed at boot", nil, server(t, "-die", "boot", "-die-signal", "KILL")},
		{"exits when ready", nil, server(t, "-die", "ready")},
		{"exits 0 when ready", nil, server(t, "-die", "ready", "-die-status", "0")},
		{"never ready", []string{"--timeout", "100ms"}, server(t, "-ready", "none")},
		{"never ready, ignores TERM", []string{"--timeout", "100ms"}, server(t, "-ready", "none", "-stop", "ignore")},
		{"readiness pipe closed", []string{"--timeout", "100ms"}, server(t, "-ready", "eof")},
		{"readiness without newline", []string{"--timeout", "100ms"}, server(t, "-ready", "bare")},
		{"took no socket", nil, server(t, "-take", "none")},
		{"side port in use", nil, server(t, "-side", "127.0.0.1:9000")}, // race 18
		{"unknown endpoint in a template", nil, server(t, "-say", "{fd.nope}")},
	}
	for _, tc := range cases {
		args := append(append([]string{"swap"}, tc.flags...), "--")
		r := c.Verb(append(args, tc.args...)...)
		if r.Code != 1 {
			t.Fatalf("%s: %v, want status 1", tc.name, r)
		}
		oneLine(t, r.Stderr)
		s := c.status()
		if s.LastSwap == nil || s.LastSwap.OK || s.LastSwap.Reason == "" {
			t.Errorf("%s: last_swap is %+v", tc.name, s.LastSwap)
		}
		if !s.Ready {
			t.Errorf("%s: no longer ready", tc.name)
		}
		c.awaitStates("1:active")
		if got := c.status().pidOf(1); got != pid {
			t.Fatalf("%s: generation 1 has pid %d, had %d", tc.name, got, pid)
		}
		c.wantServing(1)
	}
	c.wantNever("gen 1: got")
	if after := c.state(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the predecessor noticed:\n%v\nbefore:\n%v", after, before)
	}
	if !strings.Contains(c.Stderr(), "address already in use") { // race 18
		t.Error("the reason of the successor's end is not shown")
	}
}

func TestOneSwapAtATime(t *testing.T) {
	t.Run("across containers", oneTurnAtATime)
	t.Run("requests coalesce", func(t *testing.T) { // race 8
		t.Parallel()
		gate := filepath.Join(tempDir(t), "gate")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SWAP_COMMAND=" + strings.Join(server(t, "-gate", gate+"-{generation}"), " ")}})
		first := c.ask("swap", "{}")
		c.awaitOut("gen 2: started")
		second, third := c.ask("swap", "{}"), c.ask("swap", "{}")
		c.Signal(syscall.SIGHUP)
		c.Signal(syscall.SIGUSR2)
		c.awaitStates("1:active 2:starting")

		touch(t, gate+"-2")
		first.wantReply(true)
		c.awaitOut("gen 3: started")
		touch(t, gate+"-3")
		second.wantReply(true)
		third.wantReply(true)
		c.awaitStates("3:active")
		c.wantNever("gen 4: started")
		// The swap that they got began after the first one had ended.
		c.wantOrder("gen 2: ready", "gen 3: started", "gen 3: ready")
	})
	t.Run("everyone gets the result of a swap that began later", func(t *testing.T) {
		t.Parallel()
		dir := tempDir(t)
		target := filepath.Join(dir, "target")
		gate := filepath.Join(dir, "gate")
		write(t, target, strings.Join(server(t), " ")+"\n")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_TARGET_FILE=" + target}})
		write(t, target, strings.Join(server(t, "-gate", gate), " ")+"\n")
		first := c.ask("swap", "{}")
		c.awaitOut("gen 2: started")
		write(t, target, strings.Join(server(t, "-die", "boot"), " ")+"\n")
		second := c.ask("swap", "{}")
		touch(t, gate)
		first.wantReply(true)
		second.wantReply(false)
		c.awaitStates("2:active")
	})
	t.Run("a storm of HUPs", func(t *testing.T) { // race 9
		t.Parallel()
		c := startWeb(t, opts{Env: []string{manyGenerations}})
		l := c.load()
		for range 50 {
			c.Signal(syscall.SIGHUP)
			moreRequests(t, l, 10)
			s := c.status()
			starting := strings.Count(s.states(), "starting") + strings.Count(s.states(), "ready")
			if starting > 1 {
				t.Fatalf("more than one successor: %s", s.states())
			}
			if !strings.Contains(s.states(), "active") {
				t.Fatalf("no active generation: %s", s.states())
			}
		}
		c.Swap() // began after the last HUP
		noLoss(t, l)
		// Nobody was retired before the one after it was ready.
		for n := 2; strings.Contains(c.Stdout(), fmt.Sprintf("gen %d: started", n)); n++ {
			c.awaitOut(fmt.Sprintf("gen %d: got TERM", n-1)) // its connections are idle by now
			c.wantOrder(fmt.Sprintf("gen %d: ready", n), fmt.Sprintf("gen %d: got TERM", n-1))
		}
	})
}

func TestFaithfulExit(t *testing.T) {
	t.Run("of the active generation after a swap", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-status", "11")
		c.Swap("--", binary(t, "server"), "-status", "22")
		c.awaitStates("2:active")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(22)
	})
	t.Run("not of a predecessor that ends last", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-status", "11")
		request := c.longRequest()
		c.Swap("--", binary(t, "server"), "-status", "22")
		c.awaitOut("gen 1: got TERM")
		c.Signal(syscall.SIGTERM)
		c.awaitOut("gen 2: done")
		request.finish()
		c.wantStatus(22)
	})
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		c.Swap()
		c.awaitStates("2:active")
		c.do("exit", "33")
		c.wantStatus(33)
	})
	t.Run("by a signal", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		c.Swap()
		c.do("kill", "KILL")
		c.wantStatus(128 + 9)
	})
	t.Run("of a failed successor it is not", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-status", "11")
		if r := c.Verb(append([]string{"swap", "--"}, server(t, "-die", "boot", "-die-status", "9")...)...); r.Code != 1 {
			t.Fatalf("swap: %v", r)
		}
		c.Signal(syscall.SIGTERM)
		c.wantStatus(11)
	})
}

func TestNobodyLeftBehind(t *testing.T) {
	// An hour: a test that waited for it would not end.
	patient := []string{"SWAPINIT_LEFTOVER_TIMEOUT=1h"}
	t.Run("asked to stop", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: patient}, "-strays", "2", "-status", "4")
		c.execStray("600ms")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(4)
		c.wantStrays(3)
	})
	t.Run("the server ends by itself", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: patient}, "-strays", "2")
		c.execStray("600ms")
		c.do("exit", "5")
		c.wantStatus(5)
		c.wantStrays(3)
	})
	t.Run("strays of a predecessor", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: patient}, "-strays", "2")
		c.Swap("--", binary(t, "server"))
		c.awaitStates("2:active")
		c.wantStrays(2)
		c.wantNever("gen 2: got")
	})
	t.Run("what ignores TERM is killed", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_LEFTOVER_TIMEOUT=200ms"}}, "-strays", "2", "-stray-stop", "never")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		if n := strings.Count(c.Stdout(), "stray got TERM"); n != 2 {
			t.Errorf("%d strays got TERM, want 2", n)
		}
	})
	t.Run("of a server that is killed at STOP_TIMEOUT", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: append([]string{"SWAPINIT_STOP_TIMEOUT=200ms"}, patient...)}, "-stop", "ignore", "-strays", "2")
		c.execStray("600ms")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(128 + 9)
		c.wantStrays(3)
	})
	t.Run("a predecessor that ignores its signal", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_LEFTOVER_TIMEOUT=1s", "SWAPINIT_RETIRE_TIMEOUT=0"}}, "-stop", "ignore", "-strays", "2")
		c.Swap("--", binary(t, "server"))
		c.awaitOut("gen 1: got TERM")
		c.do("exit", "5")
		c.wantStatus(5) // it is not waited for without end
		c.wantStrays(2)
	})
	t.Run("as a subreaper", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Plain: true, Env: patient, Args: server(t, "-strays", "2", "-status", "6")})
		c.awaitOut("ready")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(6)
		c.wantStrays(2)
	})
}

// execStray runs a daemon as docker exec does: its parent is outside.
func (c *container) execStray(stop string) {
	c.t.Helper()
	before := strings.Count(c.Stdout(), "stray started")
	command := fmt.Sprintf("setsid %s stray %s >>%s 2>&1 </dev/null &", binary(c.t, "server"), stop, c.out)
	if r := c.Exec("sh", "-c", command); r.Code != 0 {
		c.t.Fatalf("cannot run a stray: %v", r)
	}
	await(c.t, "the stray", func() bool { return strings.Count(c.Stdout(), "stray started") > before })
}

// wantStrays fails unless n strays got their TERM and their time.
func (c *container) wantStrays(n int) {
	c.t.Helper()
	terms, dones := strings.Count(c.Stdout(), "stray got TERM"), strings.Count(c.Stdout(), "stray done")
	if terms < n || dones != n {
		c.t.Fatalf("%d strays got TERM, %d got their time, want %d", terms, dones, n)
	}
}
