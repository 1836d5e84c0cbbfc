package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const sigTERM = syscall.SIGTERM

func TestGateFirst(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	g.onlyFrom("a")
	s := g.look()
	if m := s.of("a"); s.states() != "a:holder" || m.Order != 1 || !m.Connected || m.Share == nil || *m.Share != 100 || s.Gate.Holder != "a" {
		t.Errorf("the gate has %+v", s.Gate)
	}
	if n := len(a.status().Endpoints); n != 1 {
		t.Errorf("the member shows %d endpoints", n)
	}
	g.wait("a")
	a.Signal(sigTERM)
	a.wantStatus(0)
}

// A takeover under load: the newcomer is ready, and probed by a connection that only it
// gets, before anybody else comes to it; then it has everything in one step.
func TestGateTakeover(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	l := g.load()
	from(t, l, "a", 50)
	healthy := filepath.Join(tempDir(t), "healthy")
	b := g.member("b", []string{"SWAPINIT_READY=http://" + web + "/health"}, "-health", healthy)
	b.awaitOut("not healthy") // the probe's connection has reached it
	from(t, l, "a", 50)
	g.awaitState("b", "rising")
	if r := b.Verb("health"); r.Code != 1 {
		t.Errorf("health before it has the traffic: %v", r)
	}
	if count := l.Count(); strings.Contains(strings.Join(keys(count.Bodies), " "), "b") {
		t.Errorf("it had traffic before it was ready: %v", count)
	}
	touch(t, healthy)
	g.wait("b")
	g.onlyFrom("b")
	b.awaitHealthy()
	from(t, l, "b", 50)
	g.awaitState("a", "retired")
	a.awaitOut("gen 1: done")
	g.lossless(l, "a", "b")

	// Retired: healthy, without a server, and gone at once.
	a.awaitHealthy()
	if n := len(a.Procs()); n != 1 {
		t.Errorf("a retired member has %d processes: %v", n, a.Procs())
	}
	a.Signal(sigTERM)
	a.wantStatus(0)
	g.awaitLine("b has the traffic", "from a")
}

// Swap in a retired one takes over again, with a new number.
func TestGateSwapBringsBack(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	g.member("b", nil)
	g.wait("b")
	g.awaitState("a", "retired")
	l := g.load()
	from(t, l, "b", 30)
	a.Swap()
	g.awaitHolder("a")
	g.onlyFrom("a")
	from(t, l, "a", 30)
	g.lossless(l, "a", "b")
	if s := g.look(); s.of("a").Order != 3 {
		t.Errorf("order %d, want a new one: 3", s.of("a").Order)
	}
}

func TestGateCanary(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	l := g.load()
	from(t, l, "a", 30)
	g.member("b", []string{"SWAPINIT_CANARY=25%/1h"})
	g.awaitState("b", "canary")
	if m := g.look(); *m.ofShare("a") != 75 || *m.ofShare("b") != 25 {
		t.Errorf("shares %v and %v, want 75 and 25", *m.ofShare("a"), *m.ofShare("b"))
	}
	// Each new connection by chance: of 400 between 40 and 180 for a quarter are beyond doubt.
	n := 0
	for range 400 {
		if strings.HasSuffix(g.host.get("/"), " b\n") {
			n++
		}
	}
	if n < 40 || n > 180 {
		t.Errorf("%d of 400 connections came to the quarter", n)
	}
	if r := g.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	g.wait("b")
	g.onlyFrom("b")
	g.lossless(l, "a", "b")
}

func (s *gateStatus) ofShare(name string) *float64 {
	if m := s.of(name); m.Share != nil {
		return m.Share
	}
	none := -1.0
	return &none
}

// A newcomer that fails in any way before it has the traffic ends as an init whose
// server failed; nobody else notices.
func newcomersFail(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	pid := a.serverPid()
	l := g.load()
	dir := tempDir(t)
	cases := []struct {
		name   string
		env    []string
		flags  []string
		do     func(b *container)
		status int
	}{
		{"exits", nil, []string{"-die", "boot", "-die-status", "7"}, nil, 7},
		{"signal", nil, []string{"-die", "boot", "-die-signal", "KILL"}, nil, 128 + 9},
		{"never-ready", []string{"SWAPINIT_READY_TIMEOUT=200ms"}, []string{"-ready", "none"}, nil, 1},
		{"no-socket", nil, []string{"-take", "none"}, nil, 1},
		{"settling", []string{"SWAPINIT_SETTLE=1h"}, []string{"-die", "ready", "-die-status", "9"}, nil, 9},
		{"canary", []string{"SWAPINIT_CANARY=1%/1h"}, []string{"-die", "FILE=" + filepath.Join(dir, "die"), "-die-status", "5"},
			func(*container) { touch(t, filepath.Join(dir, "die")) }, 5},
		{"killed", []string{"SWAPINIT_CANARY=1%/1h"}, nil, func(b *container) { _ = b.box.Signal(syscall.SIGKILL) }, -1},
		{"stopped", []string{"SWAPINIT_CANARY=1%/1h"}, nil, func(b *container) { b.Signal(sigTERM) }, 0},
	}
	for _, tc := range cases {
		moreRequests(t, l, 20)
		b := g.member(tc.name, tc.env, tc.flags...)
		if tc.do != nil {
			g.awaitState(tc.name, "canary")
			tc.do(b)
		}
		if tc.status < 0 {
			receive(t, "its end", b.box.Done())
		} else if got := b.Wait(); got != tc.status {
			t.Errorf("%s: exit status %d, want %d; %s", tc.name, got, tc.status, b.Stderr())
		}
		g.awaitGate(tc.name+" to be gone", func(s *gateStatus) bool { m := s.of(tc.name); return !m.Connected && s.of("a").State == "holder" })
		g.onlyFrom("a")
	}
	// A connection that the canary had when it was killed is lost, and no other.
	if count := l.Stop(); count.Failed > 2 || count.Refused > 0 {
		t.Errorf("%v", count)
	}
	if a.serverPid() != pid {
		t.Error("the holder's server is another one")
	}
	a.wantNever("gen 1: got")
	a.wantNever("gen 2")
}
