package steer

import (
	"slices"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// disorder is the reason while the kernel's order is not known and cannot be
// made known: strangers may have any index.
const disorder = "a process shut a socket of it down while the server had listening sockets of its own on this address (SO_REUSEPORT)"

// Mend: members that were shut down have left the group: they listen again,
// behind the others, and the program follows. line says so if connections went
// there.
func (g *TCP) Mend() (line string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holders == nil {
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
func (g *TCP) mend() (line string, err error) {
	if g.asleep {
		return "", nil
	}
	harmed, stayed := 0, 0
	for i := 0; i < len(g.order); {
		if m := g.order[i]; !procnet.Listens(m.fd) {
			g.lose(m) // another one is at i now
			harmed++
			continue
		}
		g.lengthen(g.order[i])
		i++
		stayed++
	}
	if g.options.Guarded && g.anchor == nil {
		_ = g.moveAnchor()
	}
	if len(g.lost) == 0 && g.trouble == "" {
		return "", nil
	}
	strangers, err := g.strangers()
	if err != nil {
		strangers = 0 // the better guess
	}
	// Who of the others has moved is known only if one of ours has left, and no stranger
	// took its index.
	if harmed > 0 && strangers > 0 || harmed > 1 && stayed > 1 {
		g.trouble = disorder
	}
	if g.trouble != "" && strangers == 0 {
		g.sortOut()
	}
	hit := false
	var failed error
	for turn := range 3 { // the anchor, by which programs come; what gets connections
		for _, m := range slices.Clone(g.lost) {
			aimed := g.aimed(m)
			if (m == g.anchor) != (turn == 0) || turn > 0 && aimed != (turn == 1) || g.useless(m) { // tidy closes these
				continue
			}
			if err := g.revive(m, strangers); err != nil {
				failed = text.Errorf("a process shut it down, cannot listen again: %w", err)
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
func (g *TCP) revive(m *member, strangers int) error {
	g.lost = without(g.lost, m)
	g.append(m)
	if len(g.order) > 1 {
		_ = g.attach()
	}
	if g.options.Guarded && m.tag != 0 { // not the anchor, nor a spare
		farOff(m.fd, 0)
	}
	if err := unix.Listen(m.fd, g.options.Backlog); err != nil {
		g.lose(m)
		_ = g.attach()
		return err
	}
	if g.trouble != "" && m == g.busiest() {
		// Its index is known at least: it is the last of all.
		var p program
		p.answer(len(g.order) + strangers - 1)
		_ = g.put(&p)
	}
	return nil
}

// sortOut makes the order known again. Where that cannot be found out otherwise (a guarded
// group can) all but one leave, and come back one by one. What waits in their queues is
// reset; the one that stays is that with the traffic, if it listens.
func (g *TCP) sortOut() {
	g.trouble = ""
	if len(g.order) < 2 {
		return
	}
	if g.options.Guarded {
		if g.findOrder() {
			_ = g.attach()
		} else {
			g.sortOutGuarded()
		}
		return
	}
	keep := g.order[0]
	if g.index(g.busiest()) >= 0 {
		keep = g.busiest()
	}
	for _, m := range slices.Clone(g.order) {
		if m != keep {
			_ = unix.Shutdown(m.fd, unix.SHUT_RD)
			g.lose(m)
		}
	}
	_ = g.attach()
}
