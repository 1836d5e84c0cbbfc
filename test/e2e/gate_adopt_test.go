package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// unmodified starts a member whose server binds for itself.
func (g *gateway) unmodified(name string, env []string, addresses ...string) *container {
	g.host.t.Helper()
	args := []string{"-from", "none", "-ready", "none", "-say", name}
	for _, a := range addresses {
		args = append(args, "-bind", a)
	}
	return g.memberWith(opts{Env: env}, name, args...)
}

// Unmodified servers take over from each other.
func TestGateAdopts(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.unmodified("a", nil, bindWeb)
	g.wait("a")
	g.onlyFrom("a")
	a.wantAdopted(1)
	l := g.load()
	from(t, l, "a", 30)
	g.unmodified("b", nil, bindWeb)
	g.wait("b")
	from(t, l, "b", 30)
	g.member("c", nil) // and one that takes fd 3
	g.wait("c")
	from(t, l, "c", 30)
	g.onlyFrom("c")
	g.lossless(l, "a", "b", "c")
}

// answers fails unless a connection to the address is answered by that member.
func (g *gateway) answers(address, name string) {
	g.host.t.Helper()
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: g.host.dialTo(address)}}
	answer, err := c.Get("http://server/")
	if err != nil {
		g.host.t.Fatalf("%s: %v", address, err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if !strings.HasSuffix(string(text), " "+name+"\n") {
		g.host.t.Fatalf("%s: answer %q, want %s", address, text, name)
	}
}

// A dual-stack endpoint, and servers of each family: what has IPv4 only has no IPv6
// peers, and takes over nothing of what another member serves before it is its turn.
func TestGateAdoptsFamilies(t *testing.T) {
	t.Parallel()
	g := startGate(t, "SWAPINIT_LISTEN=web=tcp://:8080")
	g.unmodified("dual", []string{"SWAPINIT_KEEP=1h"}, "tcp6://[::]:8080")
	g.wait("dual")
	g.answers("127.0.0.1:8080", "dual")
	g.answers("[::1]:8080", "dual")

	// One that would need sockets that would steal the other's IPv4 connections.
	b := g.unmodified("four", []string{"SWAPINIT_READY_TIMEOUT=10s"}, "tcp4://0.0.0.0:8080")
	for !b.ended() {
		g.answers("127.0.0.1:8080", "dual")
	}
	b.wantStatus(1)
	b.awaitLine("it asks for one address family of endpoint web", "dual has the traffic of both")
	g.awaitHolder("dual")
	g.answers("127.0.0.1:8080", "dual")
	g.answers("[::1]:8080", "dual")
}

// The other way round: one that has both with one socket cannot take over from one that
// has IPv4 alone, but can follow it.
func TestGateAdoptsBothAfterIPv4(t *testing.T) {
	t.Parallel()
	g := startGate(t, "SWAPINIT_LISTEN=web=tcp://:8080")
	a := g.unmodified("a", nil, "tcp4://0.0.0.0:8080")
	g.wait("a")
	b := g.member("b", nil)
	b.wantStatus(1)
	b.awaitLine("a has the traffic of", "with one of its own")
	g.onlyFrom("a")
	a.Signal(sigTERM)
	a.wantStatus(0)
	g.member("c", nil)
	g.wait("c")
	g.onlyFrom("c")
	g.answers("[::1]:8080", "c")
}

// All members have IPv4 only, at a dual-stack endpoint.
func TestGateAdoptsIPv4(t *testing.T) {
	t.Parallel()
	g := startGate(t, "SWAPINIT_LISTEN=web=tcp://:8080")
	g.unmodified("a", nil, "tcp4://0.0.0.0:8080")
	g.wait("a")
	l := g.load()
	from(t, l, "a", 30)
	g.unmodified("b", nil, "tcp4://0.0.0.0:8080")
	g.wait("b")
	g.onlyFrom("b")
	from(t, l, "b", 30)
	g.lossless(l, "a", "b")
}

func TestGateUnix(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	path := filepath.Join(g.volume, "app.sock")
	g.env = append(g.env, "SWAPINIT_LISTEN=app=unix://"+path+"?mode=0666")
	g.begin()
	get := func() string {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		text, _ := io.ReadAll(conn)
		return string(text)
	}
	last := (*container)(nil)
	for _, name := range []string{"a", "b", "c"} {
		last = g.member(name, nil)
		g.wait(name)
		for range 10 {
			if text := get(); !strings.HasSuffix(text, " "+name+"\n") {
				t.Fatalf("answer %q, want %s", text, name)
			}
		}
	}
	g.restart()
	g.awaitHolder("c")
	last.awaitStatus("the gate to be back", func(s status) bool {
		return s.Joined.AwayMS == nil && s.stateOf(2) == "active" || s.stateOf(1) == "active"
	})
	if text := get(); !strings.HasSuffix(text, " c\n") {
		t.Errorf("after a restart of the gate: %q", text)
	}
}

// dialTo is for an HTTP client that is to reach one address of the container's network.
func (c *container) dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.box.Dial(ctx, network, address)
	}
}
