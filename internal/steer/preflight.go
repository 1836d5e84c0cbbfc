package steer

import (
	"errors"
	"fmt"
	"net/netip"
)

// Preflight sends connections from source, the address and port of a socket
// that is bound but not connected, to generation n until end is called; all
// others go where they went. There is one at a time: a second one replaces the
// first, whose end then does nothing. IPv4 and IPv6, also IPv4 to a
// dual-stack socket.
func (g *TCP) Preflight(n int, source netip.AddrPort) (end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.layout
	m := l.holders[n]
	switch {
	case g.closed:
		err = ErrClosed
	case m == nil:
		err = ErrNoSocket
	case users(l.holders, m) > 1:
		err = errors.New("it shares its socket with another")
	case l.index(m) < 0:
		err = errors.New("its socket does not listen")
	case g.disordered:
		err = errors.New(disorder)
	default:
		l.probed, l.source = m, sourceOf(source)
		if err = g.attach(); err != nil {
			l.probed = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot reach generation %d on its own: %w", n, err)
	}
	g.visit++
	visit := g.visit
	return func() { g.endVisit(visit) }, nil
}

func (g *TCP) endVisit(visit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if visit == g.visit && g.layout.probed != nil && !g.closed {
		g.layout.probed = nil
		_ = g.attach()
		g.tidy()
	}
}
