package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/test/load"
)

// steered are the settings of the tests of steering: without it nothing starts,
// and on a machine however slow nothing but the end of its connections ends a
// drain. soonIdle is for the tests of idleness.
func steered(more ...string) opts {
	return opts{Env: append([]string{"SWAPINIT_STEER=require", "SWAPINIT_IDLE_AFTER=1h", "SWAPINIT_DRAIN_TIMEOUT=1h"}, more...)}
}

const soonIdle = "SWAPINIT_IDLE_AFTER=100ms"

// shares is "1:75 2:25": each generation's part of the new connections in
// percent, "-" where nobody knows it.
func (s status) shares() string {
	var all []string
	for _, g := range s.Generations {
		share := "-"
		if g.Share != nil {
			share = fmt.Sprintf("%g", *g.Share)
		}
		all = append(all, fmt.Sprintf("%d:%s", g.Generation, share))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// stateOf is a generation's state as status has it, "" when it is gone.
func (s status) stateOf(generation int) string {
	for _, g := range s.Generations {
		if g.Generation == generation {
			return g.State
		}
	}
	return ""
}

// connections is "open idle queued" of a generation, "-" for what is unknown.
func (s status) connections(generation int) string {
	for _, g := range s.Generations {
		if g.Generation != generation {
			continue
		}
		var all []string
		for _, n := range []*int{g.Open, g.Idle, g.Queued} {
			if n == nil {
				all = append(all, "-")
			} else {
				all = append(all, strconv.Itoa(*n))
			}
		}
		return strings.Join(all, " ")
	}
	return ""
}

// all is "1: open idle queued" of each generation, for messages.
func (s status) all() string {
	var all []string
	for _, g := range s.Generations {
		all = append(all, fmt.Sprintf("%d: %s", g.Generation, s.connections(g.Generation)))
	}
	return strings.Join(all, ", ")
}

// endpoint is one of status's endpoints, as far as steering is concerned.
type endpoint struct {
	Steered *bool  `json:"steered"`
	Reason  string `json:"reason"`
	Check   string `json:"check_address"`
}

func (c *container) endpoint(n int) endpoint {
	c.t.Helper()
	s := c.status()
	var e endpoint
	if n >= len(s.Endpoints) {
		c.t.Fatalf("status shows %d endpoints", len(s.Endpoints))
	}
	if err := json.Unmarshal(s.Endpoints[n], &e); err != nil {
		c.t.Fatal(err)
	}
	if e.Steered == nil || !*e.Steered && e.Reason == "" {
		c.t.Fatalf("endpoint %s: want steered, or a reason why not", s.Endpoints[n])
	}
	return e
}

// wantShared fails unless the endpoint is shared by all generations for a
// reason with these words.
func (c *container) wantShared(n int, words ...string) {
	c.t.Helper()
	e := c.endpoint(n)
	if *e.Steered {
		c.t.Fatalf("endpoint %d is steered", n)
	}
	for _, word := range words {
		if !strings.Contains(e.Reason, word) {
			c.t.Errorf("the reason %q does not mention %q", e.Reason, word)
		}
	}
}

// awaitStatus polls until the status is as wanted.
func (c *container) awaitStatus(what string, want func(status) bool) {
	c.t.Helper()
	var last status
	if !poll(func() bool { last = c.status(); return want(last) }) {
		c.t.Fatalf("waited %v for %s; states %s, shares %s, generations %s", patience, what, last.states(), last.shares(), last.all())
	}
}

func (c *container) awaitShares(want string) {
	c.t.Helper()
	c.awaitStatus("shares "+want, func(s status) bool { return s.shares() == want })
}

// awaitDrained waits until a generation has its stop signal, or is gone.
func (c *container) awaitDrained(generation int) {
	c.t.Helper()
	c.awaitStatus(fmt.Sprintf("the drain of generation %d", generation), func(s status) bool {
		state := s.stateOf(generation)
		return state == "stopping" || state == ""
	})
}

// wantOnly fails unless each of many new connections is answered by a
// generation, from now on: with steering there is no moment in between.
func (c *container) wantOnly(generation int) {
	c.t.Helper()
	want := fmt.Sprintf("generation %d\n", generation)
	for n := range 30 {
		if got := c.get("/"); got != want {
			c.t.Fatalf("connection %d was answered by %q, want %q", n, got, want)
		}
	}
}

// steady fails unless a generation keeps its state, and gets no signal, while
// so much else happens that it would have got it long ago.
func (c *container) steady(generation int, state string) {
	c.t.Helper()
	for range 30 {
		if got := c.status().stateOf(generation); got != state {
			c.t.Fatalf("generation %d is %q, want it to stay %q", generation, got, state)
		}
	}
	c.wantNever(fmt.Sprintf("gen %d: got", generation))
}

// loadOn sends requests to one address of the container, each on a connection of
// its own, in a closed and in an open loop.
func (c *container) loadOn(network, address string) *load.Load {
	return load.Start(load.Options{
		Dial:  func(ctx context.Context) (net.Conn, error) { return c.box.Dial(ctx, network, address) },
		Fresh: 4, Rate: 100,
	})
}

// wantListeners fails unless the port has a listening socket for each of n
// generations. A few more may have been left, spare ones for the generations to
// come: swapinit opens one where the order of the others must not change.
func (c *container) wantListeners(n int) {
	c.t.Helper()
	got := 0
	if !poll(func() bool { got = c.sockets(8080, "0A"); return got >= n && got <= n+2 }) {
		c.t.Errorf("%d sockets listen, want %d", got, n)
	}
}

// sockets counts the TCP sockets of the container that are at a local port in
// a state, as /proc/net/tcp writes it: "0A" listens, "03" has an incomplete
// handshake.
func (c *container) sockets(port int, state string) int {
	n := 0
	for _, table := range []string{"tcp", "tcp6"} {
		for line := range strings.Lines(read(fmt.Sprintf("/proc/%d/net/%s", c.box.Pid(), table))) {
			fields := strings.Fields(line)
			if len(fields) > 3 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) && fields[3] == state {
				n++
			}
		}
	}
	return n
}
