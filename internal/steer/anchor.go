package steer

import (
	"cmp"
	"slices"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// A guarded group lends its sockets to processes that are not ours: members of a gate.
// Any holder of a socket can attach a program to the whole group. So
//
//   - What is lent is locked (SO_LOCK_FILTER, socket(7)): to attach through it is EPERM
//     for good, for us too. Connections inherit the lock: their server cannot filter
//     them. To detach the program is not blocked; Mend attaches it again.
//   - Programs are attached through one more socket of the group, the anchor. It
//     listens, is never lent, and no connection goes there. One that the kernel sends
//     there nevertheless, as the program was detached, must not wait in a queue that
//     nobody accepts from: the anchor has a filter that drops all segments, and the
//     client sends its SYN again a second later. Spares have that filter too, until a
//     generation gets them.
//   - If we die the sockets that only we have leave the group, and who is last moves
//     into their places. What the program in force means must not move then: so the
//     anchor is made the last one whenever the one that is last gets no connections.
//     Until then half of the connections may go to a predecessor that is kept.
//
// A server may also lower the length of its queue, listen(2), for good.

// guard makes a group of one member guarded.
func (g *TCP) guard() error {
	first := g.order[0].fd
	g.setBacklog()
	if err := g.moveAnchor(); err != nil {
		return err
	}
	return lock(first)
}

// deafen gives a socket a filter that drops every segment, where that may be had without
// privileges: not everywhere. Everywhere what has come over a hop, or not with all hops
// left, is dropped.
func deafen(fd int) {
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	farOff(fd, deaf)
}

// lock readies a socket for a generation: it hears, and no program can be attached
// through it.
func lock(fd int) error {
	farOff(fd, 0)
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if err != nil && err != unix.ENOENT && err != unix.EPERM { // it had none; it is locked already
		return text.Errorf("SO_DETACH_FILTER: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
		return text.Errorf("SO_LOCK_FILTER: %w", err)
	}
	return nil
}

// settle makes the anchor the last member, if the one that is last can move into its
// place unnoticed. The caller knows that nothing is in disorder but strangers.
func (g *TCP) settle() {
	if !g.options.Guarded || g.asleep || g.trouble != "" || len(g.order) == 0 {
		return
	}
	last := g.order[len(g.order)-1]
	if last == g.anchor || g.aimed(last) || g.singled(last) || g.index(g.anchor) < 0 {
		return
	}
	if n, err := g.strangers(); n > 0 || err != nil {
		return
	}
	_ = g.moveAnchor() // else the one that there is does as well
}

// moveAnchor puts a new anchor in the place of the one that there is, if any, as the
// last of all.
func (g *TCP) moveAnchor() error {
	m, err := g.socket()
	if err != nil {
		return text.Errorf("cannot open the anchor: %w", err)
	}
	if g.asleep {
		_ = syscall.Close(m.fd)
		return nil
	}
	if old := g.anchor; old != nil {
		g.anchor = nil
		g.retire(old)
	}
	if err = g.enter(m); err != nil {
		return text.Errorf("the anchor cannot listen: %w", err)
	}
	g.anchor = m
	return g.attach()
}

// refusal is Add's error where another group would make generation n share.
func refusal(n int, why string, full bool) error {
	if full {
		return text.Errorf("cannot add a socket for generation %d: %w: %s", n, ErrFull, why)
	}
	return text.Errorf("cannot add a socket for generation %d: %s", n, why)
}

// SetBacklog has the queues of all sockets be n long at least, less where the system
// allows less (net.core.somaxconn), and makes a guarded group see to it.
func (g *TCP) SetBacklog(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.options.Backlog = max(g.options.Backlog, n)
	g.setBacklog()
}

func (g *TCP) setBacklog() {
	for _, m := range g.order {
		if m != g.anchor {
			if state, have := queueLength(m.fd); state == listening && have < g.options.Backlog {
				_ = unix.Listen(m.fd, g.options.Backlog)
			}
			if _, have := queueLength(m.fd); have > 0 {
				g.backlog = min(have, g.options.Backlog)
			}
		}
	}
}

// lengthen makes m's queue as long as it was, if a process has made it shorter.
func (g *TCP) lengthen(m *member) {
	if !g.options.Guarded || m == g.anchor {
		return
	}
	if state, have := queueLength(m.fd); state == listening && have < g.backlog {
		_ = unix.Listen(m.fd, g.options.Backlog)
	}
}

// Queued counts the connections that wait in any of its sockets.
func (g *TCP) Queued() (n int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.order {
		queued, failed := Queue(m.fd)
		n, err = n+queued, cmp.Or(err, failed)
	}
	return n, err
}

// queueLength is the state of a socket and how long its accept queue may get.
func queueLength(fd int) (state uint8, most int) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0
	}
	return info.State, int(info.Sacked) // what this field means for a listener
}

// sortOutGuarded is sortOut. The program can be replaced only through the anchor, and
// nobody is to come to a socket that is about to be shut down. So those that leave drop
// every SYN before; the program names the first one; and in the end the one that stays
// is the first: alone, and then with an anchor behind it. A SYN that is dropped
// meanwhile, some ten microseconds, comes again.
func (g *TCP) sortOutGuarded() {
	keep := g.busiest()
	others := slices.DeleteFunc(slices.Clone(g.order), func(m *member) bool { return m == keep || m == g.anchor })
	g.silence(others)
	for _, m := range others {
		_ = unix.Shutdown(m.fd, unix.SHUT_RD)
		g.lose(m)
	}
	if g.index(keep) >= 0 {
		_ = g.moveAnchor()
	}
}

// silence readies members that are to leave.
func (g *TCP) silence(list []*member) {
	for _, m := range list {
		if !g.aimed(m) { // a handshake there may be ending
			farOff(m.fd, deaf)
		}
	}
	var p program
	p.answer(0)
	_ = g.put(&p)
}

// farOff has a listening socket drop what comes with fewer hops left (IP_MINTTL, ip(7)):
// with 255 all but everything, as clients begin with 64 or 128. Unlike a filter that can
// be done to a locked socket, and undone.
func farOff(fd, hops int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MINTTL, hops)
	_ = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MINHOPCOUNT, hops) // of IPv4 it fails
}
