package swap

// stop begins the end of the container: the running swap is off, and after the
// stop delay every generation is told.
func (m *Machine) stop(*ContainerEvent) {
	m.phase = Delaying
	m.delayEnd = m.now + m.cfg.StopDelay
	for _, q := range m.queue {
		m.answer(q, stopping)
	}
	m.queue, m.queued = nil, false
	for _, g := range m.gens {
		for k := range g.workers {
			g.workers[k].startAt = never // nobody is started any more
		}
	}
	if m.run != nil {
		g := m.run.successor
		switch {
		case g != nil && m.active.ended && g.state == Settling:
			m.cutOver(g) // it serves, alone: it is told like any active one
		case g != nil:
			// It is told with all others, after the delay.
			m.giveUp(g, stopping)
			m.transition(g, Stopping, stopping)
			fallthrough
		default:
			m.endRun(g, stopping, nil)
		}
	}
	if m.anew && m.active.ended {
		m.finish() // nobody serves, and nobody will
	}
}

// stopAll tells every generation. One that has got the same signal as a retired
// predecessor is spared a second one: many servers take that for "at once".
func (m *Machine) stopAll() {
	m.delayEnd = never
	m.phase = StoppingAll
	for _, g := range m.gens {
		if g.ended {
			continue
		}
		if !g.told || m.cfg.RetireSignal != m.cfg.StopSignal {
			g.drainBy = never // the KILL of one that missed its watchdog stays
			m.tell(g, m.cfg.StopSignal, stopping)
		}
		if m.phase >= Sweeping {
			return // the active one had no process, and none will come
		}
		if m.cfg.StopTimeout > 0 && !g.killed && !g.ended {
			g.killAt = min(g.killAt, m.now+m.cfg.StopTimeout)
		}
	}
}

// stopAgain passes a repeated stop signal on; no deadline changes.
func (m *Machine) stopAgain(*ContainerEvent) {
	if m.cfg.StopSignal == 0 {
		return
	}
	for _, g := range m.gens {
		m.signal(g, m.cfg.StopSignal, true)
	}
}

// forward passes a signal on to the active generation and, while a swap runs,
// to a successor that is ready for it.
func (m *Machine) forward(e *ContainerEvent) {
	m.signal(m.active, e.Signal, false)
	if s := m.successor(); s != nil && s.state == Settling {
		m.signal(s, e.Signal, false)
	}
}

// finish is called when the active generation has ended for good: its status is
// the container's, and everything that is left is ended.
func (m *Machine) finish() {
	if m.phase >= Sweeping {
		return
	}
	m.phase = Sweeping
	m.releaseBy, m.givingBy = never, never
	m.status = m.active.status
	m.delayEnd = never
	for _, q := range m.queue {
		m.answer(q, stopping)
	}
	m.queue, m.queued = nil, false
	for _, g := range m.gens {
		g.clearDeadlines()
		m.transition(g, Stopping, "the active generation has ended")
	}
	m.sweptBy = m.now + m.cfg.LeftoverTimeout
	m.emit(&SweepAll{})
}

func (m *Machine) nothingLeft(*ContainerEvent) { m.exit() }

func (m *Machine) exit() {
	m.phase = Over
	m.emit(&Exit{Status: m.status})
}
