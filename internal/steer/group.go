package steer

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options is what a group needs from those who know the endpoint.
type Options struct {
	// Open returns one more socket for the address, with SO_REUSEPORT set
	// before it was bound, not listening. The group owns it.
	Open func() (fd int, err error)

	Backlog int // of every socket

	// Watch is told of each new member before it can be harmed, Unwatch of
	// one that is about to be closed. They are called with the group's mutex
	// held and must not call the group. Nil: nobody watches.
	Watch   func(fd int)
	Unwatch func(fd int)
}

// Group is the sockets of one TCP endpoint: one for each generation, in one
// SO_REUSEPORT group of the kernel. It owns them. Its methods may be called
// from any goroutine; none of them waits for anything but the kernel.
type Group struct {
	mu      sync.Mutex
	options Options
	at      bound
	books   books
	shared  string // why all generations share a socket, for good
	foreign string // why the latest generation does
	muddled bool   // the kernel's order is not known, see Mend
	visit   int    // number of the latest Preflight
	closed  bool
}

var errClosed = errors.New("the endpoint is closed")

// New makes a group of first, a socket that listens and that was bound
// without SO_REUSEPORT, got it afterwards and went through Prepare. It
// belongs to generation, and gets all connections. New takes first over; when
// it fails first is as it was and still the caller's. Options.Watch is not
// told of first.
func New(first, generation int, o Options) (*Group, error) {
	g := &Group{options: o}
	m := &member{fd: first}
	g.books = books{holders: map[int]*member{generation: m}, to: m, rest: m, share: whole}
	g.books.append(m)
	var err error
	if g.at, err = boundTo(first); err == nil {
		m.inode, err = inodeOf(first)
	}
	if err == nil {
		err = setTag(first, tagFirst)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot steer: %w", err)
	}
	g.books.useTag(m, tagFirst)
	// Without a program a second member would get connections from the start.
	p := g.books.program()
	if err = p.attach(first); err != nil {
		return nil, fmt.Errorf("cannot steer: SO_ATTACH_REUSEPORT_CBPF: %w", err)
	}
	return g, nil
}

// Socket is what generation n has: the group's descriptor, lent until Leave,
// and its inode.
func (g *Group) Socket(n int) (fd int, inode uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.books.holders[n]
	if m == nil {
		return -1, 0, false
	}
	return m.fd, m.inode, true
}

// Add gives generation n a socket. It is one that gets no connection until
// Aim says so, with two exceptions: where the generation that had the traffic
// has left, n takes over its socket and the connections in it; and where the
// endpoint is shared (Reason), n has the socket that has the traffic. If n
// has one already nothing happens.
func (g *Group) Add(n int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.books
	if g.closed {
		return errClosed
	}
	if b.holders[n] != nil {
		return nil
	}
	_, _ = g.mend() // what it cannot do now, a later Mend will; Aim tells
	if c := b.carrier(); b.users(c) == 0 {
		// Connections of the former generation are to be told apart.
		if tag := b.nextTag(); tag != 0 && setTag(c.fd, tag) == nil {
			b.useTag(c, tag)
		}
		b.holders[n] = c
		return nil
	}
	g.examine()
	if g.reason() != "" {
		b.holders[n] = b.carrier()
		return nil
	}
	m := b.spare()
	tag := b.nextTag()
	var err error
	switch {
	case tag == 0:
		err = errors.New("too many generations have one: end some of them first")
	case m == nil:
		m, err = g.open()
	}
	if err == nil {
		// Before the first connection, so before n can be aimed at.
		if err = setTag(m.fd, tag); err == nil {
			b.useTag(m, tag)
			b.holders[n] = m
			return nil
		}
	}
	g.tidy()
	return fmt.Errorf("cannot add a socket for generation %d: %w", n, err)
}

// open adds a member that nobody has yet.
func (g *Group) open() (*member, error) {
	fd, err := g.options.Open()
	if err != nil {
		return nil, err
	}
	m := &member{fd: fd}
	at, err := boundTo(fd)
	if err == nil && at != g.at {
		err = errors.New("it is bound to another address")
	}
	if err == nil {
		m.inode, err = inodeOf(fd)
	}
	if err == nil {
		// The program in force names another index: nothing comes.
		err = unix.Listen(fd, g.options.Backlog)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	g.books.append(m)
	if g.options.Watch != nil {
		g.options.Watch(fd)
	}
	return m, nil
}

// Aim sends share/10000 of the connections that begin from now on to
// generation to, and the others to generation rest, which counts only then.
// Connections that exist stay where they are. Between generations that share
// a socket it changes nothing.
func (g *Group) Aim(to, rest, share int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.books
	share = min(max(share, 0), whole)
	switch share {
	case 0:
		to = rest
	case whole:
		rest = to
	}
	toMember, restMember := b.holders[to], b.holders[rest]
	if toMember == restMember {
		share = whole
	}
	var err error
	switch {
	case g.closed:
		err = errClosed
	case toMember == nil || restMember == nil:
		err = errors.New("it has no socket")
	default:
		// Indexes are worth something only while all members listen.
		_, err = g.mend()
		if b.index(toMember) >= 0 && b.index(restMember) >= 0 {
			err = nil
		}
	}
	if err == nil && g.muddled && (toMember != b.to || restMember != b.rest || share != b.share) {
		err = errors.New(muddle)
	}
	if err == nil {
		was := *b
		b.to, b.rest, b.share = toMember, restMember, share
		if err = g.attach(); err != nil {
			b.to, b.rest, b.share = was.to, was.rest, was.share
		}
	}
	if err != nil {
		return fmt.Errorf("cannot aim connections at generation %d: %w", to, err)
	}
	g.tidy()
	return nil
}

// attach puts the program that the books want into force.
func (g *Group) attach() error {
	if g.muddled {
		return nil // see Mend
	}
	p := g.books.program()
	for _, m := range g.books.order {
		if listens(m.fd) {
			if err := p.attach(m.fd); err != nil {
				return fmt.Errorf("SO_ATTACH_REUSEPORT_CBPF: %w", err)
			}
			return nil
		}
	}
	return errors.New("a process shut all its sockets down")
}

// Share is generation n's part of the new connections in 1/10000. ok is
// false where the endpoint is shared, or n has no socket.
func (g *Group) Share(n int) (share int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.books.holders[n]
	if m == nil || g.reason() != "" || g.books.users(m) > 1 {
		return 0, false
	}
	return g.books.part(m), true
}

// Reason is why generations share a socket, "" where each has its own.
func (g *Group) Reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason()
}

func (g *Group) reason() string {
	switch {
	case g.shared != "":
		return g.shared
	case g.muddled:
		return muddle
	}
	return g.foreign
}

// SetShared makes all generations that come share the socket that has the
// traffic; "" ends that.
func (g *Group) SetShared(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shared = reason
}

// FDs are the descriptors of all members, lent as with Socket.
func (g *Group) FDs() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	var fds []int
	for _, m := range g.books.all() {
		fds = append(fds, m.fd)
	}
	return fds
}

// Close closes all members. A process that holds one keeps it. After it the
// methods do nothing, or fail.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	for _, m := range g.books.all() {
		g.close(m)
	}
	g.books = books{}
}
