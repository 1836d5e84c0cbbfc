package steer

import (
	"fmt"
	"slices"
)

// strangers counts the sockets of others that listen on the very address of
// the group: servers that open SO_REUSEPORT sockets of their own. They are
// members too, behind ours, and disturb nothing for as long as ours neither
// come nor go. The caller holds the mutex.
func (g *TCP) strangers() (n int, err error) {
	q := question{at: g.at, states: 1 << listening}
	err = q.ask(func(s *socket) {
		ours := func(m *member) bool { return uint32(m.inode) == s.inode } // it has 32 bits
		if s.state == listening && s.at == g.at && !slices.ContainsFunc(g.order, ours) {
			n++
		}
	})
	return n, err
}

// Foreign counts, now, the sockets of others that listen on the very address
// of the endpoint.
func (g *TCP) Foreign() (n int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders != nil {
		n, err = g.strangers()
	}
	return n, err
}

// examine finds out whether a further member can be steered to.
func (g *TCP) examine() {
	n, err := g.strangers()
	switch {
	case err != nil:
		g.latest = fmt.Sprintf("cannot see who listens on this address: %v", err)
	case n == 1:
		g.latest = "the server has a listening socket of its own on this address (SO_REUSEPORT)"
	case n > 1:
		g.latest = fmt.Sprintf("the server has %d listening sockets of its own on this address (SO_REUSEPORT)", n)
	default:
		g.latest = ""
	}
}
