package steer

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// muddle is the reason while the kernel's order is not known and cannot be
// made known: strangers may have any index.
const muddle = "a process shut a socket of it down while the server had listening sockets of its own on this address (SO_REUSEPORT)"

// Mend looks at the sockets after a process may have harmed one. Members
// that were shut down have left the group: they listen again, behind the
// others, and the program follows. line says so if connections went there.
// err is why one could not; the next Mend tries again.
func (g *Group) Mend() (line string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return "", nil
	}
	line, err = g.mend()
	if err == nil {
		// Any holder of a member could have put another program into force, or
		// none. It costs microseconds to make sure.
		err = g.attach()
	}
	g.tidy()
	return line, err
}

// mend is Mend with the mutex held and without what is not urgent.
func (g *Group) mend() (line string, err error) {
	b := &g.books
	harmed, stayed := 0, 0
	for i := 0; i < len(b.order); {
		if m := b.order[i]; !listens(m.fd) {
			b.lose(m) // another one is at i now
			harmed++
			continue
		}
		i++
		stayed++
	}
	if len(b.lost) == 0 && !g.muddled {
		return "", nil
	}
	strangers, err := g.strangers()
	if err != nil {
		strangers = 0 // the better guess
	}
	// Who of the others has moved is known only if one of ours has left, and no stranger
	// took its index.
	if harmed > 0 && strangers > 0 || harmed > 1 && stayed > 1 {
		g.muddled = true
	}
	if g.muddled && strangers == 0 {
		g.sortOut()
	}
	hit := false
	var failed error
	for _, aimed := range [2]bool{true, false} { // what gets connections comes first
		for _, m := range append([]*member(nil), b.lost...) {
			if b.aimed(m) != aimed || b.useless(m) { // tidy closes these
				continue
			}
			if err := g.revive(m, strangers); err != nil {
				failed = fmt.Errorf("a process shut it down, cannot listen again: %w", err)
				continue
			}
			hit = hit || aimed
		}
	}
	err = g.attach()
	if failed != nil {
		return "", failed
	}
	if hit {
		line = "a process shut it down, it listens again"
	}
	return line, err
}

// revive makes m listen again, as the last. The program is told before it:
// in the moment in which m is back it means m.
func (g *Group) revive(m *member, strangers int) error {
	b := &g.books
	for i, other := range b.lost {
		if other == m {
			b.lost = append(b.lost[:i], b.lost[i+1:]...)
			break
		}
	}
	b.append(m)
	if len(b.order) > 1 {
		_ = g.attach()
	}
	if err := unix.Listen(m.fd, g.options.Backlog); err != nil {
		b.lose(m)
		_ = g.attach()
		return err
	}
	if g.muddled && m == b.carrier() {
		// Its index is known at least: it is the last of all.
		var p program
		p.answer(len(b.order) + strangers - 1)
		_ = p.attach(m.fd)
	}
	return nil
}

// sortOut makes the order known again: all but one leave, and come back one
// by one. What waits in their queues is reset; the one that stays is that with
// the traffic, if it listens.
func (g *Group) sortOut() {
	b := &g.books
	g.muddled = false
	if len(b.order) < 2 {
		return
	}
	keep := b.order[0]
	if b.index(b.carrier()) >= 0 {
		keep = b.carrier()
	}
	for _, m := range append([]*member(nil), b.order...) {
		if m != keep {
			_ = unix.Shutdown(m.fd, unix.SHUT_RD)
			b.lose(m)
		}
	}
	_ = g.attach()
}
