package steer

import (
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// accepted asks, and fails the test at an error.
func accepted(t *testing.T, g *TCP, from netip.AddrPort) bool {
	t.Helper()
	yes, err := g.Accepted(from)
	must(t, err)
	return yes
}

// A connection is accepted from accept(2) on, whatever else is open.
func TestAccepted(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		t.Run(host, func(t *testing.T) {
			g, to := newGroup(t, host)
			other := dial(t, to)
			defer other.close()
			defer accept(t, socketOf(t, g, 1)).close()

			fd, err := newSocket(netip.AddrPortFrom(to.Addr(), 0), false) // the same address at both ends
			must(t, err)
			c := client{fd}
			defer c.close()
			from, err := procnet.Local(fd)
			must(t, err)
			if accepted(t, g, from) {
				t.Error("accepted before it was there")
			}
			must(t, c.connect(to))
			if accepted(t, g, from) {
				t.Error("accepted while it waits")
			}
			end := accept(t, socketOf(t, g, 1))
			if !accepted(t, g, from) {
				t.Error("not accepted")
			}
			if yes := accepted(t, g, netip.AddrPortFrom(from.Addr(), from.Port()^1)); yes {
				t.Error("another one is accepted")
			}
			end.close()
			if accepted(t, g, from) {
				t.Error("accepted after its end")
			}
		})
	}
}

// With TCP_DEFER_ACCEPT nothing is accepted that has sent nothing.
func TestAcceptedDeferred(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	listener := socketOf(t, g, 1)
	must(t, unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 60))
	fd, err := newSocket(netip.AddrPortFrom(to.Addr(), 0), false)
	must(t, err)
	c := client{fd}
	defer c.close()
	from, err := procnet.Local(fd)
	must(t, err)
	must(t, c.connect(to))
	if accepted(t, g, from) {
		t.Error("accepted without data")
	}
	must(t, c.send("\r\n"))
	end := accept(t, listener)
	defer end.close()
	if !accepted(t, g, from) {
		t.Error("not accepted")
	}
}
