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
	if g.singled(m) && g.users(m) == 0 {
		if g.checked == m {
			g.checked = nil
		}
		if g.probed == m {
			g.probed = nil
		}
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
	g.settle()
}

// backfill readies the group for the loss of m. If the last one would move and
// be missed for a moment, a new one becomes the last; it stays in the hole, as
// the next generation's. If there can be none, that moment has to be.
func (g *TCP) backfill(m *member) {
	if !g.smooth(m) {
		_, _ = g.open()
	}
}

// noInterface is the index of an interface that nobody has.
const noInterface = 1<<31 - 1

// retire takes m out of the group. With close(2) it would stay until the last
// process had closed it, too; shutdown(2) does it at once and resets what
// waits in it.
//
// While the kernel takes a listener out, a SYN whose lookup met it first in the
// hash bucket finds it without a group, and goes to it in place of where the
// program says: lost. A listener that is bound to an interface that is not there
// is passed over by the lookup, and stays in the group (compute_score and
// inet_lookup_reuseport in net/ipv4/inet_hashtables.c). SO_BINDTOIFINDEX is of
// Linux 5.0, without privileges of 5.7.
func (g *TCP) retire(m *member) {
	g.options.Unwatch(m.fd) // or it would be seen as harmed
	_ = unix.SetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, noInterface)
	_ = unix.Shutdown(m.fd, unix.SHUT_RD) // fails if somebody else did it
	g.remove(m)
	_ = g.attach() // the indexes have changed
	_ = syscall.Close(m.fd)
}

func (g *TCP) close(m *member) {
	g.options.Unwatch(m.fd)
	_ = syscall.Close(m.fd)
}
