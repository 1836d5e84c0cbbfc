package steer

import (
	"errors"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// Accepted reports whether a process has accepted the connection that a socket of ours
// at from has to the endpoint, at the same IP address. It has not while it waits in a
// queue, or for the first data (TCP_DEFER_ACCEPT). A server that has closed it by now
// had accepted it before: what leaves a queue otherwise is reset.
func (g *TCP) Accepted(from netip.AddrPort) (yes bool, err error) {
	at := netip.AddrPortFrom(from.Addr().Unmap(), g.at.Port())
	q := question{at: at, states: ^uint32(0), peer: from.Port()}
	err = q.ask(func(c *socket) { yes = c.peer.Port() == from.Port() && (c.inode != 0 || c.closed()) })
	if errors.Is(err, unix.ENOENT) { // not even there yet
		err = nil
	}
	return yes, err
}

// closed reports whether the process has closed it, or its end of it.
func (s *socket) closed() bool {
	switch s.state {
	case finWait1, finWait2, timeWait, lastAck, closing:
		return true
	}
	return false
}
