package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
)

// The invariants where the successor is another container; see invariants_test.go.

func alwaysAcceptingAtAGate(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	keep := []string{"SWAPINIT_KEEP=1h"}
	a := g.first("a", keep)
	l := g.load()
	var b *container
	steps := []struct {
		name string
		do   func()
	}{
		{"takeover", func() { b = g.member("b", keep); g.wait("b") }},
		{"swap inside", func() { b.Swap() }},
		{"newcomer exits", func() { g.member("c", nil, "-die", "boot").wantStatus(1) }},
		{"newcomer takes no socket", func() { g.member("d", nil, "-take", "none").wantStatus(1) }},
		{"rollback", func() {
			if r := g.Verb("rollback"); r.Code != 0 {
				t.Fatal(r)
			}
			b.wantStatus(1)
		}},
		{"the gate ends", g.stop},
		{"the gate is back", func() { g.begin(); g.awaitHolder("a") }},
		{"another takeover", func() { g.member("e", nil); g.wait("e") }},
		{"and back", func() { a.Swap() }},
	}
	for _, s := range steps {
		moreRequests(t, l, 30)
		s.do()
		if n := l.Count().Refused; n > 0 {
			t.Fatalf("%s: %d connections were refused", s.name, n)
		}
	}
	moreRequests(t, l, 30)
	noLoss(t, l)
	// While nobody serves, too.
	_ = a.box.Signal(syscall.SIGKILL)
	receive(t, "its end", a.box.Done())
	g.crowd(20)
	g.stop() // nobody has the sockets then: it is the end of the endpoints
}

func readyBeforeRetireAtAGate(t *testing.T) {
	t.Run("not before it is ready", func(t *testing.T) {
		t.Parallel()
		g := startGate(t)
		a := g.first("a", nil)
		ready := filepath.Join(g.volume, "ready")
		b := g.member("b", nil, "-gate", ready)
		b.awaitOut("gen 1: started")
		g.awaitState("b", "rising")
		g.onlyFrom("a")
		a.wantNever("gen 1: got")
		touch(t, ready)
		g.wait("b")
		a.awaitOut("gen 1: done")
	})
	t.Run("not before it has settled", func(t *testing.T) {
		t.Parallel()
		g := startGate(t)
		a := g.first("a", nil)
		b := g.member("b", []string{"SWAPINIT_SETTLE=1h"})
		b.awaitOut("gen 1: ready")
		b.awaitStatus("its settling", func(s status) bool { return s.states() == "1:ready" })
		g.onlyFrom("a")
		a.wantNever("gen 1: got")
		b.Signal(sigTERM)
		b.wantStatus(0)
		g.onlyFrom("a")
	})
	t.Run("not when it does not survive its settle time", func(t *testing.T) {
		t.Parallel()
		g := startGate(t)
		a := g.first("a", nil)
		g.member("b", []string{"SWAPINIT_SETTLE=1h"}, "-die", "ready", "-die-status", "0").wantStatus(0)
		g.onlyFrom("a")
		a.wantNever("gen 1: got")
	})
}
