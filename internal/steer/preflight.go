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
func (g *Group) Preflight(n int, source netip.AddrPort) (end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.books
	m := b.holders[n]
	switch {
	case g.closed:
		err = errClosed
	case m == nil:
		err = errors.New("it has no socket")
	case b.users(m) > 1:
		err = errors.New("it shares its socket with another")
	case b.index(m) < 0:
		err = errors.New("its socket does not listen")
	case g.muddled:
		err = errors.New(muddle)
	default:
		b.guest, b.probe = m, sourceOf(source)
		if err = g.attach(); err != nil {
			b.guest = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot reach generation %d on its own: %w", n, err)
	}
	g.visit++
	visit := g.visit
	return func() { g.endVisit(visit) }, nil
}

func (g *Group) endVisit(visit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if visit == g.visit && g.books.guest != nil && !g.closed {
		g.books.guest = nil
		_ = g.attach()
		g.tidy()
	}
}
