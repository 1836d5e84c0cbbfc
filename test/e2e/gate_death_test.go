package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waiting is a connection on which a request was sent that nobody has answered yet.
type waiting struct {
	g    *gateway
	conn net.Conn
}

// ask connects from a port of the kernel's choice, and sends a request for /peer, which
// names that port in its answer.
func (g *gateway) ask() waiting {
	g.t.Helper()
	conn, err := g.host.box.Dial(context.Background(), "tcp", web)
	if err != nil {
		g.t.Fatalf("a connection was refused: %v", err)
	}
	g.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		g.t.Fatal(err)
	}
	return waiting{g, conn}
}

// served reads the answer, and fails unless the server has seen the very same connection.
func (w waiting) served() {
	w.g.host.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	answer, err := http.ReadResponse(bufio.NewReader(w.conn), nil)
	if err != nil {
		w.g.host.t.Fatalf("a connection that waited was lost: %v", err)
	}
	text, err := io.ReadAll(answer.Body)
	if from := w.conn.LocalAddr().String(); err != nil || !strings.Contains(string(text), from) {
		w.g.host.t.Errorf("answer %q, %v, want one for %s", text, err, from)
	}
}

// ends fails if the connection is left hanging; it may be answered or reset.
func (w waiting) ends() {
	w.g.host.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(w.conn); errors.Is(err, os.ErrDeadlineExceeded) {
		w.g.host.t.Error("a connection hangs that nobody will serve")
	}
}

// crowd is n connections that wait.
func (g *gateway) crowd(n int) (list []waiting) {
	for range n {
		list = append(list, g.ask())
	}
	return list
}

// The holder is killed while its predecessor is kept: that one has the traffic at once.
func TestGateHolderDiesKept(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_KEEP=1h"})
	b := g.member("b", nil)
	g.wait("b")
	g.awaitState("a", "kept")
	if err := b.box.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.awaitHolder("a")
	g.onlyFrom("a")
	a.awaitStates("1:active")
	a.wantNever("gen 1: got")
	g.awaitLine("b: it had the traffic")

	// It comes back, and does not get it: no flapping with restart policies.
	b = g.member("b", nil)
	g.awaitGate("b to be failed", func(s *gateStatus) bool { m := s.of("b"); return m.Connected && m.State == "failed" })
	if r := b.Verb("status", "--json"); !strings.Contains(r.Stdout, `"failed"`) {
		t.Errorf("status in it: %v", r)
	}
	g.onlyFrom("a")
	b.wantNever("started")
	b.Swap() // an operator may
	g.awaitHolder("b")
	g.onlyFrom("b")
}

// The holder's server exits by itself, while its predecessor is kept.
func TestGateServerDiesKept(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", []string{"SWAPINIT_KEEP=1h"})
	b := g.member("b", nil)
	g.wait("b")
	g.awaitState("a", "kept")
	b.killServer()
	g.awaitHolder("a")
	g.onlyFrom("a")
	b.wantStatus(128 + 9)
}

// killServer ends the server of a container.
func (c *container) killServer() {
	c.t.Helper()
	if err := syscall.Kill(c.serverPid(), syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
}

// The holder is killed and nobody else serves: connections wait, and the next server that
// starts gets exactly those, whoever it is.
func TestGateHolderDiesAlone(t *testing.T) {
	for _, how := range []string{"container", "server", "restarted"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			g := startGate(t)
			a := g.first("a", nil)
			if how == "server" {
				a.killServer()
				a.wantStatus(128 + 9)
			} else {
				_ = a.box.Signal(syscall.SIGKILL)
				receive(t, "its end", a.box.Done())
			}
			g.awaitGate("a to be gone", func(s *gateStatus) bool { return !s.of("a").Connected })
			crowd := g.crowd(20)
			if how == "restarted" {
				g.member("a", nil)
				g.awaitHolder("a")
			} else {
				g.member("b", nil)
				g.wait("b")
			}
			for _, w := range crowd {
				w.served()
			}
		})
	}
}

// No connection that comes while nobody serves is refused, by however many deaths in a row.
func TestNoQueueForgotten(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	crowd := g.crowd(5) // before there was anybody
	last := g.member("m0", nil)
	g.wait("m0")
	for n := range 3 {
		// What it has accepted dies with it.
		for _, w := range crowd {
			w.served()
		}
		crowd = nil
		_ = last.box.Signal(syscall.SIGKILL)
		receive(t, "its end", last.box.Done())
		crowd = g.crowd(5)
		name := fmt.Sprintf("m%d", n+1)
		last = g.member(name, nil)
		g.wait(name)
		g.onlyFrom(name)
	}
	for _, w := range crowd {
		w.served()
	}
}

// A successor is on its way when the holder dies: it gets the traffic as soon as it is
// ready, and what waits with it.
func TestGateHolderDiesWhileAnotherRises(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	gate := g.volume + "/ready"
	b := g.member("b", []string{"SWAPINIT_READY=auto"}, "-gate", gate)
	b.awaitOut("started")
	g.awaitState("b", "rising")
	_ = a.box.Signal(syscall.SIGKILL)
	receive(t, "its end", a.box.Done())
	g.awaitGate("a to be gone", func(s *gateStatus) bool { return !s.of("a").Connected })
	touch(t, gate)
	g.awaitHolder("b")
	g.onlyFrom("b")
}
