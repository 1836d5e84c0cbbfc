package swap

// The end of the container.

// stop begins it: the swap that runs is called off, and after the stop delay every
// generation is told.
func (m *Machine) stop(*ContainerEvent) {
	m.phase = Delaying
	m.by = m.now + m.cfg.StopDelay
	m.dropQueue()
	for _, g := range m.gens {
		for k := range g.workers { // nobody is started any more
			if w := &g.workers[k]; w.state == waiting {
				w.enter(dead, never)
			}
		}
	}
	m.callOff()
}

// callOff ends the swap that runs. Its successor is told with all others, after the
// stop delay.
func (m *Machine) callOff() {
	g := m.rollout.successor
	switch m.rollout.state {
	case noRollout:
		return
	case restoring, restoringWorkers: // it has failed before
	default:
		if g != nil && m.active.dead() && g.state == Settling {
			m.cutOver() // it serves, alone: it is told like any active one
			return
		}
		if g != nil {
			m.giveUp(failedSoon, stopping)
		}
		m.swapFailed(stopping)
	}
	m.idle(stopping)
	if m.active.dead() {
		m.finish() // nobody serves, and nobody will
	}
}

// stopAll tells every generation. One that has got the same signal as a retired
// predecessor is spared a second one: many servers take that for "at once".
func (m *Machine) stopAll() {
	m.phase, m.by = StoppingAll, never
	for _, g := range m.gens {
		switch {
		case g.state >= Killing:
			continue
		case g.state < Stopping:
			m.tell(g, m.cfg.StopSignal, never, stopping)
		case m.cfg.RetireSignal != m.cfg.StopSignal && m.cfg.StopSignal != 0:
			m.signal(g, m.cfg.StopSignal, true)
		}
		if g.state == Stopping {
			g.by = min(g.by, m.after(m.cfg.StopTimeout))
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
	if s := m.rollout.successor; s != nil && s.state == Settling {
		m.signal(s, e.Signal, false)
	}
}
