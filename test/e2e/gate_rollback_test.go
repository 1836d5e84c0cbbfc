package e2e

import (
	"strings"
	"testing"
)

// An operator's rollback at the gate, or in the member, gives the traffic back to the
// one that is kept. The other one ends with 1, and does not get it again by itself.
func TestGateRollback(t *testing.T) {
	for _, where := range []string{"gate", "member", "canary", "member in canary"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			g := startGate(t)
			a := g.first("a", []string{"SWAPINIT_KEEP=1h"})
			l := g.load()
			from(t, l, "a", 20)
			var env []string
			if strings.HasSuffix(where, "canary") {
				env = []string{"SWAPINIT_CANARY=50%/1h"}
			}
			b := g.member("b", env)
			if strings.HasSuffix(where, "canary") {
				g.awaitState("b", "canary")
			} else {
				g.wait("b")
				from(t, l, "b", 20)
			}
			r := result{}
			if strings.HasPrefix(where, "member") {
				r = b.Verb("rollback")
			} else {
				r = g.Verb("rollback")
			}
			if r.Code != 0 {
				t.Fatalf("rollback: %v", r)
			}
			if oneLine(t, r.Stdout, "rolled back to "); strings.Contains(r.Stdout, "generation") {
				t.Errorf("rollback says %q", r.Stdout)
			}
			g.awaitHolder("a")
			g.onlyFrom("a")
			b.wantStatus(1)
			b.awaitOut("gen 1: got TERM")
			a.awaitStates("1:active")
			a.wantNever("gen 1: got")
			for line := range strings.Lines(b.Stderr()) {
				if strings.Contains(line, "generation 0") {
					t.Errorf("it names a generation that there is not: %q", line)
				}
			}
			g.lossless(l, "a")

			if where == "member in canary" {
				return // the gate takes that for a swap that has failed
			}
			b = g.member("b", nil)
			g.awaitGate("b to be back", func(s *gateStatus) bool { m := s.of("b"); return m.Connected && m.State == "failed" })
			b.wantNever("started")
			if r := g.Verb("rollback"); r.Code != 1 || !strings.Contains(r.Stderr, "SWAPINIT_KEEP") {
				t.Errorf("a second rollback: %v", r)
			}
			// Nobody else serves: it gets it.
			a.Signal(sigTERM)
			a.wantStatus(0)
			g.awaitHolder("b")
			g.onlyFrom("b")
		})
	}
}

// wait --or-rollback gives the traffic back when the newcomer dies.
func TestGateWaitOrRollback(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", []string{"SWAPINIT_KEEP=1h"})
	wait := g.later("wait", "b", "--timeout", patience.String(), "--or-rollback")
	b := g.member("b", nil, "-die", "boot", "-die-status", "3")
	b.wantStatus(3)
	r := receive(t, "wait", wait)
	if r.Code != 1 || !strings.Contains(r.Stderr, "b") || !strings.Contains(r.Stderr, "docker logs b") {
		t.Errorf("wait: %v", r)
	}
	g.onlyFrom("a")
}
