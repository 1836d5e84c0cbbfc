package arbiter

// join: a member has said hello. Its welcome comes from admit, once its number is on the
// disk and it is known who has the traffic.
func (a *Arbiter) join(e *Join) {
	if e.Session == 0 || e.Member == "" {
		return
	}
	m := a.find(e.Member)
	if m == nil {
		if m = a.newMember(e); m == nil {
			a.emit(&Refuse{e.Session, "the gate knows 64 members, and all of them are connected"})
			return
		}
	}
	// A life that is known to be over says nothing of the new one.
	if m.life != "" && m.life != e.Life && e.State != "" {
		other := *e
		other.State, other.Generation = "", 0
		e = &other
	}
	switch {
	case m.session == 0:
	case m.life != e.Life:
		a.replaced(m)
		a.gone(m, "it has come back before its old connection ended")
	case m.state != joining:
		a.replaced(m)
		a.reconnect(m, e)
		return
	default:
		a.replaced(m)
	}
	if m.life != e.Life {
		m.said = Answer{}
	}
	if m.Release != e.Release {
		m.Release, a.dirty = e.Release, true
	}
	m.session, m.life, m.heard = e.Session, e.Life, a.now
	m.joins++
	m.gen, m.deadGen, m.dead, m.refuses, m.dropped = 0, 0, false, false, false
	if e.Dead {
		m.deadGen = e.Generation
	} else if e.State != "" {
		m.gen = e.Generation
	}
	a.enter(m, joining, "it has said hello")
	hello := *e // the caller's may change
	m.hello = &hello
	if a.phase == recovering && !a.welcomeNow(m) {
		a.emit(&Delay{e.Session, "the gate waits for " + a.holder.Container + ", which had the traffic"})
	}
}

// newMember gives a container its number, or returns nil if there is no room.
func (a *Arbiter) newMember(e *Join) *member {
	if len(a.members) == maxMembers {
		i := 0
		for a.members[i].state != away || a.members[i] == a.holder {
			if i++; i == maxMembers {
				return nil
			}
		}
		a.members = append(a.members[:i:i], a.members[i+1:]...)
	}
	a.last++
	m := &member{Member: Member{Container: e.Member, Release: e.Release, Order: a.last}}
	a.members = append(a.members, m)
	a.dirty = true
	return m
}

// replaced: nothing that comes on the old connection counts any more.
func (a *Arbiter) replaced(m *member) {
	a.emit(&Refuse{m.session, "it has another connection"})
}

// reconnect: the same life, before the end of its old connection was seen. Nothing has
// changed but the connection.
func (a *Arbiter) reconnect(m *member, e *Join) {
	m.session, m.heard, m.refuses = e.Session, a.now, false
	if m == a.unaware && m != a.undone() {
		a.unaware = nil // its welcome says it
		a.release(m)
	}
	switch n := e.Generation; {
	case m.state == kept && (n == 0 && e.State != Successor || e.Dead):
		a.noServer(m, nil) // it could not say so; a successor has not heard that it had the traffic
	case m.state == idle && n != 0 && !e.Dead && (e.State == Holder || e.State == Kept):
		if m.Out == "" {
			m.Out, a.dirty = Retired, true
		}
		m.gen = n // it was not heard of for too long, and serves
		a.rest(m, "its connection is back")
	case m.state == regaining && n != 0 && !e.Dead:
		m.gen = n
	case m.state == holding && n != 0 && n != m.gen && !e.Dead:
		m.gen, a.reaim = n, true
	}
	a.welcome(m, e)
	if m.state == regaining && m.gen != 0 {
		a.took(m, &Took{e.Session, m.gen}) // its welcome says the same as Back
	}
}

func (a *Arbiter) welcome(m *member, e *Join) {
	role := m.role()
	if m == a.undone() {
		role = Holder // again, and it has not heard that it was another one for a moment
	} else if m.state == kept && e.State == Holder {
		role = Kept // it has not heard yet that it has lost the traffic: it is to drain
	}
	a.emit(&Welcome{Session: m.session, Role: role, Order: m.Order, Epoch: a.epoch, Healthy: m.Settled, Fresh: e.Dead})
	if e.Dead && m.state == holding {
		m.dead = true
		a.tellRenew(m)
	}
}

// tellRenew tells a holder with dead sockets to take others, again and again until it does.
func (a *Arbiter) tellRenew(m *member) {
	a.renew = later(a.now, renewAgain)
	a.emit(&Tell{Session: m.session, Notice: Renew, Epoch: a.epoch, Reason: "its sockets are of a network namespace that is gone"})
}

// admitHolder welcomes the recorded holder, wherever it comes from.
func (a *Arbiter) admitHolder() bool {
	return a.holder != nil && a.holder.state == joining && a.admit(a.holder)
}

// admitSome welcomes one of those who wait for it.
func (a *Arbiter) admitSome() bool {
	for i := len(a.members) - 1; i >= 0; i-- {
		m := a.members[i]
		if m.state == joining && a.welcomeNow(m) && a.admit(m) {
			return true
		}
	}
	return false
}

// welcomeNow: it is known what a member is, though the gate may still wait for its holder.
func (a *Arbiter) welcomeNow(m *member) bool {
	switch {
	case a.phase != recovering || m == a.holder:
		return true
	case m.hello.State == "":
		return m.Out == Retired || m.Out == Failed
	case m.hello.State == Holder: // it serves on; who is right is not known yet
		return m.hello.Epoch > a.epoch
	}
	return true
}

// admit welcomes a member, and reports whether it has.
func (a *Arbiter) admit(m *member) bool {
	e := m.hello
	h := a.has()
	switch {
	case e.State == Holder && e.Epoch > a.epoch && m != h: // the state file was lost
		a.epoch = e.Epoch
		a.begin(&change{why: claimed, to: m, gen: m.gen, from: a.holder, reason: "it had the traffic, and the gate did not know"})
		return true
	case m == a.holder:
		return a.returned(m)
	case e.State != "":
		a.sameLife(m, e)
	case a.phase == vacant:
		a.begin(&change{why: joined, to: m, from: a.holder, reason: "nobody else has the traffic"})
		return true
	case h != nil && m.Out == "" && m.Order < h.Order:
		m.Out, a.dirty = Superseded, true
		a.enter(m, idle, "a newer one has the traffic")
	default:
		a.rest(m, "it has joined")
	}
	a.welcome(m, e)
	return true
}

// returned: the recorded holder is back.
func (a *Arbiter) returned(m *member) bool {
	e := m.hello
	if c := a.claimant(); a.phase == recovering && e.State == "" && c != nil {
		// It was about to take over when the gate ended, and has ended itself.
		m.ends = Failed
		a.begin(&change{why: fallen, to: c, gen: c.gen, from: m, reason: "its successor has ended"})
		return true
	}
	if m.Out != "" {
		m.Out, a.dirty = "", true
	}
	m.ends = ""
	a.enter(m, holding, "it is back")
	a.serve()
	a.aim()
	a.welcome(m, e)
	return true
}

// sameLife: the member was connected before, perhaps to another life of the gate. What it
// takes itself for counts where the gate knows nothing.
func (a *Arbiter) sameLife(m *member, e *Join) {
	h := a.has()
	if m.Out == "" {
		switch e.State {
		case Holder, Kept, Retired:
			m.Out = Retired
		case Superseded, Failed:
			m.Out = e.State
		default:
			if h != nil && m.Order < h.Order {
				m.Out = Superseded
			}
		}
		a.dirty = a.dirty || m.Out != ""
	}
	if e.State == Successor {
		m.gen = 0 // it has had no traffic
	}
	a.rest(m, "its connection is back")
	if e.Dead && e.Generation != 0 && (e.State == Holder || e.State == Kept) {
		a.enter(m, kept, "its sockets are dead") // it drains on, and gets nothing again
	}
}

// claimant is one that took itself for the holder when the gate ended, and still serves.
func (a *Arbiter) claimant() (c *member) {
	for _, m := range a.members {
		if m.state == joining && m.hello.State == Holder && m != a.holder && m.gen != 0 && (c == nil || m.hello.Epoch > c.hello.Epoch) {
			c = m
		}
	}
	return c
}

// recovered ends the wait for the recorded holder: after 10 s if another one serves, as
// then only the gate was away, else after 60 s.
func (a *Arbiter) recovered() bool {
	c := a.claimant()
	serves := c != nil || a.candidate(false) != nil
	for _, r := range a.queue {
		serves = serves || !r.inside // it is ready
	}
	if a.now < a.soonBy || a.now < a.recoverBy && !serves {
		return false
	}
	a.note(a.holder, "it had the traffic, and has not come back")
	a.certain()
	a.vacate(a.now)
	if serves {
		a.holder.ends = Failed // it has ended while the gate was away
	}
	if c != nil {
		a.begin(&change{why: fallen, to: c, gen: c.gen, from: a.holder, reason: "its successor has not come back"})
	} else if m := a.newest(); m != nil && !serves {
		a.begin(&change{why: joined, to: m, from: a.holder, reason: "the one that had the traffic has not come back"})
	}
	return true
}

// newest of those who wait and may hold.
func (a *Arbiter) newest() *member {
	for i := len(a.members) - 1; i >= 0; i-- {
		m := a.members[i]
		if m.state == joining && m.Out == "" {
			return m
		}
	}
	return nil
}
