package steer

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

func (g *TCP) Leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.layout.holders[n] == nil {
		return
	}
	_, _ = g.mend()
	m := g.layout.holders[n]
	delete(g.layout.holders, n)
	if g.layout.probed == m && users(g.layout.holders, m) == 0 {
		g.layout.probed = nil
		_ = g.attach()
	}
	g.tidy()
}

// tidy takes members out that are of no use.
func (g *TCP) tidy() {
	l := &g.layout
	for _, m := range slices.Clone(l.lost) {
		if l.useless(m) {
			l.lost = without(l.lost, m)
			g.close(m)
		}
	}
	looked := false
	for i := 0; i < len(l.order); {
		m := l.order[i]
		if !l.useless(m) || m.tag == 0 && !l.smooth(m) {
			i++
			continue
		}
		if !looked {
			// While there are strangers no member may leave: one of theirs would
			// take its index, and ours would no longer be what the layout says.
			if n, err := g.strangers(); n > 0 && err == nil || g.disordered {
				return
			}
			looked = true
		}
		g.backfill(m)
		g.retire(m)
		i = 0
	}
}

// backfill readies the group for the loss of m. If the last one would move and
// be missed for a moment, a new one becomes the last; it stays in the hole, as
// the next generation's. If there can be none, that moment has to be.
func (g *TCP) backfill(m *member) {
	if !g.layout.smooth(m) {
		_, _ = g.open()
	}
}

// retire takes m out of the group. With close(2) it would stay until the last
// process had closed it, too; shutdown(2) does it at once and resets what
// waits in it.
func (g *TCP) retire(m *member) {
	if g.options.Unwatch != nil {
		g.options.Unwatch(m.fd) // or it would be seen as harmed
	}
	_ = unix.Shutdown(m.fd, unix.SHUT_RD) // fails if somebody else did it
	g.layout.remove(m)
	_ = g.attach() // the indexes have changed
	_ = syscall.Close(m.fd)
}

func (g *TCP) close(m *member) {
	if g.options.Unwatch != nil {
		g.options.Unwatch(m.fd)
	}
	_ = syscall.Close(m.fd)
}

func (g *TCP) Join(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := &g.layout; !g.closed && l.holders[n] == nil {
		l.holders[n] = l.busiest()
	}
}
