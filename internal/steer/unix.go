package steer

import (
	"cmp"
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

// Path is a listening Unix socket with the names that lead to it: the
// endpoint's path, which all sockets of an endpoint have in common and leads to
// one of them, and a hidden one of its own. Whoever opens it knows how that is
// done; the group owns it then, and calls one method of all its Paths at a time.
type Path interface {
	// Socket is the descriptor, lent, the inode of the socket and the name that it
	// was bound to, which its connections show for ever.
	Socket() (fd int, inode uint64, bound string)
	// Another opens one for generation n, which no connection reaches yet.
	Another(n int) (Path, error)
	// Lead makes the endpoint's path lead to it, atomically.
	Lead() error
	// Mend repairs what a process has harmed. renewed: by a new socket in the place
	// of a dead one, which the generations that have that do not have.
	Mend() (line string, renewed bool, err error)
	Watch() error
	Drop()  // closes it; its hidden name goes, what waits in it is reset
	Close() // closes it; the names that lead to it go
}

// Unix is the group of a Unix endpoint. The first socket is bound at the path, a
// later one at a hidden name beside it, and Aim makes the path lead to one or the
// other: a connect finds the one or the other. What is at the path cannot be
// divided: with a share of less than all of them, rest has all connections.
type Unix struct {
	holding
	all []*member // oldest first; the path leads to that of the target, or is to
}

// NewUnix makes a group of an endpoint's first socket, and takes it over. It is
// the next generation's that is added. alone is why there can be no second one,
// if that is known.
func NewUnix(first Path, alone error) *Unix {
	m := &member{}
	m.opened(first)
	g := &Unix{all: []*member{m}}
	g.holders, g.target = map[int]*member{}, target{m, m, shares.Full, shares.Random}
	if alone != nil {
		g.latest = alone.Error()
	}
	return g
}

// opened: m is p's socket from now on.
func (m *member) opened(p Path) {
	m.path = p
	m.fd, m.inode, m.bound = p.Socket()
}

func (g *Unix) Add(n int, share bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.holders == nil:
		return ErrClosed
	case g.holders[n] != nil:
		return nil
	case !share && g.shared == "" && g.users(g.to) > 0:
		p, err := g.to.path.Another(n)
		if err == nil {
			m := &member{}
			m.opened(p)
			g.all = append(g.all, m)
			g.holders[n], g.latest = m, ""
			_ = p.Watch() // else it is looked at when a generation ends
			return nil
		}
		if g.latest = err.Error(); g.alone {
			g.latest = ""
			return text.Errorf("cannot add a socket for generation %d: %w", n, err)
		}
	case !share && g.shared != "" && g.alone:
		return refusal(n, g.shared, false)
	}
	g.holders[n] = g.to
	return nil
}

// NeverShare has Add fail where it would make a generation share that was not asked to.
func (g *Unix) NeverShare() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone, g.latest = true, ""
}

// Queued counts the connections that wait in any of its sockets.
func (g *Unix) Queued() (n int, err error) {
	var queues []*queue
	g.mu.Lock()
	for _, m := range g.all {
		queues = append(queues, &queue{inode: m.inode, bound: m.bound})
	}
	g.mu.Unlock()
	err = count(queues...)
	for _, q := range queues {
		n += q.Queued
	}
	return n, err
}

func (g *Unix) Aim(to, rest, share int, _ shares.By) error {
	if share < shares.Full {
		share = 0
	}
	return g.aim(to, rest, share, shares.Random, func(t target) error {
		before := g.to
		if t.to == before {
			return nil
		}
		if err := t.to.path.Lead(); err != nil {
			return err
		}
		g.target = t
		g.tidy(before)
		return nil
	})
}

func (g *Unix) Leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.holders[n]; m != nil {
		delete(g.holders, n)
		g.tidy(m)
	}
}

// tidy ends a socket that is nobody's and to which the path does not lead.
func (g *Unix) tidy(m *member) {
	if m != g.to && g.users(m) == 0 {
		g.all = without(g.all, m)
		m.path.Drop()
	}
}

// Mend looks at the socket with the traffic; the others get none, and Aim looks
// at them. One that was renewed is nobody's: connections wait in its queue,
// and are not refused, until Add hands it on.
func (g *Unix) Mend() (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders == nil {
		return "", nil
	}
	line, renewed, err := g.to.path.Mend()
	if renewed {
		g.to.opened(g.to.path)
		for n, m := range g.holders {
			if m == g.to {
				delete(g.holders, n)
			}
		}
	}
	return line, err
}

func (g *Unix) Watch() (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.all {
		err = cmp.Or(m.path.Watch(), err)
	}
	return err
}

// Waits: a file system may be slow, or not answer at all.
func (g *Unix) Waits() bool { return true }

func (g *Unix) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.all {
		m.path.Close()
	}
	g.all, g.holders, g.target = nil, nil, target{}
}

// queue is one socket in the kernel's table, and what was counted there. Nothing
// tells how long a Unix connection has been idle, and none is ever half open.
type queue struct {
	Look
	n        int // its generation
	inode    uint64
	bound    string
	namesake bool // somebody else listens by this name, say in another container with our network
}

var errNamesake = errors.New("cannot count connections: another socket listens under the same name")

// count looks at the sockets, by the names that they are bound to. Accepted
// connections show that whatever has become of the file.
func count(queues ...*queue) error {
	err := procnet.EachUnix(func(u *procnet.Unix) {
		for _, q := range queues {
			switch {
			case string(u.Name) != q.bound:
			case u.Listens:
				q.namesake = q.namesake || u.Inode != q.inode
			case u.State == procnet.Connecting:
				q.Open++
				q.Queued++
			case u.State == procnet.Connected:
				q.Open++
			}
		}
	})
	if err != nil {
		return text.Errorf("cannot count connections: %w", err)
	}
	return nil
}

func (g *Unix) Observe(n int) func(time.Duration) (Look, error) {
	g.mu.Lock()
	m := g.own(n)
	if m == nil {
		g.mu.Unlock()
		return nil
	}
	at := queue{inode: m.inode, bound: m.bound}
	g.mu.Unlock()
	look := func(time.Duration) (l Look, err error) {
		// Where a socket ends in the middle of a look the kernel may pass over
		// another one: one look at nothing proves nothing.
		for i := 0; i < 2 && l.Open == 0 && err == nil; i++ {
			q := at
			if err = count(&q); q.namesake {
				err = errNamesake
			}
			l = q.Look
		}
		return l, err
	}
	if _, err := look(0); err == errNamesake {
		return nil
	}
	return look
}

func (g *Unix) Counts(_ time.Duration, each func(n int, l Look)) error {
	var queues []*queue
	g.mu.Lock()
	for n := range g.holders {
		if m := g.own(n); m != nil {
			queues = append(queues, &queue{n: n, inode: m.inode, bound: m.bound})
		}
	}
	g.mu.Unlock()
	err := count(queues...)
	for _, q := range queues {
		if err == nil && !q.namesake {
			each(q.n, q.Look)
		}
	}
	return err
}
