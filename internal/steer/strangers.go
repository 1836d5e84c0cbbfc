package steer

import (
	"slices"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
)

// strangers counts the sockets of others that listen on the very address of
// the group: servers that open SO_REUSEPORT sockets of their own. They are
// members too, behind ours, and disturb nothing for as long as ours neither
// come nor go. The caller holds the mutex.
func (g *TCP) strangers() (n int, err error) {
	count := func(inode uint32) { // inet_diag's have 32 bits
		if !slices.ContainsFunc(g.order, func(m *member) bool { return uint32(m.inode) == inode }) {
			n++
		}
	}
	if g.unseen == "" {
		q := question{at: g.at, states: 1 << listening}
		err = q.ask(func(s *socket) {
			if s.state == listening && s.at == g.at {
				count(s.inode)
			}
		})
		return n, err
	}
	inodes, err := procnet.Listeners(g.at)
	for _, inode := range inodes {
		count(uint32(inode))
	}
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
		g.latest = text.Sprintf("cannot see who listens on this address: %v", err)
	case n == 1:
		g.latest = "the server has a listening socket of its own on this address (SO_REUSEPORT)"
	case n > 1:
		g.latest = text.Sprintf("the server has %d listening sockets of its own on this address (SO_REUSEPORT)", n)
	default:
		g.latest = ""
	}
}
