package steer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
)

// fakeGroup is a group whose calls are noted, may fail, and wait for as long as gate
// is open.
type fakeGroup struct {
	Group
	mu    sync.Mutex
	calls []string
	fail  int // moves
	has   map[int]bool
	gate  chan struct{} // every call takes one; nil: none waits
}

func (g *fakeGroup) note(format string, args ...any) {
	if g.gate != nil {
		<-g.gate
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, fmt.Sprintf(format, args...))
}

func (g *fakeGroup) Add(n int, share bool) error {
	if g.note("add %d", n); share {
		g.note("shared")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > 100 {
		return errors.New("no room")
	}
	g.has[n] = true
	return nil
}

func (g *fakeGroup) Leave(n int) { g.note("leave %d", n) }

func (g *fakeGroup) Aim(to, rest, share int, _ shares.By) error {
	g.note("aim %d %d %d", to, rest, share)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case to == 66:
		return fmt.Errorf("cannot: %w", ErrClosed)
	case !g.has[to]:
		return ErrNoSocket
	case g.fail > 0:
		g.fail--
		return errors.New("refused")
	}
	return nil
}

func (g *fakeGroup) Inode(n int) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.has[n] {
		return uint64(n)
	}
	return 0
}

func (g *fakeGroup) said() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.calls, ", ")
}

func newMover(gate chan struct{}) (*Mover, *fakeGroup, chan error) {
	g := &fakeGroup{has: map[int]bool{1: true, 2: true}, gate: gate}
	failures := make(chan error, 100)
	return &Mover{Group: g, Failed: func(_ int, err error) { failures <- err }}, g, failures
}

// Whatever the first of them waits for: the caller does not, and the order stays.
func TestMoverKeepsTheOrder(t *testing.T) {
	gate := make(chan struct{})
	m, g, _ := newMover(gate)
	m.Leave(1)
	moved := m.Aim(2, 1, 500, "")
	m.Leave(2)
	added := make(chan error)
	last := m.last
	go func() { added <- m.Add(3, true) }()
	eventually(t, "all to be asked for", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.last != last
	})
	later := m.Aim(1, 1, shares.Full, "")
	select {
	case <-moved:
		t.Error("moved, though nothing was done yet")
	default:
	}
	if !m.Moving() {
		t.Error("nothing is to be moved")
	}
	close(gate)
	must(t, <-added)
	<-later
	if got := g.said(); got != "leave 1, leave 2, add 3, shared, aim 1 1 10000" { // the first aim is overtaken by events
		t.Error(got)
	}
	if <-moved; m.Moving() {
		t.Error("still moving")
	}
}

func TestMoverTriesAgain(t *testing.T) {
	m, g, failures := newMover(nil)
	g.fail = 2
	<-m.Aim(2, 1, shares.Full, "")
	if !m.Moving() {
		t.Error("it failed, and nothing is to be moved")
	}
	if m.Err() == nil {
		t.Error("it failed, and there is no reason")
	}
	eventually(t, "the move", func() bool { return !m.Moving() })
	if err := m.Err(); err != nil {
		t.Errorf("it was moved: %v", err)
	}
	if got := g.said(); got != "aim 2 1 10000, aim 2 1 10000, aim 2 1 10000" || len(failures) != 2 {
		t.Errorf("%s; %d failures", got, len(failures))
	}
	// A move that another one has replaced is not tried again.
	g.fail = 1
	<-m.Aim(2, 1, 1, "")
	<-m.Aim(1, 1, shares.Full, "")
	m.try(&aim{to: 2, rest: 1, share: 1}, 0)
	if got := g.said(); strings.Count(got, "aim 2 1 1,") != 1 || !strings.HasSuffix(got, "aim 1 1 10000") {
		t.Error(got)
	}
	// Nor is one of a group that is closed.
	if <-m.Aim(66, 1, shares.Full, ""); m.Moving() {
		t.Error("moving what is closed")
	}
}

// The target has no socket yet: nobody waits for it, and it has the traffic as
// soon as it can.
func TestMoverWaitsForTheTarget(t *testing.T) {
	m, g, failures := newMover(nil)
	<-m.Aim(3, 3, shares.Full, "")
	if m.Moving() {
		t.Error("a drain would wait for a server that is started")
	}
	must(t, m.Add(4, false))
	must(t, m.Add(3, false))
	must(t, m.Add(5, false))
	if got := g.said(); got != "aim 3 3 10000, add 4, aim 3 3 10000, add 3, aim 3 3 10000, add 5" || len(failures) != 0 {
		t.Errorf("%s; %d failures", got, len(failures))
	}
	if err := m.Add(101, false); err == nil || err.Error() != "no room" {
		t.Error(err)
	}
}

// With a group of the kernel's, from many goroutines (for the race detector).
func TestMoverOfAGroup(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	m := &Mover{Group: g, Failed: func(n int, err error) { t.Errorf("%d: %v", n, err) }}
	for n := 2; n < 30; n++ {
		must(t, m.Add(n, false))
		if <-m.Aim(n, n-1, shares.Full, ""); m.Moving() {
			t.Fatal("not moved")
		}
		m.Leave(n - 1)
		fd, inode, err := g.Lend(n)
		must(t, err)
		if inode != g.Inode(n) {
			t.Errorf("inode %d", inode)
		}
		client{fd}.close()
		if got, err := whoGets(g, to); err != nil || got != n {
			t.Errorf("%d, %v", got, err)
		}
	}
}
