package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Only a higher number than the holder's takes over by itself. A slower, older one is
// superseded, and stays without traffic.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	l := g.load()
	ready := filepath.Join(g.volume, "ready")
	b := g.member("b", nil, "-gate", ready)
	b.awaitOut("started")
	g.awaitState("b", "rising")
	c := g.member("c", nil)
	g.wait("c")
	from(t, l, "c", 30)
	touch(t, ready)
	g.awaitState("b", "superseded")
	b.awaitLine("has the traffic, which is newer")
	b.awaitOut("gen 1: got TERM")
	g.onlyFrom("c")
	if r := g.Verb("wait", "b"); r.Code != 1 || !strings.Contains(r.Stderr, "superseded") {
		t.Errorf("wait for it: %v", r)
	}
	// It comes again, and is still older.
	b.Signal(sigTERM)
	b.wantStatus(0)
	b = g.member("b", nil)
	g.awaitGate("b to be back", func(s *gateStatus) bool { m := s.of("b"); return m.Connected && m.State == "superseded" })
	b.wantNever("started")
	a.Signal(sigTERM)
	a.wantStatus(0)
	a = g.member("a", nil)
	g.awaitGate("a to be back", func(s *gateStatus) bool { m := s.of("a"); return m.Connected && m.State == "retired" })
	a.wantNever("started")
	a.awaitHealthy() // it had the traffic
	g.onlyFrom("c")
	c.wantNever("gen 1: got")
	g.lossless(l, "a", "c")
	b.Swap() // an operator can bring any member back
	g.awaitHolder("b")
	g.onlyFrom("b")
}

// A takeover waits for the swap of another member to be over, and the other way round.
func oneTurnAtATime(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	ready := filepath.Join(g.volume, "ready")
	a := g.first("a", nil)
	l := g.load()
	swap := a.later(append([]string{"swap", "--"}, server(t, "-say", "a", "-gate", ready)...)...)
	a.awaitOut("gen 2: started")
	b := g.member("b", nil)
	b.awaitOut("gen 1: ready")
	for range 10 {
		if s := g.look(); s.of("b").State != "rising" {
			t.Fatalf("in the turn of another one it is %s", s.of("b").State)
		}
	}
	b.awaitStatus("settled", func(s status) bool { return s.states() == "1:ready" })
	touch(t, ready)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	g.wait("b")
	from(t, l, "b", 30)
	g.lossless(l, "a", "b")
}

// A member that says nothing for 10 s in its turn loses it.
func TestGatePausedInItsTurn(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	l := g.load()
	b := g.member("b", []string{"SWAPINIT_CANARY=50%/1h"})
	g.awaitState("b", "canary")
	c := g.member("c", nil)
	c.awaitOut("gen 1: ready")
	all := b.Procs()
	slices.Reverse(all)
	for _, p := range all {
		if err := syscall.Kill(p.Host, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	g.wait("c")
	from(t, l, "c", 30)
	g.awaitLine("its turn is over", "10s")
	for _, p := range all {
		_ = syscall.Kill(p.Host, syscall.SIGCONT)
	}
	b.wantStatus(1)
	g.onlyFrom("c")
	// What had come to the paused one waited until it was woken, or was reset.
	if count := l.Stop(); count.Refused > 0 {
		t.Errorf("%v", count)
	}
}

// The holder swaps inside, and keeps the traffic.
func TestGateSwapInside(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_CANARY=30%/100ms"})
	l := g.load()
	for n := 2; n <= 4; n++ {
		from(t, l, "a", 20)
		a.Swap()
		a.wantSays(n, "a", g)
	}
	if s := g.look(); s.of("a").Order != 1 || s.Gate.Holder != "a" {
		t.Errorf("the gate has %+v", s.Gate)
	}
	r := a.Verb(append([]string{"swap", "--"}, server(t, "-die", "boot")...)...)
	if r.Code != 1 {
		t.Errorf("a swap that fails: %v", r)
	}
	a.Signal(syscall.SIGHUP)
	a.awaitStatus("a swap by HUP", func(s status) bool { return s.stateOf(6) == "active" })
	g.lossless(l, "a")
}

// wantSays fails unless new connections are answered by that generation.
func (c *container) wantSays(n int, name string, g *gateway) {
	c.t.Helper()
	for range 20 {
		if got, want := g.host.get("/"), "generation "+itoa(n)+" "+name+"\n"; got != want {
			c.t.Fatalf("answer %q, want %q", got, want)
		}
	}
}

// A member whose gate is not there says what it waits for, in its log and to the verbs.
func TestMemberSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	a := g.member("a", nil)
	why := "waits for the gate at " + g.socket() + ": no such file or directory, is the gate running, and is the volume with its socket mounted here?"
	await(t, "the control socket", func() bool { return strings.Contains(a.Verb("status").Stderr, why) })
	for _, verb := range []string{"status", "check", "health", "swap"} {
		r := a.Verb(verb)
		if r.Code != 1 || r.Stdout != "" {
			t.Errorf("%s: %v", verb, r)
		}
		oneLine(t, r.Stderr, verb+" failed: no server runs yet, it "+why)
	}
	if r := a.Verb("version"); r.Code != 0 {
		t.Errorf("version: %v", r)
	}
	a.awaitErr("waiting for the gate at " + g.socket() + ": no such file or directory, is the gate running")
	g.begin()
	g.awaitHolder("a")
	a.awaitHealthy()
	if lines := linesWith(a.Stderr(), "waiting for the gate"); len(lines) != 1 {
		t.Errorf("%q", lines)
	}
	b := newGateway(t).member("b", nil)
	await(t, "the control socket", func() bool {
		return b.Verb("version").Code == 0 && strings.Contains(b.Verb("status").Stderr, "waits for the gate")
	})
	b.later("stop") // which may end with its namespace
	b.wantStatus(143)
}
