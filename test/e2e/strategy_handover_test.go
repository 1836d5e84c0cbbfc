package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Two addresses that the test server binds for itself.
const handA, handB = "127.0.0.1:9001", "127.0.0.1:9002"

func handover(more ...string) opts {
	return opts{Env: append([]string{"SWAPINIT_STRATEGY=handover", "SWAPINIT_SETTLE=0"}, more...)}
}

// startHandover starts a container with a server that binds for itself.
func startHandover(t *testing.T, o opts, flags ...string) *container {
	t.Helper()
	o.Args = server(t, flags...)
	c := start(t, o)
	c.awaitOut("gen 1: ready\n") // "ready for" comes first
	return c
}

// getAt fetches / at an address of the container.
func (c *container) getAt(address string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return c.box.Dial(ctx, network, address)
		}}}
	answer, err := client.Get("http://server/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// wantAt fails unless an address is served by generation n.
func (c *container) wantAt(address string, n int) {
	c.t.Helper()
	want, got := fmt.Sprintf("generation %d\n", n), ""
	var err error
	if !poll(func() bool { got, err = c.getAt(address); return got == want }) {
		c.t.Fatalf("%s answers %q, %v, want %q", address, got, err, want)
	}
}

// Each resource is handed over by itself: the predecessor gives it up before the
// successor is told to go, and lives until the successor is ready.
func TestStrategyHandover(t *testing.T) {
	t.Parallel()
	c := startHandover(t, handover(), "-hand", handA+","+handB)
	c.wantOrder("gen 1: ready for "+handA, "gen 1: go "+handA, "gen 1: bound "+handA, "gen 1: ready\n")
	c.wantAt(handA, 1)
	c.wantAt(handB, 1)
	r := c.Verb("swap")
	if r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	inOrder(t, r.Stdout, "started", handA, "ready", "cut over", "stopping")
	for _, address := range []string{handA, handB} {
		c.wantOrder("gen 2: ready for "+address, "gen 1: takedown "+address, "gen 1: released "+address, "gen 2: go "+address, "gen 2: bound "+address, "gen 2: ready\n")
		c.wantAt(address, 2)
	}
	c.awaitOut("gen 1: done")
	c.wantOrder("gen 1: released", "gen 2: ready\n", "gen 1: got TERM")
	c.awaitStates("2:active")
	c.Swap("--strategy", "handover")
	c.awaitStates("3:active")
	c.wantAt(handB, 3)
}

// The first generation is told to go at once under any strategy, and a server
// that asks under overlap as well: then nobody has to give anything up.
func TestGoAtOnce(t *testing.T) {
	t.Parallel()
	c := startHandover(t, opts{Env: []string{"SWAPINIT_SETTLE=0"}}, "-hand", handA)
	c.wantAt(handA, 1)
	c.Swap("--", binary(t, "server"), "-hand", handB)
	c.awaitStates("2:active")
	c.wantNever("takedown")
	c.wantAt(handB, 2)
}

// To go is not to be ready. What a predecessor had given up is its own again
// when the successor has failed, but not before that one is gone: it has it.
func TestGoIsNotReadiness(t *testing.T) {
	for _, stop := range []string{"exit", "finish", "ignore"} {
		t.Run(stop, func(t *testing.T) {
			t.Parallel()
			c := startHandover(t, handover("SWAPINIT_LEFTOVER_TIMEOUT=300ms"), "-hand", handA)
			r := c.Verb(append([]string{"swap", "--timeout", "10s", "--"}, server(t, "-hand", handA, "-ready", "none", "-stop", stop)...)...)
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			await(t, "it to be bound again", func() bool { return c.times("gen 1: bound "+handA) == 2 || c.ended() })
			c.wantOrder("gen 2: go "+handA, "gen 2: got TERM", "gen 1: go "+handA)
			c.awaitStates("1:active")
			c.wantAt(handA, 1)
			c.wantNever("gen 1: got TERM")
		})
	}
}

// A successor that dies with what it was given.
func TestHandoverFails(t *testing.T) {
	for name, flags := range map[string][]string{
		"at go": {"-die", "go"}, "bound": {"-die", "ready"}, "of two": {"-hand", handA + "," + handB, "-die", "go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startHandover(t, handover("SWAPINIT_SETTLE=10s"), "-hand", handA+","+handB)
			if name == "bound" {
				// It is ready, serves, and dies before it has settled.
				gate := c.file("die")
				flags = []string{"-die", "FILE=" + gate}
				go func() {
					if poll(func() bool { return strings.Contains(c.Stdout(), "gen 2: ready\n") }) {
						write(t, gate, "")
					}
				}()
			}
			r := c.Verb(append([]string{"swap", "--"}, append(server(t, "-hand", handA), flags...)...)...)
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			oneLine(t, r.Stderr, "exited with status 1")
			c.awaitTimes("gen 1: bound "+handA, 2)
			c.awaitStates("1:active")
			c.wantAt(handA, 1)
			c.wantAt(handB, 1)
			c.wantNever("gen 1: got TERM")
			c.Swap()
			c.awaitStates("3:active")
			c.wantAt(handA, 3)
			c.wantAt(handB, 3)
		})
	}
}

// A predecessor that never said a word on the channel gets the stop signal, and
// the successor goes when it is gone.
func TestHandoverOfADeafOne(t *testing.T) {
	t.Parallel()
	c := startHandover(t, handover(), "-hand", handA, "-deaf")
	c.wantAt(handA, 1)
	r := c.Verb(append([]string{"swap", "--"}, server(t, "-hand", handA)...)...)
	if r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.wantOrder("gen 2: ready for "+handA, "gen 1: got TERM", "gen 1: done", "gen 2: go "+handA, "gen 2: ready\n")
	c.awaitStates("2:active")
	c.wantAt(handA, 2)
}

// One that does not answer gets it after ten seconds; this is the one test that
// waits for them.
func TestHandoverUnanswered(t *testing.T) {
	t.Parallel()
	c := startHandover(t, handover(), "-hand", handA, "-takedown", "ignore")
	r := c.Verb(append([]string{"swap", "--"}, server(t, "-hand", handA)...)...)
	if r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.wantOrder("gen 1: takedown "+handA, "gen 1: got TERM", "gen 1: done", "gen 2: go "+handA, "gen 2: ready\n")
	c.awaitStates("2:active")
	c.wantAt(handA, 2)
}

// One that answers by its exit has released everything.
func TestHandoverByExit(t *testing.T) {
	t.Parallel()
	c := startHandover(t, handover(), "-hand", handA+","+handB, "-takedown", "exit")
	c.Swap()
	c.wantOrder("gen 1: takedown", "gen 1: done", "gen 2: go", "gen 2: ready\n")
	c.wantNever("gen 1: got TERM")
	c.awaitStates("2:active")
	c.wantAt(handA, 2)
	c.wantAt(handB, 2)
}

// And when the successor of one that had to go fails, its command runs again.
func TestHandoverFailsAfterTheEnd(t *testing.T) {
	t.Parallel()
	c := startHandover(t, handover(), "-hand", handA, "-deaf")
	r := c.Verb(append([]string{"swap", "--"}, server(t, "-hand", handA, "-die", "go")...)...)
	if r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	c.awaitStates("3:active")
	c.wantAt(handA, 3)
}
