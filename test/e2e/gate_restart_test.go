package e2e

import (
	"bufio"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// keptConn is one connection that is used again and again.
type keptConn struct {
	g *gateway
	w waiting
	r *bufio.Reader
}

func (g *gateway) keep() *keptConn {
	g.t.Helper()
	conn, err := g.host.box.Dial(g.t.Context(), "tcp", web)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return &keptConn{g, waiting{g, conn}, bufio.NewReader(conn)}
}

// answers fails unless a request on it is answered by that member.
func (k *keptConn) answers(name string) {
	k.g.host.t.Helper()
	if _, err := io.WriteString(k.w.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		k.g.host.t.Fatal(err)
	}
	answer, err := http.ReadResponse(k.r, nil)
	if err != nil {
		k.g.host.t.Fatalf("a connection that was kept open was lost: %v", err)
	}
	text, _ := io.ReadAll(answer.Body)
	if !strings.HasSuffix(string(text), " "+name+"\n") {
		k.g.host.t.Errorf("answer %q, want %s", text, name)
	}
}

// The gate ends and is started again in the same network: nothing is lost, and not even
// a kept connection notices.
func TestGateRestart(t *testing.T) {
	for _, how := range []string{"stopped", "killed", "stopped, before Linux 5.14"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			if strings.Contains(how, "before") {
				g.refused = "netns"
			}
			g.begin()
			a := g.first("a", nil)
			l := g.load()
			k := g.keep()
			k.answers("a")
			for range 3 {
				from(t, l, "a", 30)
				if how == "killed" {
					_ = g.box.Signal(syscall.SIGKILL)
					receive(t, "the gate's end", g.box.Done())
				} else {
					g.stop()
				}
				a.awaitStatus("the gate to be away", func(s status) bool { return s.Joined != nil && s.Joined.AwayMS != nil })
				from(t, l, "a", 30)
				k.answers("a")
				if r := a.Verb("health"); r.Code != 0 {
					t.Errorf("health while the gate is away: %v", r)
				}
				g.begin()
				a.awaitStatus("the gate to be back", func(s status) bool { return s.Joined.AwayMS == nil })
				g.awaitHolder("a")
				k.answers("a")
			}
			a.awaitLine("the gate at", "cannot be reached")
			a.awaitLine("the gate at", "is back after")
			g.member("b", nil)
			g.wait("b")
			from(t, l, "b", 30)
			g.awaitState("a", "retired")
			g.lossless(l, "a", "b")
		})
	}
}

// It is away while a successor gets ready: the takeover goes on when it is back.
func TestGateRestartInTakeover(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	l := g.load()
	ready := filepath.Join(g.volume, "ready")
	b := g.member("b", nil, "-gate", ready)
	b.awaitOut("started")
	g.stop()
	touch(t, ready)
	b.awaitOut("gen 1: ready")
	from(t, l, "a", 30)
	g.begin()
	g.wait("b")
	from(t, l, "b", 30)
	g.lossless(l, "a", "b")
}

// While it is away nobody who is kept or drains is retired, and their time stands still.
func TestGateRestartKeepsDrains(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_DRAIN=gone"})
	request := g.host.longRequest()
	b := g.member("b", []string{"SWAPINIT_KEEP=1h"})
	g.wait("b")
	a.awaitStates("1:draining")
	c := g.member("c", nil)
	g.wait("c")
	b.awaitStates("1:draining") // which includes kept
	l := g.load()
	g.stop()
	for _, m := range []*container{a, b, c} {
		m.awaitStatus("the gate to be away", func(s status) bool { return s.Joined.AwayMS != nil })
	}
	a.awaitStates("1:draining")
	b.awaitStates("1:draining")
	a.wantNever("gen 1: got")
	g.begin()
	g.awaitGate("all to be back", func(s *gateStatus) bool { return s.of("a").Connected && s.of("b").Connected && s.of("c").Connected })
	g.onlyFrom("c")
	a.wantNever("gen 1: got")
	request.finish()
	a.awaitOut("gen 1: got TERM")
	if r := g.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	g.onlyFrom("b")
	g.lossless(l, "b", "c")
}

// Which of the holder's generations has the traffic is the holder's own doing. The next gate
// sends connections there, and not to the one that had it when the holder was last told.
func TestGateRestartAfterSwapInside(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_KEEP=1h"})
	only := func(want string) {
		t.Helper()
		for n := range 30 {
			if got := g.host.get("/"); got != want+" a\n" {
				t.Fatalf("connection %d was answered by %q, want %s", n, got, want)
			}
		}
	}
	a.Swap()
	only("generation 2")
	g.restart()
	g.awaitHolder("a")
	only("generation 2")
	if r := a.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	only("generation 1")
	g.restart()
	g.awaitHolder("a")
	only("generation 1")
}

// A gate in another network: what it opens is new, and the holder gets that by a swap of
// its own.
func TestGateElsewhere(t *testing.T) {
	t.Run("now", func(t *testing.T) { testGateElsewhere(t, "") })
	t.Run("before Linux 5.14", func(t *testing.T) { testGateElsewhere(t, "netns") })
}

func testGateElsewhere(t *testing.T, refused string) {
	t.Parallel()
	g := newGateway(t)
	g.refused = refused
	g.begin()
	a := g.first("a", nil)
	g.stop()
	a.awaitStatus("the gate to be away", func(s status) bool { return s.Joined.AwayMS != nil })
	g.host = startHost(t)
	g.begin()
	waits := g.ask()
	a.awaitStates("2:active")
	waits.served()
	g.onlyFrom("a")
	a.awaitHealthy()
	g.member("b", nil)
	g.wait("b")
	g.onlyFrom("b")
}
