package steer

import (
	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// CheckAddr is an address of the loopback interface at which the newest generation can be
// reached before it has all the traffic: from Add, which gives it a socket of its own, or
// an Aim that gives it a share, to the Aim that sends all connections one way, Uncheck, or
// its end. The kernel's program looks at
// where a connection goes to, so any number of them and any protocol will do. After that it
// is an address like others.
func CheckAddr() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 2}) }

// Checks is the generation that is reached at CheckAddr, 0 if none is. It never is in a
// group that does not listen on all addresses of IPv4, or whose sockets are lent to
// processes that have another loopback interface (Options.Guarded).
func (g *TCP) Checks() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for holder, m := range g.holders {
		if m == g.checked {
			n = max(n, holder)
		}
	}
	return n
}

// Uncheck ends what Add and Aim have begun: no swap runs.
func (g *TCP) Uncheck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.checked != nil && g.holders != nil {
		g.checked = nil
		_ = g.attach() // else with the next program
		g.tidy()
	}
}

// takesIPv4 reports whether a socket that is bound to at gets connections to all addresses
// of IPv4.
func takesIPv4(fd int, at netip.Addr) bool {
	if at != netip.IPv6Unspecified() {
		return at == netip.IPv4Unspecified()
	}
	only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only == 0
}
