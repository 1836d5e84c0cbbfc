package swap

// What the end of the active generation means. Its sockets are given up when these
// have moved the traffic.

// back lets a predecessor that still serves its connections and was never signalled
// take the traffic again. false: there is none.
func (m *Machine) back() bool {
	g := m.fallback(false)
	if g == nil {
		g = m.fallback(true) // better than nobody
	}
	if g == nil || m.rollout.dismissed || m.phase == StopDraining {
		return false
	}
	m.takeBack(g, m.active.status.String())
	return true
}

// activeEnded: no swap runs.
func (m *Machine) activeEnded(*raised) {
	if !m.back() {
		m.finish()
	}
}

// endedBeforeStart: the swap that is being prepared goes on; its successor is the only
// hope.
func (m *Machine) endedBeforeStart(*raised) { m.back() }

// endedWhileAsking: nobody serves whom the turn would protect.
func (m *Machine) endedWhileAsking(*raised) {
	if !m.back() {
		m.gate.then()
	}
}

// endedWhileRising: connections wait for the successor. One that only had to settle
// takes over at once, unless its predecessor was ended for it.
func (m *Machine) endedWhileRising(*raised) {
	g := m.rollout.successor
	switch {
	case m.back():
	case g.state == Settling && !m.rollout.dismissed:
		m.freeAll()
		m.cutOver()
	default:
		m.emit(&Aim{Generation: g.number, Share: Full})
		m.freeAll()
		m.proceed(nil)
	}
}

// endedInCanary, and in a roll: the successor serves already.
func (m *Machine) endedInCanary(*raised) {
	if !m.back() {
		m.cutOver()
		return
	}
	// That one got all connections: the stage goes on with its share.
	r := &m.rollout
	m.aimShare(r.share)
	m.progress(r.successor, StageCanary, "for "+seconds(r.by-m.now))
}

func (m *Machine) endedInRoll(*raised) { m.cutOver() }

// endedWhileRestored: what is left of the failed successor goes with it, or with the
// generation that takes over.
func (m *Machine) endedWhileRestored(*raised) {
	if m.back() {
		m.restored("another generation has the traffic")
	} else {
		m.idle("the active generation has ended")
		m.finish()
	}
}
