package swap

import "slices"

// The very end: the active generation has ended, and nobody takes over.

// dropQueue answers those whose swap will not begin any more.
func (m *Machine) dropQueue() {
	m.answerAll(m.queue, 0, stopping)
	m.queue, m.queued = nil, false
}

// finish is called when the active generation has ended for good: its status is the
// container's. Others that were told to stop, or are now, keep their own signal; nobody
// accepts connections any more, so their time is that of what is left, unless the
// container was told to stop. Then everything that is left is ended.
func (m *Machine) finish() {
	if m.phase >= Finishing {
		return
	}
	told := m.phase != Running
	if m.status = m.active.status; m.isForeign() {
		m.status = m.gate.final
	}
	if m.cfg.Membership != Alone && m.phase < StopDraining && (told || !m.isForeign()) {
		why := ""
		if !told {
			why = m.status.String()
		}
		m.emit(&Leaving{Died: !told, Reason: why})
	}
	if !told && m.active.cutOverAt > 0 {
		m.lost(StageDied, 0, m.status.String())
	}
	m.phase, m.by = Finishing, never
	m.dropQueue()
	by := m.in(m.cfg.LeftoverTimeout)
	if told {
		by = m.after(m.cfg.RetireTimeout)
	}
	for _, g := range slices.Clone(m.gens) {
		if g.state < Stopping {
			m.tell(g, m.cfg.RetireSignal, by, "the active generation has ended")
		} else if g.state == Stopping && !told {
			g.by = min(g.by, by)
		}
	}
	if told {
		m.boundStop()
	}
	m.sweepWhenAlone()
}

// withoutServer is called when a generation has gone, or the traffic has: a container
// that has no other is retired, or ends.
func (m *Machine) withoutServer() {
	if !m.isForeign() || m.rollout.state != noRollout || m.phase >= Finishing {
		return
	}
	left := false
	for _, g := range m.gens {
		if !g.dead() && !g.survived() {
			return
		}
		left = left || g.dead()
	}
	if m.gate.ends || m.phase != Running {
		m.finish()
	} else if !left {
		m.emit(&NoServer{})
	}
}

// sweepWhenAlone ends everything that is left once no generation lives that is waited
// for.
func (m *Machine) sweepWhenAlone() {
	for _, g := range m.gens {
		if !g.dead() && !g.survived() {
			return
		}
	}
	m.phase, m.by = Sweeping, m.in(m.cfg.LeftoverTimeout)
	for _, g := range m.gens {
		g.clear()
	}
	m.emit(&SweepAll{})
}

// stopFinishing bounds the time of those that were told to stop. They are not told
// again: many servers take that for "at once".
func (m *Machine) stopFinishing(*ContainerEvent) { m.boundStop() }

// boundStop gives every generation that was told to stop StopTimeout at most.
func (m *Machine) boundStop() {
	for _, g := range m.gens {
		if g.state == Stopping {
			g.by = min(g.by, m.after(m.cfg.StopTimeout))
		}
	}
}

func (m *Machine) nothingLeft(*ContainerEvent) { m.exit() }

func (m *Machine) exit() {
	m.phase, m.by = Over, never
	m.emit(&Exit{Status: m.status})
}
