package steer

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Sleep makes the endpoint refuse connections, as a port that nobody listens on, and
// resets what waits in its sockets. Generations get and give back their sockets as
// before, none of which listens until Wake.
func (g *TCP) Sleep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders == nil || g.asleep {
		return
	}
	g.asleep = true
	for _, m := range slices.Clone(g.order) {
		g.options.Unwatch(m.fd)
		_ = unix.Shutdown(m.fd, unix.SHUT_RD)
		g.lose(m)
	}
}

// Wake ends Sleep.
func (g *TCP) Wake() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders == nil || !g.asleep {
		return nil
	}
	g.asleep = false
	_, err := g.mend()
	_ = g.watch()
	return err
}

// Asleep reports whether it refuses connections.
func (g *TCP) Asleep() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asleep
}

// Holders counts the generations that have a socket.
func (g *TCP) Holders() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.holders)
}
