package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A probe of an endpoint reaches the successor only: the predecessor's answer,
// which is yes, does not count, and nobody else's connection goes astray.
func TestSteerProbeOfAnEndpoint(t *testing.T) {
	for _, tc := range []struct{ listen, probe string }{
		{"tcp://" + web, "http://" + web + "/health"},
		{"tcp://:8080", "http://" + web + "/health"},
		{"tcp://:8080", "http://[::1]:8080/health"},
		{"tcp4://:8080", "http://" + web + "/health"},
		{"tcp6://[::1]:8080", "http://[::1]:8080/health"},
	} {
		t.Run(tc.probe+" on "+tc.listen, func(t *testing.T) {
			t.Parallel()
			address := strings.TrimSuffix(strings.TrimPrefix(tc.probe, "http://"), "/health")
			gate := filepath.Join(tempDir(t), "gate")
			c := startWeb(t, steered("SWAPINIT_LISTEN=web="+tc.listen, "SWAPINIT_READY="+tc.probe), "-ready", "none", "-stop", "exit", "-work", "5ms")
			await(t, "the first one's readiness", func() bool { return c.Verb("health").Code == 0 })
			before := strings.Count(c.Stdout(), "gen 1: healthy")
			l := c.loadOn("tcp", address)
			swap := c.later(append([]string{"swap", "--"}, server(t, "-ready", "none", "-health", gate, "-work", "5ms")...)...)
			await(t, "a few probes", func() bool { return strings.Count(c.Stdout(), "gen 2: not healthy") > 3 })
			c.awaitStates("1:active 2:starting")
			c.awaitShares("1:100 2:0")
			count := l.Count()
			if len(count.Bodies) != 1 || count.Bodies["generation 1"] == 0 {
				t.Errorf("answers %v before the cut-over, want generation 1's only", count.Bodies)
			}
			touch(t, gate)
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			if got := c.ask1("tcp", address); got != "generation 2\n" {
				t.Errorf("after the cut-over: %q", got)
			}
			if after := strings.Count(c.Stdout(), "gen 1: healthy"); after != before {
				t.Errorf("%d probes reached the predecessor", after-before)
			}
			c.awaitDrained(1)
			noLoss(t, l)
		})
	}
}

// A successor that never gets healthy has failed, and nothing happened.
func TestSteerProbeThatNeverSucceeds(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_READY=http://"+web+"/health"), "-ready", "none")
	await(t, "the first one's readiness", func() bool { return c.Verb("health").Code == 0 })
	// On a slow machine it may not even run by then.
	r := result{}
	for limit := 700 * time.Millisecond; limit < patience && !strings.Contains(r.Stderr, "503"); limit *= 4 {
		r = c.Verb(append([]string{"swap", "--timeout", limit.String(), "--"}, server(t, "-ready", "none", "-health", "/nonexistent/gate")...)...)
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
	}
	oneLine(t, r.Stderr, "503")
	c.awaitStates("1:active")
	c.wantOnly(1)
	c.wantNever("gen 1: got")
	// The endpoint still is steered well.
	c.Swap()
	c.wantOnly(c.status().LastSwap.Generation)
}

// A probe that proves nothing is refused at start.
func TestSteerProbeThatProvesNothing(t *testing.T) {
	for _, tc := range [][]string{
		{"SWAPINIT_READY=tcp://" + web, "SWAPINIT_STEER=off"},
		{"SWAPINIT_READY=http://" + web + "/health", "SWAPINIT_STEER=off"},
		{"SWAPINIT_READY=tcp://" + web, "SWAPINIT_STRATEGY=handover"},
		{"SWAPINIT_READY=http://" + web + "/health", "SWAPINIT_STRATEGY=handover"},
	} {
		t.Run(strings.Join(tc, " "), func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv(tc...), Args: []string{"echo", "started"}})
			c.wantStatus(125)
			oneLine(t, c.Stderr(), "SWAPINIT_READY", web)
			c.wantNever("started")
		})
	}
	t.Run("where steering does not work", func(t *testing.T) {
		t.Parallel()
		o := refusing(t, "steering", webEnv("SWAPINIT_READY=http://"+web+"/health")...)
		o.Args = append(o.Args, "echo", "started")
		c := start(t, o)
		c.wantStatus(125)
		oneLine(t, c.Stderr(), "SWAPINIT_READY", web)
		c.wantNever("started")
	})
}

// A swap that would share the socket is refused before anything is started, and others work.
func TestSteerProbeInAHandover(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_READY=http://"+web+"/health"), "-ready", "none")
	await(t, "the first one's readiness", func() bool { return c.Verb("health").Code == 0 })
	r := c.Verb("swap", "--strategy", "handover")
	if r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	oneLine(t, r.Stderr, "SWAPINIT_READY", web, "handover")
	c.Swap()
	c.awaitStates("2:active") // so the one before has started nothing
}

// tcp:// on an endpoint counts when the successor has accepted: to listen is not enough,
// as swapinit does that itself.
func TestSteerProbeByTCP(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, steered("SWAPINIT_READY=tcp://"+web), "-ready", "none")
	await(t, "the first one's readiness", func() bool { return c.Verb("health").Code == 0 })
	l := c.loadOn("tcp", web)
	swap := c.later(append([]string{"swap", "--"}, server(t, "-ready", "none", "-accept-gate", gate)...)...)
	c.awaitStates("1:active 2:starting")
	moreRequests(t, l, 100)
	c.awaitStates("1:active 2:starting")
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.wantOnly(2)
	noLoss(t, l)
}
