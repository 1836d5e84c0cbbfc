package swap

// What is done about what the gate says.

func (m *Machine) raiseGranted(e *ContainerEvent) {
	if e.Swap == m.gate.asked && m.rollout.state == asking {
		m.raise(&raised{kind: granted})
	} else {
		m.tooLate(e)
	}
}

// tooLate is for what is granted to a swap that was called off meanwhile: a gate that has
// moved all of the traffic is to move it elsewhere.
func (m *Machine) tooLate(e *ContainerEvent) {
	if e.Share == Full && m.isForeign() {
		m.emit(&Took{})
	}
}

// raiseDenied: with Swap 0 it is the turn that is lost.
func (m *Machine) raiseDenied(e *ContainerEvent) {
	if e.Swap == 0 && m.rollout.turn || e.Swap != 0 && e.Swap == m.gate.asked && m.rollout.state == asking {
		m.raise(&raised{kind: denied, reason: e.Reason, superseded: e.Superseded})
	}
}

func (m *Machine) raiseLost(e *ContainerEvent) {
	m.raise(&raised{kind: lost, reason: e.Reason, back: e.Back})
}

func (m *Machine) raiseRegained(e *ContainerEvent) {
	m.raise(&raised{kind: regained, reason: e.Reason})
}

func (m *Machine) raiseCalled(e *ContainerEvent) { m.raise(&raised{kind: called, reason: e.Reason}) }

// goOn: what was asked for is granted.
func (m *Machine) goOn(*raised) { m.gate.then() }

// deny ends the swap that had asked, or had a turn. One whose successor is the only hope
// goes on without: there is nobody here whom the turn protects.
func (m *Machine) deny(e *raised) {
	r := &m.rollout
	if m.active.dead() && r.state != asking {
		return
	}
	r.superseded = e.superseded
	m.callSwapOff(e.reason)
}

// yield: another container has the traffic. What this one had goes the way of a
// predecessor.
func (m *Machine) yield(e *raised) {
	old := m.active
	if m.isForeign() {
		return // so it was before
	}
	if e.back {
		m.lost(StageBack, 0, e.reason)
	}
	m.foreign.predecessor, m.active = old.number, m.foreign
	m.endKeeps()
	if e.back {
		old.standing = rolledBack
		m.gate.ends, m.gate.final = true, Status{Code: 1}
	}
	switch {
	case old.state != Active:
	case m.cfg.Keep > 0 && !e.back:
		m.keep(old, m.in(m.cfg.Keep), e.reason)
		m.emit(&Progress{Generation: old.number, Other: old.number, Stage: StageKept, Detail: "for " + seconds(m.cfg.Keep)})
	default:
		m.drain(old, e.reason)
	}
	m.withoutServer()
}

// yieldInSwap is yield while a swap runs, which ends, or while one that has failed is
// undone: nobody needs that now.
func (m *Machine) yieldInSwap(e *raised) {
	if m.isForeign() {
		return
	}
	m.yield(e)
	switch m.rollout.state {
	case restoringWorkers:
		m.restored(e.reason)
	case restoring:
		m.idle(e.reason)
	default:
		m.callSwapOff(e.reason)
		return
	}
	m.withoutServer()
}

// regain takes the traffic back.
func (m *Machine) regain(e *raised) {
	to := m.active
	if m.isForeign() {
		if to = m.fallback(false); to == nil {
			to = m.fallback(true)
		}
		if to != nil {
			m.takeBack(to, e.reason)
		}
	}
	if to == nil || to.dead() {
		m.emit(&Took{})
	} else {
		m.emit(&Took{Generation: to.number})
	}
}

// regainInSwap is regain while a successor comes up that was to take the traffic from
// another container: it would have to take it from its own now, in a turn. If there is
// nothing else here that could serve, it goes on, and will ask by itself.
func (m *Machine) regainInSwap(e *raised) {
	if m.isForeign() && m.fallback(true) != nil {
		m.callSwapOff("the container has the traffic again: " + e.reason)
	}
	m.regain(e)
}

// serve starts a server because nobody else serves.
func (m *Machine) serve(e *raised) {
	if !m.isForeign() || m.fallback(true) != nil || m.ending() || len(m.gens) >= m.cfg.MaxGenerations {
		m.regain(e)
		return
	}
	g := m.newGeneration(Active, never, nil)
	m.active = g
	m.stays()
	m.startNext(g, len(g.workers), Start{})
	m.emit(&Aim{Generation: g.number, Share: Full})
	m.emit(&Took{Generation: g.number})
}
