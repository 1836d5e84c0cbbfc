package gate

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
)

// load asks all the time, over new connections, until it is stopped.
type load struct {
	stop   chan struct{}
	done   sync.WaitGroup
	asked  atomic.Int64
	mu     sync.Mutex
	failed []error
}

func (g *testGate) load(clients int) *load {
	l := &load{stop: make(chan struct{})}
	for range clients {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				if _, err := g.ask(); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err)
					l.mu.Unlock()
				}
				l.asked.Add(1)
			}
		})
	}
	return l
}

// more waits until n more connections have been answered.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.asked.Load() + n
	eventually(t, func() string {
		if l.asked.Load() < want {
			return "the clients get no answers"
		}
		return ""
	})
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d connections failed, the first: %v", len(l.failed), l.asked.Load(), l.failed[0])
	}
}

// asks makes a connection that may wait; who answers it comes later.
func (g *testGate) asks() chan string {
	answer := make(chan string, 1)
	go func() {
		who, err := g.ask()
		if err != nil {
			who = err.Error()
		}
		answer <- who
	}()
	return answer
}

// queued waits until so many connections wait to be accepted.
func (g *testGate) queued(n int) {
	g.t.Helper()
	until(g.t, "connections are queued", func() bool {
		c, err := net.Dial("tcp", g.address())
		if err == nil {
			defer c.Close()
		}
		return err == nil
	})
}

// The holder dies and nobody else is there: connections wait, none is refused, and the
// next one that starts gets exactly those.
func TestQueueWaits(t *testing.T) {
	g, a := holding(t)
	g.asksOnly(a.name)
	a.leave()
	until(t, "it is gone", func() bool { return g.state(a.name) == "away" })
	var waiting []chan string
	for range 10 {
		waiting = append(waiting, g.asks())
	}
	g.queued(1)
	b, welcome := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	if welcome.Role != gatewire.Holder {
		t.Fatalf("welcomed as %s", welcome.Role)
	}
	b.hold(1)
	for _, w := range waiting {
		if who := <-w; who != b.name {
			t.Errorf("answered by %s", who)
		}
	}
	g.asksOnly(b.name)
	until(t, "how many they were", func() bool { return g.log.has(": 11 connections had waited") == "" })
	if s := g.do(control.Request{Verb: control.VerbStatus}).Status; *s.Gate.LastTakeover.Waited != 11 { // and that of queued
		t.Errorf("%s", s.JSON())
	}
}

// The holder dies and its predecessor is kept: that one has the traffic at once.
func TestFallback(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.hold(1)
	a.takesBack()
	b.leave()
	until(t, "the kept one has it", func() bool { return g.state(a.name) == "holder" && g.rests() })
	g.asksOnly(a.name)
	// What has died comes again, and stays without traffic.
	b, welcome := joinGate(t, g, b.name)
	if welcome.Role != gatewire.Failed {
		t.Errorf("welcomed as %s", welcome.Role)
	}
	g.asksOnly(a.name)
}

// A newcomer that dies in its canary has cost nothing.
func TestFailureIsFree(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full / 2})
	l := g.load(2)
	until(t, "both answer", func() bool {
		who, err := g.ask()
		return err == nil && who == b.name
	})
	l.more(t, 20)
	l.end(t)
	b.leave()
	until(t, "all of it is back", func() bool {
		s := g.do(control.Request{Verb: control.VerbStatus}).Status
		m := s.Gate.Members[1]
		return m.Container == a.name && m.State == "holder" && *m.Share == shares.Full && g.rests()
	})
	g.asksOnly(a.name)
	select {
	case got := <-a.told:
		t.Errorf("the holder was told %+v", got)
	default:
	}
}

// The first one that joins has the traffic; the second one takes it over under load, and
// nobody notices.
func TestTakeover(t *testing.T) {
	g := start(t, settings(t))
	a, welcome := joinGate(t, g, "aaaaaaaaaaaaaaaa")
	if welcome.Role != gatewire.Holder || len(welcome.Endpoints) != 1 || welcome.Endpoints[0].Name != "web" {
		t.Fatalf("the first one is welcomed as %+v", welcome)
	}
	a.hold(1)
	g.asksOnly(a.name)

	b, welcome := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	if welcome.Role != gatewire.Successor {
		t.Fatalf("the second one is welcomed as %+v", welcome)
	}
	l := g.load(4)
	l.more(t, 50)
	b.serve(1)
	l.more(t, 50)
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	if lost := a.next(gatewire.Lost); lost.Epoch <= welcome.Epoch {
		t.Errorf("the epoch is %d after %d", lost.Epoch, welcome.Epoch)
	}
	g.asksOnly(b.name)
	l.more(t, 50)
	a.must(gatewire.Message{Op: gatewire.OpLeave, Endpoint: "web", Generation: 1})
	l.more(t, 50)
	l.end(t)
	eventually(t, func() string {
		return g.log.has("release-bbbbbbbbbbbbbbbb (bbbbbbbbbbbb) has the traffic, from release-aaaaaaaaaaaaaaaa")
	})
}
