package steer

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"syscall"

	"github.com/swapinit/swapinit/internal/insertion"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// unsorted is the reason while a restored group cannot know the kernel's order.
const unsorted = "sockets listen on this address that are not known, or not yet"

// RestoreTCP makes a guarded group of the sockets that processes have kept of one whose
// owner has ended, in the same network namespace: by generation, two of which may have
// one socket. Meanwhile the kernel has gone on as the last program said, and goes on
// until the group knows the order of its sockets, which it finds out (see findOrder).
// Where that does not work all but holder's, which has the traffic, leave and come back:
// what waits in them is reset. Without a socket of holder's the connections wait from
// now on.
//
// A process may come later with a socket (Take). Until then nobody can be added or aimed
// at, and Reason says why.
//
// RestoreTCP takes the sockets over; when it fails they are still the caller's, as they
// were. Options are as those of NewTCP.
func RestoreTCP(kept map[int]int, holder int, o Options) (*TCP, error) {
	o.Guarded = true
	if o.Watch == nil {
		o.Watch, o.Unwatch = func(int) error { return nil }, func(int) {}
	}
	g := &TCP{options: o}
	g.holders = map[int]*member{}
	err := g.restore(kept, holder)
	if err == nil {
		return g, nil
	}
	for _, m := range g.all() {
		o.Unwatch(m.fd)
		if !slices.Contains(slices.Collect(maps.Values(kept)), m.fd) {
			_ = syscall.Close(m.fd)
		}
	}
	return nil, text.Errorf("cannot restore the group: %w", err)
}

func (g *TCP) restore(kept map[int]int, holder int) error {
	err := errors.New("there is no socket")
	var double []int // more descriptors of a socket
	var generations []int
	for n := range kept {
		generations = append(generations, n)
	}
	insertion.Sort(len(generations), func(i, j int) bool { return generations[i] < generations[j] },
		func(i, j int) { generations[i], generations[j] = generations[j], generations[i] })
	for _, n := range generations {
		fd := kept[n]
		if g.at, err = procnet.Local(fd); err == nil {
			if err = g.join(n, fd); err == nil && g.holders[n].fd != fd {
				double = append(double, fd)
			}
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for _, m := range g.all() {
		if other, err := procnet.Local(m.fd); err != nil || other != g.at {
			return cmp.Or(err, errors.New("the sockets have several addresses"))
		}
	}
	to := g.holders[holder]
	if to == nil {
		if to, err = g.open(); err == nil {
			tag := g.nextTag()
			if err = cmp.Or(setTag(to.fd, tag), lock(to.fd)); err == nil {
				g.useTag(to, tag)
			}
		}
		if err != nil {
			return err
		}
	}
	g.target = target{to, to, shares.Full, shares.Random}
	if n, err := g.strangers(); len(g.order) > 1 || n > 0 && err == nil {
		g.trouble = unsorted
	}
	g.setBacklog()
	if _, err = g.mend(); g.anchor == nil {
		return cmp.Or(err, errors.New("it has no anchor"))
	}
	for _, fd := range double {
		_ = syscall.Close(fd)
	}
	g.tidy()
	return nil
}

// Take gives generation n the socket that it has kept, as in RestoreTCP, and takes fd
// over unless it fails.
func (g *TCP) Take(n, fd int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, err := procnet.Local(fd)
	switch {
	case g.holders == nil:
		return ErrClosed
	case g.holders[n] != nil:
		return errors.New("it has a socket")
	case err == nil && at != g.at:
		err = errors.New("it is bound to another address")
	}
	if err == nil {
		err = g.join(n, fd)
	}
	if err != nil {
		return err
	}
	if g.holders[n].fd != fd {
		_ = syscall.Close(fd)
		return nil
	}
	if g.asleep {
		_ = unix.Shutdown(fd, unix.SHUT_RD)
		g.lose(g.holders[n])
	} else if len(g.order) > 1 {
		g.trouble = cmp.Or(g.trouble, unsorted)
	}
	_, err = g.mend()
	g.tidy()
	return err
}

// join makes fd a member, generation n's. The caller sees to the order.
func (g *TCP) join(n, fd int) error {
	here, err := Here(fd)
	if err != nil {
		return err
	}
	if !here {
		return errors.New("it belongs to another network namespace")
	}
	m := &member{fd: fd}
	if m.inode, err = procnet.Inode(fd); err != nil {
		return err
	}
	for _, other := range g.all() {
		if other.inode == m.inode {
			g.holders[n] = other
			return nil
		}
	}
	tag, err := tagOf(fd)
	if err == nil && (tag == 0 || tag == tagDefault || g.tagged(tag)) {
		// Its connections cannot be told from others': they count for nobody.
		if tag = g.nextTag(); tag == 0 {
			return ErrFull
		}
		err = setTag(fd, tag)
	}
	if err == nil {
		err = lock(fd)
	}
	if err != nil {
		return err
	}
	g.useTag(m, tag)
	g.holders[n] = m
	if procnet.Listens(fd) {
		g.append(m)
	} else {
		g.lost = append(g.lost, m)
	}
	_ = g.options.Watch(fd) // else it is looked at when a generation ends
	return nil
}

// Cookie is a number that no other socket has, as long as the machine runs. The error is a
// bare errno.
func Cookie(fd int) (uint64, error) {
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
}

// Here reports whether a socket belongs to our network namespace. Before Linux 5.14 only a
// socket that listens shows that: others count as elsewhere.
func Here(fd int) (bool, error) {
	cookie, err := namespace(fd)
	if err == unix.ENOPROTOOPT {
		inode, err := procnet.Inode(fd)
		_, here := procnet.Listening()[inode]
		return here, err
	}
	if err != nil {
		return false, err
	}
	own, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer syscall.Close(own)
	ours, err := namespace(own)
	return cookie == ours, err
}

// namespace is a number that the network namespace of a socket has, and no other.
func namespace(fd int) (uint64, error) {
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}

// Cookies are those of the sockets that generations have.
func (g *TCP) Cookies() (list []uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.all() {
		if cookie, err := Cookie(m.fd); err == nil && g.users(m) > 0 {
			list = append(list, cookie)
		}
	}
	return list
}
