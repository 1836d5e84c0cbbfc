package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// A successor that dies while the predecessor lives gives its traffic back, and
// nobody but its own connections notices.
func TestSteerSuccessorCrashes(t *testing.T) {
	// crash ends generation 2 and waits until generation 1 has everything back.
	crash := func(c *container, trigger string) {
		c.t.Helper()
		touch(c.t, trigger)
		c.awaitOut("gen 2: dying")
		c.awaitStatus("generation 1 to be active alone", func(s status) bool { return s.states() == "1:active" && s.shares() == "1:100" })
		l := c.loadOn("tcp", web)
		moreRequests(c.t, l, 100)
		if count := noLoss(c.t, l); len(count.Bodies) != 1 || count.Bodies["generation 1"] == 0 {
			c.t.Errorf("answers %v, want generation 1's only", count.Bodies)
		}
		c.wantNever("gen 1: got")
	}
	// survives: the init still swaps, and ends with generation 1's status.
	over := func(c *container) {
		c.t.Helper()
		c.wantListeners(1)
		c.Signal(syscall.SIGTERM)
		c.wantStatus(11)
	}
	successor := func(t *testing.T, trigger string) []string {
		return append([]string{"--"}, server(t, "-stop", "exit", "-die", "FILE="+trigger, "-die-status", "9")...)
	}
	t.Run("in canary", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h"), "-stop", "exit", "-status", "11")
		swap := c.later(append([]string{"swap"}, successor(t, trigger)...)...)
		c.awaitShares("1:50 2:50")
		crash(c, trigger)
		r := receive(t, "the swap", swap)
		if r.Code != 1 {
			t.Errorf("swap: %v, want status 1", r)
		}
		if lines := strings.Split(strings.TrimSpace(r.Stderr), "\n"); !strings.Contains(lines[len(lines)-1], "9") {
			t.Errorf("swap: %v, want the exit status in the reason", r)
		}
		if s := c.status(); s.LastSwap == nil || s.LastSwap.OK || s.LastSwap.Reason == "" {
			t.Errorf("last swap: %+v", s.LastSwap)
		}
		over(c)
	})
	t.Run("while the predecessor is kept", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-stop", "exit", "-status", "11")
		c.Swap(successor(t, trigger)...)
		c.awaitStates("1:draining 2:active")
		crash(c, trigger)
		c.awaitErr("generation 1")
		if s := c.status(); s.LastSwap == nil || s.LastSwap.Outcome != "rolled back" || s.LastSwap.OK {
			t.Errorf("last swap: %+v", s.LastSwap)
		}
		over(c)
	})
	t.Run("while the predecessor drains", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, steered(), "-stop", "exit", "-status", "11")
		request := c.busy()
		c.Swap(successor(t, trigger)...)
		c.steady(1, "draining")
		crash(c, trigger)
		request.finish()
		over(c)
	})
	t.Run("and the next swap works", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-stop", "exit", "-status", "11")
		c.Swap(successor(t, trigger)...)
		crash(c, trigger)
		c.Swap("--", binary(t, "server"), "-status", "22")
		c.wantOnly(3)
		c.awaitShares("1:0 3:100")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(22)
	})
	t.Run("under load", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-work", "5ms")
		l := c.load() // eight clients, one request each at a time
		c.Swap(append([]string{"--"}, server(t, "-work", "5ms", "-die", "FILE="+trigger)...)...)
		moreRequests(t, l, 50)
		touch(t, trigger)
		c.awaitStates("1:active")
		// What the dead one had accepted, and what came before anybody knew, is
		// lost; each client can have had one of either.
		failed := l.Count().Failed
		moreRequests(t, l, 200)
		count := l.Stop()
		if failed > 16 || count.Failed > 16 {
			t.Errorf("%d, then %d requests failed with eight clients: %v", failed, count.Failed, count)
		}
		t.Logf("%v", count)
	})
}
