package arbiter

// ended: the connection of a member has ended: it has died, or has gone after it said so.
func (a *Arbiter) ended(m *member, _ Event) { a.gone(m, "its connection has ended") }

func (a *Arbiter) gone(m *member, reason string) {
	a.withdraw(m) // nobody is there to hear an answer
	was := m.state
	if was == regaining {
		a.refused(m, reason)
	}
	a.release(m)
	if m == a.undone() {
		a.vacate(a.now)
	}
	if m == a.unaware {
		a.unaware = nil
	}
	m.session, m.gen = 0, 0
	a.enter(m, away, reason)
	a.drop(m)
	switch {
	case m != a.holder:
	case was == holding:
		a.note(m, "it had the traffic, and "+reason)
		m.ends = Failed
		a.vacate(a.now)
	case was == regaining:
		m.ends = Failed
	case was == leaving && m.ends == Retired && a.phase == vacant:
		a.vacate(later(a.now, vacantLimit))
		a.any = a.kept
	}
}

// leave: a member was told to stop, or its server has ended and it will follow.
func (a *Arbiter) leave(m *member, e Event) {
	died := e.(*Leaving).Died
	reason := "it was told to stop"
	if died {
		reason = "its server has ended"
	}
	a.forget(m, "it is stopping")
	was := m.state
	if was == regaining {
		a.refused(m, reason)
	}
	if m == a.undone() {
		a.vacate(a.now)
		if !died {
			a.vacate(later(a.now, leaveLimit))
		}
	}
	a.release(m)
	a.enter(m, leaving, reason)
	if m != a.holder || was != holding && was != regaining {
		return
	}
	a.note(m, "it had the traffic, and "+reason)
	switch {
	case died:
		m.ends = Failed
		a.drop(m) // it holds the sockets, and will never accept
		if was == holding {
			a.vacate(a.now)
		}
	case was == holding: // else it has not had the traffic: nobody waits for its end
		m.ends = Retired
		a.vacate(later(a.now, leaveLimit))
	}
}

// noServer: the last server of a member has ended, its init stays.
func (a *Arbiter) noServer(m *member, _ Event) {
	m.gen = 0
	switch m.state {
	case holding:
		m.ends = Failed
		a.enter(m, idle, "its server has ended")
		a.note(m, "it had the traffic, and its server has ended")
		a.drop(m)
		m.dropped = false // it may start another one
		a.vacate(a.now)
	case regaining:
		a.refused(m, "its server has ended")
	default: // canary, committing, kept
		a.rest(m, "its server has ended")
	}
}

// settled: the holder has settled, from now on it is healthy.
func (a *Arbiter) settled(m *member, _ Event) {
	if !m.Settled {
		m.Settled, a.dirty = true, true
	}
}

// noServerYet: it was to be kept, and has nothing any more that could be.
func (a *Arbiter) noServerYet(m *member, _ Event) { m.gen = 0 }
