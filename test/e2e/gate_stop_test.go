package e2e

import (
	"testing"
)

// The holder is told to stop: what it has accepted it finishes, new connections wait,
// and whoever joins next gets them. That is a plain recreate.
func TestGateRecreate(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	l := g.load()
	from(t, l, "a", 50)
	a.Signal(sigTERM)
	a.wantStatus(0)
	crowd := g.crowd(5)
	g.member("b", nil)
	g.wait("b")
	for _, w := range crowd {
		w.served()
	}
	from(t, l, "b", 50)
	g.lossless(l, "a", "b")
}

// Requests that are under way are finished before the stop signal.
func TestGateStopFinishes(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_STOP_DRAIN=1h"})
	request := g.host.longRequest()
	a.Signal(sigTERM)
	g.awaitState("a", "leaving")
	waits := g.ask()
	a.wantNever("gen 1: got")
	request.finish()
	a.awaitOut("gen 1: got TERM")
	a.wantStatus(0)
	g.member("b", nil)
	g.wait("b")
	waits.served()
}

// Where nobody joins, a kept one serves 10 s after the end. What has waited until then
// in the socket of the one that ended nobody can serve any more: it is reset.
func TestGateStopKept(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", []string{"SWAPINIT_KEEP=1h"})
	b := g.member("b", nil)
	g.wait("b")
	b.Signal(sigTERM)
	b.wantStatus(0)
	crowd := g.crowd(3)
	g.awaitHolder("a")
	g.onlyFrom("a")
	for _, w := range crowd {
		w.ends()
	}
}

// A plain container waits for its connections, too, where it is told to.
func TestStopDrain(t *testing.T) {
	for _, drain := range []string{"idle", "gone"} {
		t.Run(drain, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_DRAIN=1h", "SWAPINIT_DRAIN=" + drain, soonIdle}}, "-on", "TERM")
			request := c.longRequest()
			c.Signal(sigTERM)
			for range 10 {
				c.status()
			}
			c.wantNever("gen 1: got")
			request.finish()
			c.awaitOut("gen 1: got TERM")
			c.wantStatus(0)
		})
	}
	t.Run("not for ever", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_STOP_DRAIN=300ms", "SWAPINIT_DRAIN=gone"}})
		request := c.longRequest()
		c.Signal(sigTERM)
		c.awaitOut("gen 1: got TERM")
		request.finish()
		c.wantStatus(0)
	})
}
