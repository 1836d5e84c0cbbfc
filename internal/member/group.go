package member

import (
	"cmp"
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// How long a group waits for the gate.
const (
	addTime  = time.Minute // for a place among the sockets of all members, too
	addEvery = 200 * time.Millisecond
	moveTime = 10 * time.Second
	askTime  = 2 * time.Second
)

// Group is an endpoint of the gate's: a steer.Group, of which the gate does what moves
// connections and what looks at them. The sockets that this member has are here.
type Group struct {
	m    *Member
	name string

	// Under m.mu:
	unseen string
	asleep bool
	closed bool
	twin   *Group       // nil: not asked for yet
	asked  map[int]bool // generations for which the gate may have a socket
}

var _ steer.Group = (*Group)(nil)

// socket is one that the gate has given us. It is Member's.
type socket struct {
	fd    int
	inode uint64
	left  bool // its generation has no process any more; the gate does not know that yet
}

// Group is that of an endpoint, one for each.
func (m *Member) Group(e gatewire.Endpoint) *Group {
	m.mu.Lock()
	g := m.groups[e.Name]
	if g == nil || g.closed {
		g = &Group{m: m, name: e.Name, asked: map[int]bool{}}
		m.groups[e.Name] = g
	}
	g.unseen = clip(e.Unseen)
	m.mu.Unlock()
	return g
}

// call begins one of this endpoint's.
func (g *Group) call(op gatewire.Op, n int) *gatewire.Message {
	return &gatewire.Message{Op: op, Endpoint: g.name, Generation: n}
}

// ask makes a call whose answer comes without descriptors.
func (g *Group) ask(c *gatewire.Message, limit time.Duration) (*gatewire.Message, error) {
	if g.over() {
		return nil, steer.ErrClosed
	}
	a, fds, err := g.m.Do(c, limit)
	closeAll(fds)
	return a, outcomeOf(a, err)
}

// outcomeOf is the error of a call, or of its answer.
func outcomeOf(a *gatewire.Message, err error) error {
	switch {
	case err == ErrClosed:
		return steer.ErrClosed
	case err != nil:
		return err
	case a.Code == gatewire.CodeNone:
		return steer.ErrNoSocket
	case a.Error != "" || a.Code != "":
		return errors.New("the gate: " + cmp.Or(a.Error, clip(a.Code)))
	}
	return nil
}

func (g *Group) over() bool {
	g.m.mu.Lock()
	over := g.closed || g.m.closed
	g.m.mu.Unlock()
	return over
}

// socket is generation n's, nil if it has none. The caller holds the mutex.
func (g *Group) socket(n int) *socket {
	if s := g.m.sockets[gatewire.Socket{Endpoint: g.name, Generation: n}]; s != nil && !s.left {
		return s
	}
	return nil
}

// ownSocket reports whether generation n has a socket for itself.
func (g *Group) ownSocket(n int) bool {
	g.m.mu.Lock()
	s := g.socket(n)
	own := s != nil
	for name, other := range g.m.sockets {
		own = own && (other == s || other.left || other.inode != s.inode || name.Endpoint != g.name)
	}
	g.m.mu.Unlock()
	return own
}

// Add waits up to a minute for the gate, and for a place: the sockets of all members
// together are limited.
func (g *Group) Add(n int, share bool) error {
	if g.over() {
		return steer.ErrClosed
	}
	if g.Inode(n) != 0 {
		return nil
	}
	g.m.mu.Lock()
	g.asked[n] = true
	g.m.mu.Unlock()
	c := g.call(gatewire.OpAdd, n)
	c.Together = share
	for end := clock.Now().Add(addTime); ; {
		a, fds, err := g.m.Do(c, max(end.Sub(clock.Now()), time.Millisecond))
		if err == nil && a.Code == gatewire.CodeFull && end.Sub(clock.Now()) > addEvery {
			closeAll(fds)
			select {
			case <-clock.After(addEvery):
			case <-g.m.quit:
				return steer.ErrClosed
			}
			continue
		}
		if err = outcomeOf(a, err); err == nil {
			err = g.keep(n, fds)
		} else {
			closeAll(fds)
		}
		if err != nil {
			return text.Errorf("cannot add a socket for generation %d: %w", n, err)
		}
		return nil
	}
}

// keep takes over what the gate has given for generation n.
func (g *Group) keep(n int, fds []int) error {
	inode, err := uint64(0), error(nil)
	if len(fds) != 1 {
		err = text.Errorf("the gate has sent %d descriptors in place of a socket", len(fds))
	} else if err = isSocket(fds[0]); err == nil {
		inode, err = procnet.Inode(fds[0])
	}
	if err != nil {
		closeAll(fds)
		return err
	}
	m, name := g.m, gatewire.Socket{Endpoint: g.name, Generation: n}
	m.mu.Lock()
	old := m.sockets[name]
	switch {
	case g.closed || m.closed:
		err = steer.ErrClosed
	case old == nil || old.left:
		if old != nil {
			unix.Close(old.fd)
		}
		m.sockets[name] = &socket{fd: fds[0], inode: inode}
		fds = nil
	} // else another Add was quicker
	m.mu.Unlock()
	closeAll(fds)
	return err
}

// isSocket refuses what is no stream socket: to a file system one had to wait.
func isSocket(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err == nil && kind != unix.SOCK_STREAM {
		err = unix.EPROTOTYPE
	}
	if err != nil {
		return text.Errorf("what the gate has sent is no socket for an endpoint: %w", err)
	}
	return nil
}

// Aim waits ten seconds for the gate. It is for generations of this member, which has the
// traffic: to get it is Ask's.
func (g *Group) Aim(to, rest, share int, by shares.By) error {
	switch share = min(max(share, 0), shares.Full); share {
	case 0:
		to, share = rest, shares.Full
	case shares.Full:
		rest = to
	}
	err := error(steer.ErrClosed)
	if !g.over() {
		if err = steer.ErrNoSocket; g.Inode(to) != 0 {
			c := g.call(gatewire.OpAim, to)
			c.Rest, c.Share, c.By = rest, share, string(by)
			_, err = g.ask(c, moveTime)
		}
	}
	if err != nil {
		return text.Errorf("cannot aim connections at generation %d: %w", to, err)
	}
	return nil
}

// Leave waits ten seconds for the gate. The copy of the socket is closed when that knows,
// however long it takes: until then what waits in it may be nowhere else.
func (g *Group) Leave(n int) {
	g.m.mu.Lock()
	s, known := g.socket(n), g.asked[n]
	if s != nil {
		s.left = true
	}
	delete(g.asked, n)
	g.m.mu.Unlock()
	if known {
		g.m.surely(g.call(gatewire.OpLeave, n), func() { g.m.drop(gatewire.Socket{Endpoint: g.name, Generation: n}, s) })
	}
}

// drop closes s, which may be nil, unless another one has its name by now: then that has
// closed it.
func (m *Member) drop(name gatewire.Socket, s *socket) {
	m.mu.Lock()
	if s != nil && m.sockets[name] == s {
		delete(m.sockets, name)
		unix.Close(s.fd)
	}
	m.mu.Unlock()
}

func (g *Group) Lend(n int) (fd int, inode uint64, err error) {
	fd, err = -1, steer.ErrNoSocket
	g.m.mu.Lock()
	if s := g.socket(n); s != nil {
		inode = s.inode
		fd, err = unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	g.m.mu.Unlock()
	return fd, inode, err
}

func (g *Group) Inode(n int) (inode uint64) {
	g.m.mu.Lock()
	if s := g.socket(n); s != nil {
		inode = s.inode
	}
	g.m.mu.Unlock()
	return inode
}

// Reason: no two generations share a socket but by Add's share.
func (g *Group) Reason() string { return "" }

// SetShared does nothing: what steers connections is the gate's.
func (g *Group) SetShared(string) {}

// Mend does nothing: the gate looks after its endpoints.
func (g *Group) Mend() (string, error) { return "", nil }

// Watch does nothing, see Mend.
func (g *Group) Watch() error { return nil }

// Waits: for another process.
func (g *Group) Waits() bool { return true }

// Close closes the copies of the sockets. The gate learns of it by the end of the
// connection.
func (g *Group) Close() {
	g.m.mu.Lock()
	g.closed = true
	for name, s := range g.m.sockets {
		if name.Endpoint == g.name {
			unix.Close(s.fd)
			delete(g.m.sockets, name)
		}
	}
	g.m.mu.Unlock()
}
