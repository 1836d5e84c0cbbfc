package steer

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

func (g *TCP) Leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders[n] == nil {
		return
	}
	_, _ = g.mend()
	m := g.holders[n]
	delete(g.holders, n)
	if g.probed == m && g.users(m) == 0 {
		g.probed = nil
		_ = g.attach()
	}
	g.tidy()
}

// tidy takes members out that are of no use.
func (g *TCP) tidy() {
	for _, m := range slices.Clone(g.lost) {
		if g.useless(m) {
			g.lost = without(g.lost, m)
			g.close(m)
		}
	}
	looked := false
	for i := 0; i < len(g.order); {
		m := g.order[i]
		if !g.useless(m) || m.tag == 0 && !g.smooth(m) {
			i++
			continue
		}
		if !looked {
			// While there are strangers no member may leave: one of theirs would
			// take its index, and ours would no longer be what the layout says.
			if n, err := g.strangers(); n > 0 && err == nil || g.trouble != "" {
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
	if !g.smooth(m) {
		_, _ = g.open()
	}
}

// retire takes m out of the group. With close(2) it would stay until the last
// process had closed it, too; shutdown(2) does it at once and resets what
// waits in it.
func (g *TCP) retire(m *member) {
	g.options.Unwatch(m.fd)               // or it would be seen as harmed
	_ = unix.Shutdown(m.fd, unix.SHUT_RD) // fails if somebody else did it
	g.remove(m)
	_ = g.attach() // the indexes have changed
	_ = syscall.Close(m.fd)
}

func (g *TCP) close(m *member) {
	g.options.Unwatch(m.fd)
	_ = syscall.Close(m.fd)
}
