package steer

import (
	"errors"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
)

// Preflight sends connections from source, the address and port of a socket
// that is bound but not connected, to generation n until end is called; all
// others go where they went. There is one at a time: a second one replaces the
// first, whose end then does nothing. IPv4 and IPv6, also IPv4 to a
// dual-stack socket.
func (g *TCP) Preflight(n int, source netip.AddrPort) (end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// IPv4 to a dual-stack socket is IPv4 on the wire.
	m, from := g.holders[n], netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	switch {
	case g.holders == nil:
		err = ErrClosed
	case m == nil:
		err = ErrNoSocket
	case g.users(m) > 1:
		err = errors.New("it shares its socket with another")
	case g.index(m) < 0:
		err = errors.New("its socket does not listen")
	case g.trouble != "":
		err = errors.New(g.trouble)
	default:
		g.probed, g.source = m, from
		if err = g.attach(); err != nil {
			g.probed = nil
		}
	}
	if err != nil {
		return nil, text.Errorf("cannot reach generation %d on its own: %w", n, err)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.probed == m && g.source == from && g.holders != nil {
			g.probed = nil
			_ = g.attach()
			g.tidy()
		}
	}, nil
}
