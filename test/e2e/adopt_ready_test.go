package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// staysUnhealthy fails unless the container stays unhealthy while so much happens that it
// would have been healthy long ago.
func (c *container) staysUnhealthy() {
	c.t.Helper()
	for range 10 {
		if r := c.Verb("health"); r.Code != 1 {
			c.t.Fatalf("health: %v, want status 1", r)
		}
	}
}

// Readiness is what can be seen from outside: a connection that is aimed at the server
// has been accepted. A master that listens, and whose workers still load, is not ready.
func TestAdoptReadiness(t *testing.T) {
	for _, tc := range []struct {
		listen, bind, address string
	}{
		{"tcp://" + web, bindWeb, web},
		{":8080", "tcp4://0.0.0.0:8080", web},
		{":8080", "tcp6://[::]:8080?v6only=0", "[::1]:8080"},
		{"tcp6://[::1]:8080", "tcp6://[::1]:8080", "[::1]:8080"},
		{":8080", "tcp4://0.0.0.0:8080?defer", web},
	} {
		t.Run(plain(tc.bind+" on "+tc.listen), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			first, second := dir+"/first", dir+"/second"
			c := startUnready(t, opts{Env: []string{"SWAPINIT_LISTEN=" + tc.listen, "SWAPINIT_READY_TIMEOUT=1h"}}, []string{tc.bind}, "-accept-gate", first, "-stop", "exit", "-work", "5ms")
			c.awaitOut("gen 1: bound")
			c.staysUnhealthy()
			touch(t, first)
			c.awaitHealthy()
			l := c.loadOn("tcp", tc.address)
			moreRequests(t, l, 20)
			swap := c.later(append([]string{"swap", "--"}, binding(t, []string{tc.bind}, "-accept-gate", second, "-work", "5ms")...)...)
			c.awaitOut("gen 2: bound")
			c.awaitStates("1:active 2:starting")
			moreRequests(t, l, 20)
			c.steady(1, "active")
			count := l.Count()
			if len(count.Bodies) != 1 {
				t.Errorf("answers %v before the cut-over", count.Bodies)
			}
			touch(t, second)
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			if got := c.ask1("tcp", tc.address); got != "generation 2\n" {
				t.Errorf("after the cut-over: %q", got)
			}
			c.awaitDrained(1)
			noLoss(t, l)
		})
	}
}

// It binds at once and listens later: not ready before.
func TestAdoptListensLate(t *testing.T) {
	t.Parallel()
	gate := tempDir(t) + "/gate"
	c := startUnready(t, opts{}, []string{bindWeb + "?late=" + gate})
	c.awaitOut("gen 1: waits to listen")
	c.staysUnhealthy()
	touch(t, gate)
	c.awaitHealthy()
	c.wantOnly(1)
	c.wantAdopted(1)
}

// A server that binds only when it has loaded is ready then, and until then
// connections wait.
func TestAdoptBindsLate(t *testing.T) {
	t.Parallel()
	gate := tempDir(t) + "/gate"
	c := startUnready(t, opts{}, []string{bindWeb + "?after=" + gate})
	c.awaitOut("gen 1: ready") // it says so
	c.staysUnhealthy()
	k := c.open("tcp", web)
	touch(t, gate)
	if got := k.get("/"); got != "generation 1\n" {
		t.Errorf("who waited is answered by %q", got)
	}
	c.awaitHealthy()
}

// One that hangs up on whoever comes has accepted them all the same.
func TestAdoptHangsUp(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{}, []string{bindWeb + "?hangup"})
	c.Swap()
	c.awaitStates("2:active")
}

// A successor that never accepts, or never binds, has failed at the timeout; the
// predecessor never noticed.
func TestAdoptNeverReady(t *testing.T) {
	for name, tc := range map[string]struct {
		binds []string
		flags []string
		said  string // on standard output, before the timeout counts
		why   string
	}{
		"never accepts": {[]string{bindWeb}, []string{"-accept-gate", "/nonexistent/gate", "-stop", "exit"}, "bound", "accepted"},
		"never listens": {[]string{bindWeb + "?late=/nonexistent/gate"}, nil, "waits to listen", ""},
		"never binds":   {nil, nil, "ready", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{}, []string{bindWeb}, "-work", "5ms")
			l := c.loadOn("tcp", web)
			moreRequests(t, l, 20)
			// On a slow machine it may not even run by then.
			r, n := result{}, 1
			ran := func() bool {
				said := fmt.Sprintf("gen %d: %s", n, tc.said)
				return strings.Contains(c.Stdout(), said) && strings.Contains(r.Stderr, tc.why)
			}
			for limit := 700 * time.Millisecond; limit < patience && (n == 1 || !ran()); limit *= 4 {
				n++
				r = c.Verb(append([]string{"swap", "--timeout", limit.String(), "--"}, binding(t, tc.binds, tc.flags...)...)...)
				if r.Code != 1 {
					t.Fatalf("swap: %v, want status 1", r)
				}
			}
			t.Logf("after %d swaps: %s", n-1, r.Stderr)
			oneLine(t, r.Stderr, tc.why)
			c.awaitStates("1:active")
			c.wantNever("gen 1: got")
			if count := noLoss(t, l); len(count.Bodies) != 1 {
				t.Errorf("answers %v", count.Bodies)
			}
		})
	}
}

const twoEndpoints = "SWAPINIT_LISTEN=web=tcp://" + web + " other=tcp://127.0.0.1:8081"

// A successor listens on all that its predecessor listened on, or it is not ready.
func TestAdoptFewerPorts(t *testing.T) {
	both := []string{bindWeb, "tcp4://127.0.0.1:8081"}
	for name, ready := range map[string]string{"seen": "none", "against its own word": "pipe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{twoEndpoints}}, both)
			c.wantAdopted(2)
			r, n := result{}, 1
			for limit := 700 * time.Millisecond; limit < patience && (n == 1 || !strings.Contains(r.Stderr, "127.0.0.1:8081")); limit *= 4 {
				n++
				r = c.Verb(append([]string{"swap", "--timeout", limit.String(), "--"}, binding(t, both[:1], "-ready", ready)...)...)
				if r.Code != 1 {
					t.Fatalf("swap: %v, want status 1", r)
				}
			}
			oneLine(t, r.Stderr, "127.0.0.1:8081")
			c.wantOnly(1)
			c.wantAt("127.0.0.1:8081", 1)
			c.awaitStates("1:active")
			c.wantNever("gen 1: got")
		})
	}
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		gate := tempDir(t) + "/gate"
		c := startBinding(t, opts{Env: []string{twoEndpoints}}, both)
		swap := c.later(append([]string{"swap", "--"}, binding(t, []string{bindWeb, both[1] + "?after=" + gate})...)...)
		c.awaitOut("gen 2: bound")
		c.steady(1, "active")
		touch(t, gate)
		if r := receive(t, "the swap", swap); r.Code != 0 {
			t.Fatalf("swap: %v", r)
		}
		c.wantAt(web, 2)
		c.wantAt("127.0.0.1:8081", 2)
	})
	// What one opens later, when it has been ready for long, is not waited for.
	t.Run("a port that is opened lazily", func(t *testing.T) {
		t.Parallel()
		gate := tempDir(t) + "/gate"
		c := startBinding(t, opts{Env: []string{twoEndpoints}}, []string{bindWeb, both[1] + "?after=" + gate})
		c.awaitStatus("more than ten seconds of readiness", func(s status) bool {
			g := s.Generations[0]
			return *g.UptimeMS > *g.ReadyMS+11_000
		})
		touch(t, gate)
		c.wantAt("127.0.0.1:8081", 1)
		c.Swap(append([]string{"--"}, binding(t, []string{bindWeb})...)...)
		c.wantOnly(2)
	})
}
