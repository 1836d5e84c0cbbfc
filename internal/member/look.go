package member

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Share asks the gate, for two seconds.
func (g *Group) Share(n int) (share int, ok bool) {
	if !g.ownSocket(n) {
		return 0, false
	}
	a, err := g.ask(g.call(gatewire.OpShare, n), askTime)
	if err != nil || a.Share < 0 || a.Share > shares.Full {
		return 0, false
	}
	return a.Share, true
}

// Observe returns looks that take two seconds at most, and fail while the gate is away.
func (g *Group) Observe(n int) func(idleAfter time.Duration) (steer.Look, error) {
	if !g.ownSocket(n) {
		return nil
	}
	return func(idleAfter time.Duration) (steer.Look, error) {
		if g.Inode(n) == 0 {
			return steer.Look{}, nil
		}
		c := g.call(gatewire.OpLook, n)
		c.IdleMS = idleAfter.Milliseconds()
		a, err := g.ask(c, askTime)
		if err == nil && len(a.Looks) != 1 {
			err = errors.New("the gate has sent " + strconv.Itoa(len(a.Looks)) + " looks in place of one")
		}
		if err != nil {
			return steer.Look{}, err
		}
		return lookOf(&a.Looks[0])
	}
}

// Counts takes two seconds at most.
func (g *Group) Counts(idleAfter time.Duration, each func(n int, l steer.Look)) error {
	c := g.call(gatewire.OpCounts, 0)
	c.IdleMS = idleAfter.Milliseconds()
	a, err := g.ask(c, askTime)
	if err != nil {
		return err
	}
	told := map[int]bool{}
	for i := range a.Looks {
		n := a.Looks[i].Generation
		l, err := lookOf(&a.Looks[i])
		if err != nil {
			return err
		}
		if !told[n] && g.Inode(n) != 0 {
			told[n] = true
			each(n, l)
		}
	}
	return nil
}

// textMost bounds, in bytes, what the gate says of a connection.
const textMost = 80

// Peer takes two seconds at most. It is of the connections of all members.
func (g *Group) Peer() (from string, known bool, err error) {
	a, err := g.ask(g.call(gatewire.OpPeer, 0), askTime)
	if err != nil {
		return "", false, err
	}
	return clip(a.Address), a.Yes, nil
}

// lookOf refuses numbers that cannot be.
func lookOf(l *gatewire.Look) (steer.Look, error) {
	if min(l.Open, l.Idle, l.Half, l.Queued) < 0 {
		return steer.Look{}, errors.New("the gate has sent a negative number")
	}
	list := l.Busy[:min(len(l.Busy), busy.Most)]
	for i := range list {
		c := &list[i]
		c.Peer, c.Why, c.AgeMS = text.Clip(c.Peer, textMost), text.Clip(c.Why, textMost), max(c.AgeMS, 0)
	}
	return steer.Look{Open: l.Open, Idle: l.Idle, Half: l.Half, Queued: l.Queued, Unseen: l.Unseen, Busy: list}, nil
}

// Dial returns a connection to an address at which the endpoint is reached, which the
// kernel leads to generation n. It is non-blocking and in the poller, and is the caller's.
func (g *Group) Dial(n int, to netip.AddrPort) (conn *os.File, err error) {
	if g.over() {
		return nil, steer.ErrClosed
	}
	c := g.call(gatewire.OpProbe, n)
	c.Address = to.String()
	a, fds, err := g.m.Do(c, askTime)
	if err = outcomeOf(a, err); err == nil && len(fds) != 1 {
		err = errors.New("the gate has sent " + strconv.Itoa(len(fds)) + " descriptors in place of a connection")
	}
	if err == nil {
		err = isSocket(fds[0])
	}
	if err == nil && procnet.Listens(fds[0]) {
		err = errors.New("the gate has sent a socket that listens in place of a connection")
	}
	if err == nil {
		err = unix.SetNonblock(fds[0], true)
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "probe"), nil
}

// Accepted reports whether a process has accepted the connection that Dial has returned,
// from is its local address.
func (g *Group) Accepted(from netip.AddrPort) (bool, error) {
	c := g.call(gatewire.OpAccepted, 0)
	c.Address = from.String()
	a, err := g.ask(c, askTime)
	return err == nil && a.Yes, err
}

// Twin is the endpoint at the same port of the other address family, which the gate opens
// where it has none yet.
func (g *Group) Twin() (*Group, error) {
	g.m.mu.Lock()
	twin := g.twin
	if twin != nil && twin.closed {
		twin = nil
	}
	g.m.mu.Unlock()
	if twin != nil {
		return twin, nil
	}
	a, err := g.ask(g.call(gatewire.OpTwin, 0), moveTime)
	if err == nil && len(a.Endpoints) != 1 {
		err = errors.New("the gate has sent " + strconv.Itoa(len(a.Endpoints)) + " endpoints in place of one")
	}
	if err != nil {
		return nil, err
	}
	twin = g.m.Group(a.Endpoints[0])
	g.m.mu.Lock()
	g.twin = twin
	g.m.mu.Unlock()
	return twin, nil
}

// Listen has the gate call listen(2) on the endpoint's sockets with at least this
// backlog: a server may have called it with less.
func (g *Group) Listen(backlog int) error {
	c := g.call(gatewire.OpListening, 0)
	c.Backlog = backlog
	_, err := g.ask(c, askTime)
	return err
}

// Sleep makes the endpoint refuse connections; a gate that comes back is told again. Only
// the member with the traffic may.
func (g *Group) Sleep() {
	g.sleep(true, gatewire.OpSleep)
}

func (g *Group) sleep(yes bool, op gatewire.Op) {
	g.m.mu.Lock()
	news := g.asleep != yes
	g.asleep = yes
	g.m.mu.Unlock()
	if news {
		g.m.Post(g.call(op, 0), nil)
	}
}

// Wake ends Sleep.
func (g *Group) Wake() error {
	g.sleep(false, gatewire.OpWake)
	return nil
}

// Asleep reports whether the endpoint refuses connections because of Sleep.
func (g *Group) Asleep() bool {
	g.m.mu.Lock()
	asleep := g.asleep
	g.m.mu.Unlock()
	return asleep
}

// Unseen is why the endpoint's connections cannot be counted, "" if they can.
func (g *Group) Unseen() string {
	g.m.mu.Lock()
	unseen := g.unseen
	g.m.mu.Unlock()
	return unseen
}

// Foreign counts nothing: sockets of others are the gate's to see.
func (g *Group) Foreign() (int, error) { return 0, nil }
