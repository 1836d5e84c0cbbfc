package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// busy is a connection that a drain waits for, as status has it.
type busy struct {
	Peer     string `json:"peer"`
	AgeMS    int64  `json:"age_ms"`
	Why      string `json:"why"`
	Endpoint string `json:"endpoint"`
	Idle     bool   `json:"idle"`
}

// waitsFor polls until the drain of generation 1 waits for exactly these, by their
// client's address, in whatever order.
func (c *container) waitsFor(want map[string]string) {
	c.t.Helper()
	var last []busy
	if !poll(func() bool {
		last = nil
		for _, g := range c.status().Generations {
			if g.Generation == 1 && g.BusyMore == 0 {
				last = g.Busy
			}
		}
		return len(last) == len(want) && !slices.ContainsFunc(last, func(b busy) bool {
			why, ok := want[b.Peer]
			return !ok || !strings.HasSuffix(b.Why, why) || b.AgeMS < 0 || b.Endpoint != "web"
		})
	}) {
		c.t.Fatalf("it waits for %+v, want %v", last, want)
	}
}

func (k *kept) name() string { return k.conn.LocalAddr().String() }

// status names what a drain waits for, and why it is not idle.
func TestSteerBusy(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_IDLE_AFTER=1ms"), "-stop", "exit", "-work", "100h")
	asks, deaf := c.open("tcp", web), c.open("tcp", web)
	if err := asks.send("/"); err != nil {
		t.Fatal(err)
	}
	const size = 16 << 20
	fmt.Fprintf(deaf.conn, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", size)
	if _, err := io.WriteString(deaf.conn, strings.Repeat("x", size)); err != nil {
		t.Fatal(err)
	}
	c.Swap("--", binary(t, "server"))
	c.waitsFor(map[string]string{asks.name(): "a request without an answer", deaf.name(): " bytes not acknowledged by the client"})
	inOrder(t, c.Verb("status").Stdout, "draining for ", " left, waits for 2 connections\n", "a request without an answer\n")
	_ = deaf.conn.Close()
	c.waitsFor(map[string]string{asks.name(): "a request without an answer"})
}

// A server that hangs: what it has not accepted, and what it has not read.
func TestSteerBusyOfAServerThatHangs(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(soonIdle))
	quiet, unread := c.keep(), c.keep()
	pid := c.hostPid(c.status().pidOf(1))
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(t, "the server to stop", func() bool { return strings.HasPrefix(procField(pid, "State"), "T") })
	if _, err := io.WriteString(unread.conn, "GET"); err != nil {
		t.Fatal(err)
	}
	queued := c.open("tcp", web)
	c.Swap("--", binary(t, "server"))
	c.waitsFor(map[string]string{unread.name(): "3 bytes unread by the server", queued.name(): "not accepted yet"})
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.waitsFor(map[string]string{unread.name(): "a request without an answer"})
	_ = quiet
}

// A handshake that is not finished has no age but that of the drain.
func TestSteerBusyHandshake(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(), "-at-boot", "defer")
	slow := c.open("tcp", web)
	await(t, "an incomplete handshake", func() bool { return c.sockets(8080, "03") == 1 })
	c.Swap("--", binary(t, "server"))
	c.waitsFor(map[string]string{slow.name(): "its handshake is not finished"})
}

// With SWAPINIT_DRAIN=gone whoever is connected is waited for.
func TestSteerBusyUntilGone(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN=gone", "SWAPINIT_IDLE_AFTER=1ms"), "-stop", "exit")
	quiet := c.keep()
	request := c.busy()
	c.Swap("--", binary(t, "server"))
	c.waitsFor(map[string]string{quiet.name(): "open, idle", request.name(): "a request without an answer"})
	request.finish()
	c.waitsFor(map[string]string{quiet.name(): "open, idle"})
	_ = quiet.conn.Close()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
}

// Of many the oldest are named, the others counted; and the log names the oldest of those
// that a deadline cuts off.
func TestSteerBusyAtTheDeadline(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN_TIMEOUT=0"), "-stop", "exit", "-work", "100h")
	oldest := c.open("tcp", web)
	if err := oldest.send("/"); err != nil {
		t.Fatal(err)
	}
	c.awaitStatus("the first", func(s status) bool { return s.connections(1) == "1 0 0" })
	for range 7 {
		if err := c.open("tcp", web).send("/"); err != nil {
			t.Fatal(err)
		}
	}
	c.Swap("--", binary(t, "server"))
	c.awaitStatus("all of them", func(s status) bool {
		g := s.Generations[0]
		return g.Generation == 1 && len(g.Busy) == 5 && g.BusyMore == 3 && g.LeftMS == nil && slices.IsSortedFunc(g.Busy, func(a, b busy) int { return int(b.AgeMS - a.AgeMS) })
	})
	inOrder(t, c.Verb("status").Stdout, "waits for 8 connections\n")

	c = startWeb(t, steered("SWAPINIT_DRAIN_TIMEOUT=400ms", "SWAPINIT_LOG=info"), "-stop", "exit", "-work", "100h")
	oldest = c.open("tcp", web)
	if err := oldest.send("/"); err != nil {
		t.Fatal(err)
	}
	c.Swap("--", binary(t, "server"))
	c.awaitErr("but the drain's time is over; the oldest: " + oldest.name() + ", a request without an answer, for ")
}

// A member's drain, at which the gate looks.
func TestGateBusy(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_IDLE_AFTER=1h"}, "-work", "100h")
	quiet, request := g.host.open("tcp", web), g.host.open("tcp", web)
	quiet.get("/peer")
	if err := request.send("/"); err != nil {
		t.Fatal(err)
	}
	a.awaitStatus("its connections", func(s status) bool { return s.connections(1) == "2 0 0" })
	g.member("b", nil)
	g.wait("b")
	a.awaitStatus("the drain of its generation", func(s status) bool { return s.stateOf(1) == "draining" && s.Generations[0].LeftMS != nil })
	var last []busy
	if !poll(func() bool {
		last = a.status().Generations[0].Busy
		return len(last) == 2 && last[0].Peer+last[1].Peer != ""
	}) {
		t.Fatalf("it waits for %+v", last)
	}
	for _, b := range last {
		want := map[string]string{quiet.name(): "data within the last ", request.name(): "a request without an answer"}[b.Peer]
		if want == "" || !strings.HasPrefix(b.Why, want) || b.Endpoint != "web" {
			t.Errorf("it waits for %+v", b)
		}
	}
	g.stop() // nobody looks now
	a.awaitStatus("its time to stand still", func(s status) bool {
		return len(s.Generations) == 1 && s.Generations[0].LeftMS == nil && len(s.Generations[0].Busy) == 0
	})
}
