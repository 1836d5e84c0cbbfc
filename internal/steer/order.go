package steer

import (
	"slices"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// The order of a guarded group can be found out without anybody's socket leaving it: a
// server that waits in accept(2) would get EINVAL when its socket left, and may end of
// that. The program names one index after the other for a connection of ours, and one
// member after the other is the only one that hears it (farOff): if there is an answer,
// that index is its. The handshake is not completed there (TCP_DEFER_ACCEPT) and is taken
// back by a reset, so no server notices. Everybody else's SYN goes to the member with the
// traffic, as soon as its index is known, which is found out first; one that is dropped
// until then comes again a second later.

const (
	deaf   = 255 // for farOff: hears what comes from this host with that many hops left
	nearby = 254
	far    = 64
)

// orderWaits are how long an answer is waited for, in ms, in one attempt after the other.
// On loopback it is there at once, or does not come.
var orderWaits = [...]int{1, 10, 100}

// findOrder makes the order known, and reports whether it could. The caller knows that
// nobody else listens on the address.
func (g *TCP) findOrder() bool {
	if g.index(g.anchor) < 0 || g.asleep {
		return false
	}
	keep := g.busiest()
	if g.index(keep) < 0 {
		return false
	}
	list := []*member{keep}
	for _, m := range g.order {
		if m != keep && m != g.anchor {
			list = append(list, m)
			farOff(m.fd, deaf)
			defer farOff(m.fd, 0)
		}
	}
	order := make([]*member, len(g.order))
	for _, wait := range orderWaits {
		for _, m := range list {
			if i := slices.Index(order, keep); (m == keep || i >= 0) && !slices.Contains(order, m) {
				g.place(m, order, i, wait)
			}
		}
		free := slices.Index(order, nil)
		if free < 0 {
			return false
		}
		order[free] = g.anchor // which hears nobody
		if !slices.Contains(order, nil) {
			g.order = order
			return true
		}
		order[free] = nil
	}
	return false
}

// place finds the index of m among those that are free. rest is that of the member with
// the traffic, -1 for m itself.
func (g *TCP) place(m *member, order []*member, rest, wait int) {
	deferred, err := unix.GetsockoptInt(m.fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT)
	if err != nil || unix.SetsockoptInt(m.fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, 1) != nil {
		return
	}
	defer func() { _ = unix.SetsockoptInt(m.fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, deferred) }()
	hops := far
	if rest >= 0 {
		hops = nearby
		farOff(m.fd, nearby)
		defer farOff(m.fd, deaf)
	}
	for i := range order {
		if order[i] == nil && g.answers(i, rest, hops, wait) {
			order[i] = m
			return
		}
	}
}

// answers: who has that index answers a SYN that comes with so many hops left.
func (g *TCP) answers(index, rest, hops, wait int) bool {
	ip := g.at.Addr()
	if !ip.IsUnspecified() {
		yes, _ := g.knock(ip, index, rest, hops, wait)
		return yes
	}
	if ip.Is6() {
		if yes, err := g.knock(netip.IPv6Loopback(), index, rest, hops, wait); err == nil {
			return yes
		}
	}
	yes, _ := g.knock(netip.AddrFrom4([4]byte{127, 0, 0, 1}), index, rest, hops, wait)
	return yes
}

func (g *TCP) knock(ip netip.Addr, index, rest, hops, wait int) (yes bool, err error) {
	fd, err := unix.Socket(procnet.Family(ip), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer syscall.Close(fd)
	if ip.Is4() {
		err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TTL, hops)
	} else {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, hops)
	}
	if err == nil {
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // close resets it
	}
	if err == nil {
		err = unix.Bind(fd, procnet.Sockaddr(netip.AddrPortFrom(ip, 0)))
	}
	var from netip.AddrPort
	if err == nil {
		from, err = procnet.Local(fd)
	}
	if err != nil {
		return false, err
	}
	var p program
	p.match(from, index)
	p.answer(max(rest, 0))
	if rest < 0 {
		p = program{}
		p.answer(index)
	}
	if err = g.put(&p); err != nil {
		return false, err
	}
	err = unix.Connect(fd, procnet.Sockaddr(netip.AddrPortFrom(ip, g.at.Port())))
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		return false, err
	}
	happened, err := procnet.Poll(fd, unix.POLLOUT, wait)
	return happened&(unix.POLLOUT|unix.POLLERR|unix.POLLHUP) == unix.POLLOUT, err
}
