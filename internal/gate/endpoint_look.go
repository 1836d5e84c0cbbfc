package gate

import (
	"time"

	"github.com/swapinit/swapinit/internal/steer"
)

// Look looks at the connections of a slot that is to have nothing left to do, as
// steer.Group's Observe. A slot without a socket has none. It waits.
func (e *Endpoints) Look(name string, slot int, idleAfter time.Duration) (l steer.Look, err error) {
	one := e.find(name)
	if one == nil {
		return l, ErrNone
	}
	_, _ = one.group.Mend() // a member may have detached the program
	one.mu.Lock()
	at := one.looks[slot]
	if at == nil {
		if once := one.group.Observe(slot); once != nil {
			at = &look{once: once}
			one.looks[slot] = at
		}
	}
	one.mu.Unlock()
	if at == nil {
		return l, nil
	}
	at.mu.Lock()
	l, err = at.once(idleAfter)
	at.mu.Unlock()
	return l, err
}

// Counts tells each what a look at every slot of the endpoint finds. It waits.
func (e *Endpoints) Counts(name string, idleAfter time.Duration, each func(slot int, l steer.Look)) error {
	one := e.find(name)
	if one == nil {
		return ErrNone
	}
	_, _ = one.group.Mend()
	return one.group.Counts(idleAfter, each)
}

// Peer is steer.TCP's. A Unix endpoint has none. It waits.
func (e *Endpoints) Peer(name string) (from string, known bool, err error) {
	one, err := e.tcpOf(name)
	if err == nil {
		from, known, err = one.tcp.Peer()
	}
	return from, known, err
}

// Queued counts the connections that wait at the endpoint to be accepted, whoever is to
// do it. It waits where the endpoint does.
func (e *Endpoints) Queued(name string) (int, error) {
	switch one := e.find(name); {
	case one == nil:
		return 0, ErrNone
	case one.tcp != nil:
		return one.tcp.Queued()
	default:
		return one.unix.Queued()
	}
}

// Share is the part of the new connections that a slot gets, of shares.Full. ok is false
// where it has no socket, or one together with another slot.
func (e *Endpoints) Share(name string, slot int) (share int, ok bool) {
	if one := e.find(name); one != nil {
		return one.group.Share(slot)
	}
	return 0, false
}
