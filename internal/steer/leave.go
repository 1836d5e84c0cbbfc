package steer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Leave: generation n has no process any more. Nothing happens for one that
// is not known. Its socket leaves the group, and connections that wait in it
// are reset, unless another generation has it too, or connections still go
// there: then it stays until Aim moves them or Add hands it on.
func (g *Group) Leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.books.holders[n] == nil {
		return
	}
	_, _ = g.mend()
	m := g.books.holders[n]
	delete(g.books.holders, n)
	if g.books.guest == m && g.books.users(m) == 0 {
		g.books.guest = nil
		_ = g.attach()
	}
	g.tidy()
}

// tidy takes members out that are of no use.
func (g *Group) tidy() {
	b := &g.books
	for i := 0; i < len(b.lost); {
		if m := b.lost[i]; b.useless(m) {
			b.lost = append(b.lost[:i], b.lost[i+1:]...)
			g.close(m)
			continue
		}
		i++
	}
	looked := false
	for i := 0; i < len(b.order); {
		m := b.order[i]
		if !b.useless(m) || m.tag == 0 && !b.smooth(m) {
			i++
			continue
		}
		if !looked {
			// While there are strangers no member may leave: one of theirs would
			// take its index, and ours would no longer be what the books say.
			if n, err := g.strangers(); n > 0 && err == nil || g.muddled {
				return
			}
			looked = true
		}
		g.brace(m)
		g.retire(m)
		i = 0
	}
}

// brace readies the group for the loss of m. If the last one would move and
// be missed for a moment, a new one becomes the last; it stays in the hole, as
// the next generation's. If there can be none, that moment has to be.
func (g *Group) brace(m *member) {
	if !g.books.smooth(m) {
		_, _ = g.open()
	}
}

// retire takes m out of the group. With close(2) it would stay until the last
// process had closed it, too; shutdown(2) does it at once and resets what
// waits in it.
func (g *Group) retire(m *member) {
	if g.options.Unwatch != nil {
		g.options.Unwatch(m.fd) // or it would be seen as harmed
	}
	_ = unix.Shutdown(m.fd, unix.SHUT_RD) // fails if somebody else did it
	g.books.remove(m)
	_ = g.attach() // the indexes have changed
	_ = syscall.Close(m.fd)
}

func (g *Group) close(m *member) {
	if g.options.Unwatch != nil {
		g.options.Unwatch(m.fd)
	}
	_ = syscall.Close(m.fd)
}

// Join gives generation n the socket that has the traffic.
func (g *Group) Join(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := &g.books; !g.closed && b.holders[n] == nil {
		b.holders[n] = b.carrier()
	}
}
