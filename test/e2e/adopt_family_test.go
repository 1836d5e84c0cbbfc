package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// peers asks a server at an address many times what it sees of its client.
func (c *container) peers(address, want string) {
	c.t.Helper()
	for range 20 {
		k := c.open("tcp", address)
		got, err := k.try("/peer")
		_ = k.conn.Close()
		if err != nil || !strings.HasPrefix(got, want) {
			c.t.Fatalf("the server at %s sees %q (%v), want %q", address, got, err, want)
		}
	}
}

// A server gets sockets of the family that it has asked for, and sees peers as without
// swapinit.
func TestAdoptFamily(t *testing.T) {
	const v4, v6 = web, "[::1]:8080"
	type view struct{ address, peer string }
	for _, tc := range []struct {
		listen string
		binds  []string
		views  []view
	}{
		{":8080", []string{"tcp4://0.0.0.0:8080"}, []view{{v4, "inet 127.0.0.1:"}}},
		{":8080", []string{bindWeb}, []view{{v4, "inet 127.0.0.1:"}}},
		{":8080", []string{"tcp6://[::]:8080?v6only=0"}, []view{{v4, "inet6 127.0.0.1:"}, {v6, "inet6 [::1]:"}}},
		{":8080", []string{"tcp6://[::]:8080"}, []view{{v4, "inet6 127.0.0.1:"}, {v6, "inet6 [::1]:"}}},
		{":8080", []string{"tcp4://0.0.0.0:8080", "tcp6://[::]:8080?v6only=1"}, []view{{v4, "inet 127.0.0.1:"}, {v6, "inet6 [::1]:"}}},
		{":8080", []string{"tcp6://[::]:8080?v6only=1", "tcp4://0.0.0.0:8080"}, []view{{v4, "inet 127.0.0.1:"}, {v6, "inet6 [::1]:"}}},
		{"tcp://0.0.0.0:8080", []string{"tcp6://[::]:8080?v6only=0"}, []view{{v4, "inet6 127.0.0.1:"}}},
		{"tcp://127.0.0.1:8080", []string{"tcp6://[::ffff:127.0.0.1]:8080"}, []view{{v4, "inet6 127.0.0.1:"}}},
	} {
		t.Run(plain(strings.Join(tc.binds, " and ")+" on "+tc.listen), func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=" + tc.listen, manyGenerations}}, tc.binds, "-stop", "exit")
			for range 3 {
				for _, v := range tc.views {
					c.peers(v.address, v.peer)
				}
				c.Swap()
				c.awaitStates(fmt.Sprintf("%d:active", c.status().LastSwap.Generation))
			}
			c.wantAdopted(1)
		})
	}
}

// IPv6 clients of a server that has IPv4 alone are refused, as without swapinit. Those
// who came before that is known are reset, and nobody hangs.
func TestAdoptRefusesTheOtherFamily(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=:8080", manyGenerations}}, []string{"tcp4://0.0.0.0:8080"}, "-stop", "exit", "-work", "5ms")
	await(t, "IPv6 to be refused", func() bool { return c.refusedAt("[::1]:8080") })
	l := c.loadOn("tcp", web)
	for n := 2; n <= 4; n++ {
		moreRequests(t, l, 20)
		c.Swap()
		c.awaitDrained(n - 1)
		c.wantOnly(n)
		if !c.refusedAt("[::1]:8080") {
			t.Errorf("in generation %d somebody listens for IPv6", n)
		}
	}
	noLoss(t, l)
}

// A successor of another family cannot take over: it is refused, with the reason, and
// nobody notices.
func TestAdoptSuccessorOfAnotherFamily(t *testing.T) {
	for _, tc := range []struct{ first, second, address string }{
		{"tcp4://0.0.0.0:8080", "tcp6://[::]:8080?v6only=0", web},
		{"tcp6://[::]:8080?v6only=0", "tcp4://0.0.0.0:8080", "[::1]:8080"},
	} {
		t.Run(plain(tc.first+" then "+tc.second), func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=:8080"}}, []string{tc.first}, "-stop", "exit", "-work", "5ms")
			l := c.loadOn("tcp", tc.address)
			moreRequests(t, l, 20)
			for range 2 {
				c.failedSwap(append([]string{"--"}, binding(t, []string{tc.second})...), "families")
			}
			c.awaitLine("families", "SWAPINIT_STRATEGY=replace")
			moreRequests(t, l, 20)
			c.awaitStates("1:active")
			c.wantNever("gen 1: got")
			count := noLoss(t, l)
			if len(count.Bodies) != 1 {
				t.Errorf("answers %v", count.Bodies)
			}
			// And replace it is.
			r := c.Verb(append([]string{"swap", "--strategy", "replace", "--"}, binding(t, []string{tc.second})...)...)
			if r.Code != 0 {
				t.Fatalf("swap --strategy replace: %v", r)
			}
			if got := c.ask1("tcp", web); !strings.HasPrefix(got, "generation 4") {
				t.Errorf("answer %q, want generation 4", got)
			}
		})
	}
}

// A first server that binds only after a swap was asked for is not refused for the sake of
// a successor that has bound nothing, and never will.
func TestAdoptBindsWhileSuccessorStarts(t *testing.T) {
	t.Parallel()
	begin := filepath.Join(t.TempDir(), "begin")
	c := startUnready(t, opts{Env: []string{"SWAPINIT_LISTEN=:8080"}}, []string{"tcp4://0.0.0.0:8080?after=" + begin}, "-stop", "exit")
	swap := c.later(append([]string{"swap", "--"}, server(t, "-from", "none", "-gate", "/nonexistent/gate")...)...)
	c.awaitStates("1:active 2:starting")
	touch(t, begin)
	c.awaitHealthy()
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	if r := c.Verb("swap", "--cancel"); r.Code != 0 {
		t.Fatalf("swap --cancel: %v", r)
	}
	if r := <-swap; r.Code != 1 {
		t.Errorf("swap: %v, want status 1", r)
	}
	c.awaitStates("1:active")
	// One that takes fd 3 is none for its clients, who come by IPv4.
	c.failedSwap(append([]string{"--timeout", "1s", "--"}, server(t)...), "does not listen on tcp4://0.0.0.0:8080")
	c.awaitStates("1:active")
	moreRequests(t, l, 20)
	noLoss(t, l)
	for _, never := range []string{"families", "pid file of its predecessor"} { // it was told to stop, and its status is 0
		if log := c.Stderr(); strings.Contains(log, never) {
			t.Errorf("the log has %q:\n%s", never, log)
		}
	}
}

// The endpoint that a server of the other family has is the one that was set: status
// and the shares show one.
func TestAdoptFamilyInStatus(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=web=:8080"}}, []string{"tcp4://0.0.0.0:8080"})
	c.awaitShares("1:100")
	s := c.status()
	var e struct{ Name, Address string }
	if len(s.Endpoints) != 1 || json.Unmarshal(s.Endpoints[0], &e) != nil || e.Name != "web" || e.Address != "tcp://[::]:8080" {
		t.Errorf("endpoints %s", s.Endpoints)
	}
	k := c.keep()
	c.awaitStatus("its connection", func(s status) bool { return s.connections(1) == "1 0 0" || s.connections(1) == "1 1 0" })
	k.get("/")
}
