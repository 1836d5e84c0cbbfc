package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// What else can happen while two generations live.

// The predecessor dies in the canary: the successor takes over, as in any swap.
func TestSteerPredecessorDiesInCanary(t *testing.T) {
	t.Parallel()
	trigger := tempDir(t) + "/die"
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h"), "-die", "FILE="+trigger, "-status", "11")
	swap := c.later("swap", "--", binary(t, "server"), "-status", "22")
	c.awaitShares("1:50 2:50")
	touch(t, trigger)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitStates("2:active")
	c.awaitShares("2:100")
	c.wantOnly(2)
	if r := c.Verb("rollback"); r.Code != 1 {
		t.Errorf("rollback: %v, want status 1", r)
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(22)
}

// The predecessor dies while it is kept: the active one does not notice, and
// there is nothing to go back to.
func TestSteerKeptPredecessorDies(t *testing.T) {
	t.Parallel()
	trigger := tempDir(t) + "/die"
	c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-die", "FILE="+trigger)
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	c.Swap("--", binary(t, "server"))
	c.awaitShares("1:0 2:100")
	moreRequests(t, l, 20) // nobody is left at generation 1
	c.awaitStatus("generation 1 to be quiet", func(s status) bool { return strings.HasPrefix(s.connections(1), "0 ") })
	touch(t, trigger)
	c.awaitStates("2:active")
	c.wantOnly(2)
	if r := c.Verb("rollback"); r.Code != 1 {
		t.Errorf("rollback: %v, want status 1", r)
	}
	c.Swap()
	c.wantOnly(3)
	noLoss(t, l)
}

// The container is stopped in the middle of a canary: everybody gets the stop
// signal, and the status is that of the one that was active.
func TestSteerStopInCanary(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h"), "-status", "11")
	swap := c.later("swap", "--", binary(t, "server"), "-status", "22")
	c.awaitShares("1:50 2:50")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(11)
	c.wantOrder("gen 1: got TERM")
	c.wantOrder("gen 2: got TERM")
	// Whether the verb still hears of it depends on who is killed first.
	if r := receive(t, "the swap", swap); r.Code == 0 {
		t.Errorf("swap: %v", r)
	}
}

// A successor that misses its watchdog in the canary is rolled back.
func TestSteerWatchdogInCanary(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h", "SWAPINIT_WATCHDOG=2s"), "-watchdog", "off")
	r := c.Verb(append([]string{"swap", "--"}, server(t, "-watchdog", "once", "-on", "ABRT", "-stop", "exit")...)...)
	if r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	oneLine(t, lastLines(r.Stderr, 1), "watchdog")
	c.wantOnly(1)
	c.awaitStates("1:active")
	c.awaitShares("1:100")
	c.wantNever("gen 1: got TERM")
}

// A swap that is asked for in the middle of a canary comes after it.
func TestSteerSwapInCanary(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	first := c.later("swap", "--canary", "50%/1h")
	c.awaitShares("1:50 2:50")
	second := c.ask("swap", "{}")
	c.wantNever("gen 3: started")
	c.awaitShares("1:50 2:50")
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	if r := receive(t, "the swap", first); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	second.wantReply(true)
	c.wantOnly(3)
	c.awaitStates("3:active")
	noLoss(t, l)
}

// A swap by signal has the configured stages.
func TestSteerCanaryBySignal(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=10%/1h"), "-stop", "exit")
	c.Signal(syscall.SIGHUP)
	c.awaitShares("1:90 2:10")
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	c.wantOnly(2)
	c.awaitStates("2:active")
}
