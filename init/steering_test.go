package pid1

import (
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/swap"
)

// slowGroup is a group whose moves take as long as the test wants: on a file
// system that hangs, say.
type slowGroup struct {
	steer.Group
	waits bool
	look  func()   // before each look at connections
	moved chan int // a move ends when its target is received
	left  chan int
}

func (g *slowGroup) Waits() bool { return g.waits }

func (g *slowGroup) Aim(to, _, _ int, _ shares.By) error {
	g.moved <- to
	return nil
}

func (g *slowGroup) Leave(n int) { g.left <- n }

func (g *slowGroup) Observe(int) func(time.Duration) (steer.Look, error) {
	return func(time.Duration) (steer.Look, error) {
		g.look()
		return steer.Look{}, nil
	}
}

// addGroup gives i one more endpoint.
func addGroup(i *Init, name string, waits bool) *slowGroup {
	g := &slowGroup{waits: waits, moved: make(chan int), left: make(chan int)}
	e := &endpoint{Endpoint: listen.Endpoint{Spec: listen.Spec{Name: name}}, group: g, moves: &steer.Mover{Group: g}}
	i.steering.add(e)
	return g
}

// A probe is by TCP: what listens at its address by UDP is another port.
func TestProbedEndpoint(t *testing.T) {
	i := testInit(t)
	add := func(network string) *endpoint {
		e := &endpoint{Endpoint: listen.Endpoint{Spec: listen.Spec{Network: network, Addr: netip.MustParseAddrPort("[::]:9000")}}}
		i.steering.add(e)
		return e
	}
	add("udp")
	for _, text := range []string{"tcp://127.0.0.1:9000", "http://127.0.0.1:9000/"} {
		mode, err := ready.Parse(text, nil)
		if e := i.probed(&mode); err != nil || e != nil {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
	mode, _ := ready.Parse("tcp://127.0.0.1:9000", nil)
	if tcp := add("tcp"); i.probed(&mode) != tcp {
		t.Error("the TCP endpoint beside it is not found")
	}
}

// The loop waits for no file system. Whoever asked for the swap does, a drain
// does, and what is asked for later comes later.
func TestMoveOutsideTheLoop(t *testing.T) {
	i := testInit(t)
	slow, quick := addGroup(i, "slow", true), addGroup(i, "quick", false)
	w := testWorker(1) // not running, so signals are noted
	i.gens.live[1] = w.g
	ended := make(chan struct{})
	go func() { // the loop
		i.aim(2, 1, swap.Full, "")
		i.perform(&swap.Reply{ID: 7})
		i.perform(&swap.SignalWorker{Generation: 1, Signal: swap.Signal(syscall.SIGTERM)})
		i.leaveSockets(1)
		close(ended)
	}()
	if to := <-quick.moved; to != 2 { // it does wait for what takes microseconds
		t.Errorf("moved to %d", to)
	}
	if n := <-quick.left; n != 1 {
		t.Errorf("generation %d left", n)
	}
	<-ended
	if !i.moving() || len(i.clients.withheld) != 1 || len(w.held) != 0 || len(i.posted) != 0 {
		t.Error("moved, though it is not")
	}
	select {
	case <-slow.left:
		t.Error("its socket leaves before the traffic has moved")
	default:
	}
	if to := <-slow.moved; to != 2 {
		t.Errorf("moved to %d", to)
	}
	(<-i.posted)()
	if i.moving() || len(i.clients.withheld) != 0 || len(w.held) != 1 {
		t.Errorf("moved, and %d answers still wait, %d signals", len(i.clients.withheld), 1-len(w.held))
	}
	if n := <-slow.left; n != 1 {
		t.Errorf("generation %d left", n)
	}
}

// As long as connections may still go to a predecessor, that it has none says nothing.
func TestDrainWaitsForTheMove(t *testing.T) {
	i := testInit(t)
	slow := addGroup(i, "slow", true)
	slow.look = func() {
		if i.moving() {
			t.Error("a look at the connections while more may come")
		}
	}
	w := testWorker(1)
	i.gens.live[1] = w.g
	i.aim(2, 1, swap.Full, "")
	i.drain(w.g)
	select {
	case <-i.posted:
		t.Fatal("drained before the move")
	case <-time.After(50 * time.Millisecond): // a look comes every 10 ms
	}
	<-slow.moved
	for range 2 {
		<-i.posted // moved, drained
	}
}
