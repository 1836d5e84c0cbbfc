package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// almostNone of the connections of a canary reach it by chance.
const almostNone = "SWAPINIT_CANARY=0.01%/1h"

// wide are endpoints that the kernel leads to the successor by where a connection goes to;
// at the others a relay does.
var checkedAt = []struct {
	listen, web string
	wide        bool
}{
	{"tcp://:8080", "127.0.0.1:8080", true}, {"tcp4://0.0.0.0:8080", "127.0.0.1:8080", true},
	{"tcp://127.0.0.1:8080", "127.0.0.1:8080", false}, {"tcp6://[::1]:8080", "[::1]:8080", false},
}

// checkAddress waits until status shows where the successor is reached.
func (c *container) checkAddress() (at string) {
	c.t.Helper()
	c.awaitStatus("a check address", func(status) bool { at = c.endpoint(0).Check; return at != "" })
	return at
}

func (c *container) awaitClosed(at string) {
	c.t.Helper()
	await(c.t, "nobody to listen at "+at, func() bool {
		_, err := c.getAt(at)
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// Every connection to the check address reaches the successor, from its first moment to the
// cut-over; the others where they always went. Both the command of a check and one of
// readiness learn it.
func TestSteerCheckAddress(t *testing.T) {
	for _, tc := range checkedAt {
		t.Run(tc.listen, func(t *testing.T) {
			t.Parallel()
			seen := tempDir(t) + "/"
			note := "sh -c 'echo $SWAPINIT_CHECK_ADDRESS >"
			c := startWeb(t, steered("SWAPINIT_LISTEN=web="+tc.listen, almostNone, "SWAPINIT_CANARY_CHECK="+note+seen+"check'",
				"SWAPINIT_READY=exec:"+note+seen+"ready$SWAPINIT_GENERATION && test -e "+seen+"go'"))
			if at := c.endpoint(0).Check; at != "" {
				t.Errorf("without a swap the check address is %s", at)
			}
			swap := c.later("swap")
			c.awaitOut("gen 2: ready") // says the server itself
			at := c.checkAddress()
			if at != "127.0.0.2:8080" {
				t.Errorf("the check address is %q", at)
			}
			reached := func(n int) {
				t.Helper()
				for range 30 {
					c.wantAt(at, n)
				}
				c.wantAt(tc.web, 1)
			}
			reached(2)
			await(t, "a probe that knows it", func() bool { return strings.TrimSpace(read(seen+"ready2")) == at })
			touch(t, seen+"go")
			c.awaitStatus("the canary", func(s status) bool { return strings.HasSuffix(s.shares(), "2:0.01") })
			reached(2)
			await(t, "a check that knows it", func() bool { return strings.TrimSpace(read(seen+"check")) == at })
			if r := c.Verb("status"); !strings.Contains(r.Stdout, at) {
				t.Errorf("status does not show it:\n%s", r.Stdout)
			}
			if r := c.Verb("promote"); r.Code != 0 {
				t.Fatalf("promote: %v", r)
			}
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			c.awaitStates("2:active")
			if at := c.endpoint(0).Check; at != "" {
				t.Errorf("after the swap the check address is %s", at)
			}
			if !tc.wide {
				c.awaitClosed(at)
			}
		})
	}
}

// A check by http:// of an endpoint judges the successor and nobody else: a bad one does
// not get through, and a good one does where the active one is bad.
func TestSteerCheckHTTP(t *testing.T) {
	for _, tc := range checkedAt {
		t.Run(tc.listen, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered("SWAPINIT_LISTEN=web="+tc.listen, almostNone, "SWAPINIT_CANARY_CHECK=http://"+tc.web+"/health"))
			bad := append([]string{"--"}, server(t, "-health", "/nonexistent")...)
			r := c.Verb(append([]string{"swap"}, bad...)...)
			if r.Code != 1 {
				t.Fatalf("a bad successor: %v, want status 1", r)
			}
			oneLine(t, r.Stderr, "canary check", "503")
			c.awaitStates("1:active")
			c.wantAt(tc.web, 1)

			// Without a canary it comes through, and the check does not keep a good one out.
			if r := c.Verb(append([]string{"swap", "--canary", "off"}, bad...)...); r.Code != 0 {
				t.Fatalf("swap --canary off: %v", r)
			}
			c.wantAt(tc.web, 3)
			if r := c.Verb(append([]string{"swap", "--canary", "0.01%/100ms", "--"}, server(t)...)...); r.Code != 0 {
				t.Fatalf("a good successor of a bad one: %v", r)
			}
			c.wantAt(tc.web, 4)
		})
	}
}

// The same at a gate, whose loopback interface is another one.
func TestGateCheck(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	l := g.load()
	from(t, l, "a", 30)
	bad := g.member("bad", []string{almostNone, "SWAPINIT_CANARY_CHECK=http://" + web + "/health"}, "-health", "/nonexistent")
	bad.wantStatus(1)
	bad.awaitErr("503")
	g.onlyFrom("a")
	seen := filepath.Join(tempDir(t), "check")
	b := g.member("b", []string{almostNone, "SWAPINIT_CANARY_CHECK=sh -c 'echo $SWAPINIT_CHECK_ADDRESS >" + seen + "'"})
	g.awaitState("b", "canary")
	at := b.checkAddress()
	await(t, "a check that knows it", func() bool { return strings.TrimSpace(read(seen)) == at })
	for range 30 {
		if got, err := b.getAt(at); err != nil || !strings.HasSuffix(got, " b\n") {
			t.Fatalf("at %s: %q, %v", at, got, err)
		}
	}
	if r := g.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	g.wait("b")
	b.awaitClosed(at)
	g.lossless(l, "a", "b")
}
