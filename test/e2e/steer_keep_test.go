package e2e

import "testing"

// A kept predecessor has no traffic and stays, until rollback gives it all.
func TestSteerKeepAndRollback(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	c.Swap()
	c.wantOnly(2)
	c.awaitShares("1:0 2:100")
	c.steady(1, "draining")
	r := c.Verb("rollback")
	if r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	oneLine(t, r.Stdout, "generation 1")
	c.wantOnly(1)
	c.awaitDrained(2)
	c.awaitStates("1:active")
	c.awaitShares("1:100")
	c.wantNever("gen 1: got")
	c.awaitOut("gen 2: got TERM")

	// And again, up to now there is nothing that could have worn out.
	c.Swap()
	c.awaitShares("1:0 3:100")
	c.wantOnly(3)
	r = c.Verb("promote")
	if r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	oneLine(t, r.Stdout, "generation 3")
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("3:active")
	noLoss(t, l)
}

// A path goes to and fro as well, and from a successor that crashes.
func TestSteerRollbackOfAPath(t *testing.T) {
	t.Parallel()
	sock, trigger := tempDir(t)+"/a.sock", tempDir(t)+"/die"
	c := startWeb(t, steered("SWAPINIT_LISTEN=web=tcp://"+web+" unix://"+sock, "SWAPINIT_KEEP=1h"), "-stop", "exit", "-work", "5ms")
	serves := func(generation string) {
		t.Helper()
		for range 10 {
			if got := c.ask1("unix", sock); got != "generation "+generation+"\n" {
				t.Fatalf("answer %q, want generation %s", got, generation)
			}
		}
	}
	l := c.loadOn("unix", sock)
	c.Swap()
	serves("2")
	if r := c.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	serves("1")
	c.awaitStates("1:active")
	swap := c.later("swap", "--canary", "50%/1h") // which a path cannot be divided for
	c.awaitShares("1:50 3:50")
	serves("1")
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	serves("3")
	noLoss(t, l)
	c.Swap("--", binary(t, "server"), "-die", "FILE="+trigger)
	serves("4")
	touch(t, trigger)
	c.awaitStatus("generation 3 again", func(s status) bool { return s.states() == "3:active" })
	serves("3")
}

func TestSteerKeepEndsByItself(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_KEEP=300ms"), "-stop", "exit")
	c.Swap()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	if r := c.Verb("rollback"); r.Code != 1 {
		t.Errorf("rollback: %v, want status 1", r)
	}
}

// rollback and promote where there is nothing to go back to, or to end.
func TestSteerNothingToRollBack(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(), "-stop", "exit")
	refused := func() {
		t.Helper()
		for _, verb := range []string{"rollback", "promote"} {
			r := c.Verb(verb)
			if r.Code != 1 || r.Stdout != "" {
				t.Errorf("%s: %v, want status 1", verb, r)
			}
			oneLine(t, r.Stderr)
			if r := c.Verb(verb, "nonsense"); r.Code != 2 {
				t.Errorf("%s nonsense: %v, want status 2", verb, r)
			}
		}
	}
	refused()
	c.Swap()
	c.awaitStates("2:active")
	refused()
	c.wantOnly(2)
	c.wantNever("gen 2: got")
}

// A swap that is asked for while a predecessor is kept keeps the newest one.
func TestSteerSwapWhileKept(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	for n := 2; n <= 5; n++ {
		moreRequests(t, l, 20)
		c.Swap()
		c.wantOnly(n)
	}
	if r := c.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	c.wantOnly(4)
	c.awaitStatus("generation 5 to be gone", func(s status) bool { return s.stateOf(5) == "" })
	noLoss(t, l)
}
