package arbiter

import "github.com/swapinit/swapinit/internal/shares"

// nothing is what the kernel does at first: connections wait.
var nothing = Aim{Share: shares.Full}

// aim sends the traffic to where it belongs, if it is not there.
func (a *Arbiter) aim() {
	want := a.wanted()
	if want == a.aimed && !a.reaim {
		return
	}
	a.aimed, a.reaim = want, false
	moved := want // not on the heap when nothing moves
	a.emit(&moved)
}

func (a *Arbiter) wanted() Aim {
	want := nothing
	if h := a.has(); h != nil {
		want.To = h.slot()
	} else if m := a.undone(); m != nil {
		want.To = m.slot()
	} else if w := a.write; w != nil && w.then != nil && w.then.atOnce() && a.able(w.then) {
		want.To = Slot{w.then.to.Container, w.then.gen}
		if w.then.state == joining {
			want.To = w.then.to.slot() // it may have moved its traffic meanwhile
		}
	} else if c := a.claimant(); c != nil && a.phase == recovering {
		want.To = c.slot() // as before the gate ended, until it is known who is right
	}
	if m := a.turn; m != nil && m.state == canary && m.share > 0 && want.To.Member != m.Container {
		want = Aim{To: Slot{m.Container, m.asked}, Rest: want.To, Share: m.share, By: m.by}
	}
	return want
}

// drop: nobody of m has its sockets any more. The one to which connections go stays, and
// is the zero slot from now on: they wait in it, and whoever starts next has them.
func (a *Arbiter) drop(m *member) {
	if m.dropped {
		return
	}
	m.dropped = true
	a.emit(&Drop{m.Container})
	if a.aimed.To.Member == m.Container {
		a.aimed.To = Slot{}
	}
	if a.aimed.Rest.Member == m.Container {
		a.aimed.Rest = Slot{}
	}
}

// moved: the holder has aimed at another generation of its own.
func (a *Arbiter) moved(m *member, e Event) {
	n := generation(e)
	if n == 0 {
		return
	}
	m.gen, m.dead = n, false
	a.aimed = Aim{To: m.slot(), Share: shares.Full}
}

// movedYet: one that waits for its welcome serves on, and may be right that it may.
func (a *Arbiter) movedYet(m *member, e Event) {
	if n := generation(e); m.hello.State == Holder && !m.hello.Dead && n != 0 {
		m.gen = n
	}
	a.reaim = true
}

// misled: one that has not the traffic, or not any more, has moved it.
func (a *Arbiter) misled(m *member, e Event) {
	a.reaim = true
	if m.state == leaving {
		return
	}
	if m == a.unaware {
		m.gen = generation(e) // it has not heard of the rollback, and may not have to
		a.rest(m, m.reason)
	} else {
		a.tookLate(m, e)
	}
}
