package gate

import (
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
)

// endpoint is one of Endpoints.
type endpoint struct {
	listen.Endpoint
	name  string // Endpoint's, but for a twin
	group steer.Group
	moves *steer.Mover // group's
	tcp   *steer.TCP   // group, where it is one
	unix  *steer.Unix  // likewise
	of    *endpoint    // whose twin it is, or nil

	mu    sync.Mutex
	looks map[int]*look // by slot
}

// look is a slot's Observe. It remembers the handshakes of its first look.
type look struct {
	mu   sync.Mutex
	once func(time.Duration) (steer.Look, error)
}

// unseen is why the endpoint's connections cannot be counted, "" if they can.
func (one *endpoint) unseen() string {
	if one.tcp == nil {
		return ""
	}
	return one.tcp.Unseen()
}

// Add gives a slot a socket, which gets no connection before Aim says so; if those of
// the endpoint wait, the socket in which they wait. With together it is the one that has
// the traffic, beside the slot that has it. fd is a duplicate and the caller's. The
// errors are ErrNone, steer.ErrFull, and others that may pass. It waits.
func (e *Endpoints) Add(name string, slot int, together bool) (fd int, err error) {
	one := e.find(name)
	if one == nil {
		return -1, ErrNone
	}
	if err = one.moves.Add(slot, together); err != nil {
		return -1, err
	}
	fd, _, err = one.group.Lend(slot)
	return fd, err
}

// Aim sends share (of shares.Full) of the new connections to slot to, and the others to
// rest, on all endpoints; by decides which. Where to has no socket yet it gets them with
// its Add; where rest has none, all go to to. It has happened when Aim returns, but for
// what waits for a file system: done is closed when that has been tried, too. A move that
// failed is tried again.
func (e *Endpoints) Aim(to, rest, share int, by shares.By) (done <-chan struct{}) {
	return aim(e.list(), to, rest, share, by)
}

// AimOne is Aim for one endpoint.
func (e *Endpoints) AimOne(name string, to, rest, share int, by shares.By) (done <-chan struct{}, err error) {
	one := e.find(name)
	if one == nil {
		return nil, ErrNone
	}
	return aim([]*endpoint{one}, to, rest, share, by), nil
}

// Unmoved is why the connections of an endpoint are not where the latest Aim wants them.
func (e *Endpoints) Unmoved() error {
	for _, one := range e.list() {
		if err := one.moves.Err(); err != nil {
			return text.Errorf("endpoint %s: %w", one.name, err)
		}
	}
	return nil
}

func aim(list []*endpoint, to, rest, share int, by shares.By) <-chan struct{} {
	var slow []<-chan struct{}
	for _, one := range list {
		one.mu.Lock()
		clear(one.looks) // handshakes that are under way now count
		one.mu.Unlock()
		done := one.moves.Aim(to, rest, share, by)
		if one.group.Waits() {
			slow = append(slow, done)
		} else {
			<-done
		}
	}
	end := make(chan struct{})
	if len(slow) == 0 {
		close(end)
		return end
	}
	go func() {
		for _, done := range slow {
			<-done
		}
		close(end)
	}()
	return end
}

// Wait has the connections wait from now on, on all endpoints where somebody gets them,
// for the next slot that gets a socket. What waits in the socket of the slot that had
// them stays there. The error is steer.ErrFull or another of Add's: at that endpoint they go
// where they went, and wait there when that slot has left. It waits.
func (e *Endpoints) Wait() (err error) {
	e.mu.Lock()
	e.waiting++
	slot := firstWaiting + e.waiting
	e.mu.Unlock()
	for _, one := range e.list() {
		if unserved(one.group) {
			continue
		}
		failed := one.moves.Add(slot, false)
		if failed == nil {
			<-aim([]*endpoint{one}, slot, slot, shares.Full, shares.Random)
			<-one.moves.Leave(slot)
		} else if err == nil {
			err = failed
		}
	}
	return err
}

func unserved(g steer.Group) bool {
	w, ok := g.(interface{ Unserved() bool })
	return ok && w.Unserved()
}

// Waiting reports whether connections to the endpoint wait for whoever comes next.
func (e *Endpoints) Waiting(name string) bool {
	one := e.find(name)
	return one != nil && unserved(one.group)
}

// Leave takes a slot's socket at one endpoint back: nobody has it any more. What waits in
// it is reset, unless new connections go there.
func (e *Endpoints) Leave(name string, slot int) {
	if one := e.find(name); one != nil {
		one.leave(slot)
		e.Tidy()
	}
}

// LeaveAll is Leave for all endpoints and several slots.
func (e *Endpoints) LeaveAll(slots ...int) {
	for _, one := range e.list() {
		for _, slot := range slots {
			one.leave(slot)
		}
	}
	e.Tidy()
}

func (one *endpoint) leave(slot int) {
	one.mu.Lock()
	delete(one.looks, slot)
	one.mu.Unlock()
	if done := one.moves.Leave(slot); !one.group.Waits() {
		<-done
	}
}
