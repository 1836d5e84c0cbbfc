package steer

import (
	"errors"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// Mover does with one group what a loop asks for, in that order and without
// letting the loop wait: each job is a goroutine, which waits for the job before.
// It needs no Close. There are few of them, because no generation is started before
// the last one is there. Where Group.Waits is false the loop waits for what Aim and
// Leave return: that is simpler than a second way for such groups.
type Mover struct {
	Group  Group
	Failed func(to int, err error) // a move failed and is tried again; called in the goroutine

	mu    sync.Mutex
	last  <-chan struct{} // closed when the latest job is done
	want  *aim            // nil before the first
	state moved
	err   error // the latest try's
}

// aim is where new connections are to go, as with Group.Aim.
type aim struct {
	_ [0]func() // no ==, so no code for it

	to, rest, share int
	by              shares.By
}

// moved is how far the latest Aim has got.
type moved uint8

const (
	done    moved = iota // connections go there
	moving               // not yet, or it failed and is tried again
	waiting              // its target has no socket: it is just being started
)

// The time to the next try of a move that failed, doubled after each.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 7 // times
)

// Aim moves new connections, see Group.Aim; where the target has no socket after its
// Add. What it returns is closed when that was tried, or a later Aim is wanted.
func (m *Mover) Aim(to, rest, share int, by shares.By) <-chan struct{} {
	m.mu.Lock()
	a := &aim{to: to, rest: rest, share: share, by: by}
	m.want, m.state, m.err = a, moving, nil
	m.mu.Unlock()
	return m.do(func() { m.try(a, 0) })
}

// try moves them, unless something else is wanted by now; tries have failed before.
func (m *Mover) try(a *aim, tries int) {
	if now, _ := m.wanted(); now != a {
		return
	}
	state := moving
	err := m.Group.Aim(a.to, a.rest, a.share, a.by)
	switch {
	case err == nil, errors.Is(err, ErrClosed):
		state = done
	case m.Group.Inode(a.to) == 0:
		state = waiting
	default: // the kernel is out of memory, say
		m.Failed(a.to, err)
		time.AfterFunc(retryFirst<<min(tries, retryMost), func() { m.do(func() { m.try(a, tries+1) }) })
	}
	m.mu.Lock()
	if m.want == a {
		if m.state, m.err = state, nil; state == moving {
			m.err = err
		}
	}
	m.mu.Unlock()
}

func (m *Mover) wanted() (*aim, moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want, m.state
}

// Moving reports whether connections may still go where they went before the
// latest Aim: whoever got them then must not be told to stop.
func (m *Mover) Moving() bool {
	_, state := m.wanted()
	return state == moving
}

// Err is why the latest Aim has not moved connections, nil where it has, or was not tried
// yet.
func (m *Mover) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Add gives generation n a socket, see Group.Add, after all that was asked for
// before. It waits until that is done.
func (m *Mover) Add(n int, share bool) (err error) {
	<-m.do(func() {
		err = m.Group.Add(n, share)
		if a, state := m.wanted(); state == waiting {
			m.try(a, 0)
		}
	})
	return err
}

// Leave tells the group that nobody of generation n is left. What it returns is
// closed when that is done.
func (m *Mover) Leave(n int) <-chan struct{} { return m.do(func() { m.Group.Leave(n) }) }

// do has a job done after those before it. What it returns is closed then.
func (m *Mover) do(job func()) <-chan struct{} {
	end := make(chan struct{})
	m.mu.Lock()
	before := m.last
	m.last = end
	m.mu.Unlock()
	go func() {
		if before != nil {
			<-before
		}
		job()
		close(end)
	}()
	return end
}
