package steer

import (
	"cmp"
	"errors"
	"strconv"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Options is what a group needs from those who know the endpoint.
type Options struct {
	// Open returns one more socket for the address, with SO_REUSEPORT set
	// before it was bound, not listening. The group owns it.
	Open func() (fd int, err error)

	Backlog int // of every socket

	// Guarded: the sockets are lent to processes that are not ours. See anchor.go.
	Guarded bool

	// Watch is told of each new member before it can be harmed, Unwatch of
	// one that is about to be closed. They are called with the group's mutex
	// held and must not call the group. Nil: nobody watches.
	Watch   func(fd int) error
	Unwatch func(fd int)
}

// TCP is the group of a TCP endpoint: sockets in one SO_REUSEPORT group of the
// kernel. Its moves are system calls of microseconds, so a loop may wait for them,
// and what it says next is true already.
type TCP struct {
	layout
	options Options
	at      netip.AddrPort
	unseen  string // see SetUnseen
	asleep  bool   // see Sleep
	checks  bool   // connections to CheckAddr come here
	backlog int    // what the kernel made of Options.Backlog; 0 unless guarded

	connecting sync.Mutex // held while Connect does, before the other one
}

// NewTCP makes a group of first, a socket that listens and that was bound
// without SO_REUSEPORT, got it afterwards and went through Prepare. It
// belongs to generation, and gets all connections. NewTCP takes first over; when
// it fails first is as it was and still the caller's. Options.Watch is not
// told of first.
func NewTCP(first, generation int, o Options) (*TCP, error) {
	if o.Watch == nil {
		o.Watch, o.Unwatch = func(int) error { return nil }, func(int) {}
	}
	g := &TCP{options: o}
	m := &member{fd: first}
	g.holders, g.target = map[int]*member{generation: m}, target{m, m, shares.Full, shares.Random}
	g.append(m)
	var err error
	if g.at, err = procnet.Local(first); err == nil {
		m.inode, err = procnet.Inode(first)
	}
	if err == nil {
		err = setTag(first, tagFirst)
	}
	if err != nil {
		return nil, text.Errorf("cannot steer: %w", err)
	}
	g.useTag(m, tagFirst)
	g.checks = !o.Guarded && takesIPv4(first, g.at.Addr())
	// Without a program a second member would get connections from the start.
	p := g.program()
	if err = p.attach(first); err != nil {
		return nil, text.Errorf("cannot steer: SO_ATTACH_REUSEPORT_CBPF: %w", err)
	}
	if o.Guarded {
		if err = g.guard(); err != nil {
			if g.anchor != nil {
				g.close(g.anchor)
			}
			return nil, text.Errorf("cannot steer: %w", err)
		}
	}
	return g, nil
}

// Add also makes a generation share where the group has no place for one more
// (see tag.go), until another one has left. In a guarded group it fails there, with
// ErrFull where that is the reason: who was not asked to share does not.
func (g *TCP) Add(n int, share bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.holders == nil:
		return ErrClosed
	case g.holders[n] != nil:
		return nil
	}
	_, _ = g.mend() // what it cannot do now, a later Mend will; Aim tells
	tag, m := g.nextTag(), g.busiest()
	if share || g.users(m) == 0 {
		// Connections of a former generation are to be told apart. Of a guarded one
		// no process is left: what the tag shows waits for n.
		if tag != 0 && g.users(m) == 0 && !g.options.Guarded && setTag(m.fd, tag) == nil {
			g.useTag(m, tag)
		}
		g.holders[n] = m
		return nil
	}
	if g.examine(); tag == 0 {
		g.latest = "live generations have all " + strconv.Itoa(maxSockets) + " sockets that it can have"
	}
	if why := g.reason(); why != "" && g.options.Guarded {
		g.latest = ""
		return refusal(n, why, tag == 0)
	} else if why != "" {
		g.holders[n] = m
		return nil
	}
	var err error
	if m = g.spare(); m == nil {
		m, err = g.open()
	}
	if err == nil {
		err = setTag(m.fd, tag) // before the first connection, so before n can be aimed at
	}
	if err == nil && g.options.Guarded {
		err = lock(m.fd)
	}
	if err != nil {
		g.tidy()
		return text.Errorf("cannot add a socket for generation %d: %w", n, err)
	}
	g.useTag(m, tag)
	g.holders[n] = m
	if g.checks {
		g.checked = m
		_ = g.attach() // else with the next program
	}
	g.settle()
	return nil
}

// open adds a member that nobody has yet.
func (g *TCP) open() (*member, error) {
	m, err := g.socket()
	if err != nil {
		return nil, err
	}
	if g.asleep {
		g.lost = append(g.lost, m)
		return m, nil
	}
	return m, g.enter(m)
}

// enter makes a new member listen. The program in force names another index: nothing
// comes. It closes m if that fails.
func (g *TCP) enter(m *member) error {
	if err := unix.Listen(m.fd, g.options.Backlog); err != nil {
		_ = syscall.Close(m.fd)
		return err
	}
	g.append(m)
	_ = g.options.Watch(m.fd) // else it is looked at when a generation ends
	return nil
}

// socket is a new one that does not listen yet.
func (g *TCP) socket() (*member, error) {
	fd, err := g.options.Open()
	if err != nil {
		return nil, err
	}
	m := &member{fd: fd}
	at, err := procnet.Local(fd)
	if err == nil && at != g.at {
		err = errors.New("it is bound to another address")
	}
	if err == nil {
		m.inode, err = procnet.Inode(fd)
	}
	if err == nil && g.options.Guarded {
		deafen(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return m, nil
}

// Aim between generations that share a socket changes nothing.
func (g *TCP) Aim(to, rest, share int, by shares.By) error {
	return g.aim(to, rest, share, by, func(t target) error {
		// Indexes are worth something only while all members listen.
		if _, err := g.mend(); err != nil && (g.index(t.to) < 0 || g.index(t.rest) < 0) {
			return err
		}
		was, checked := g.target, g.checked
		if g.trouble != "" && t != was {
			return errors.New(g.trouble)
		}
		g.target = t
		if t.to == t.rest {
			g.checked = nil
		} else if g.checks {
			g.checked = t.to
		}
		if err := g.attach(); err != nil {
			g.target, g.checked = was, checked
			return err
		}
		g.tidy()
		return nil
	})
}

// attach puts the program that the layout wants into force.
func (g *TCP) attach() error {
	if g.trouble != "" || g.asleep {
		return nil // see Mend, Sleep
	}
	p := g.program()
	return g.put(&p)
}

// put puts a program into force, through any socket that listens; in a guarded group
// through the anchor.
func (g *TCP) put(p *program) error {
	for _, m := range g.order {
		if g.options.Guarded && m != g.anchor || !procnet.Listens(m.fd) {
			continue
		}
		if err := p.attach(m.fd); err != nil {
			return text.Errorf("SO_ATTACH_REUSEPORT_CBPF: %w", err)
		}
		return nil
	}
	if g.options.Guarded {
		return errors.New("it has no anchor now")
	}
	return errors.New("a process shut all its sockets down")
}

// Watch is not needed for what comes later: Options.Watch hears of that.
func (g *TCP) Watch() (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watch()
}

func (g *TCP) watch() (err error) {
	for _, m := range g.all() {
		if !g.asleep {
			err = cmp.Or(g.options.Watch(m.fd), err)
		}
	}
	return err
}

// Waits: without inet_diag whoever else listens is found in a table that has all
// connections in it.
func (g *TCP) Waits() bool { return g.Unseen() != "" }

func (g *TCP) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.all() {
		g.close(m)
	}
	g.holders, g.order, g.lost, g.anchor, g.target = nil, nil, nil, nil, target{}
}
