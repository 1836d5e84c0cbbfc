package swap

import "slices"

// The end of the container.

// stop begins it: the swap that runs is called off, and after the stop delay every
// generation is told.
func (m *Machine) stop(*ContainerEvent) {
	m.phase = Delaying
	m.by = m.in(m.cfg.StopDelay)
	if m.isForeign() {
		m.by = m.now // no load balancer waits for it
	}
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

// stopDrain waits for the connections, if that is wanted. New ones are not for this
// container any more where a gate has them wait for the next.
func (m *Machine) stopDrain() {
	if m.cfg.Membership != Alone {
		m.emit(&Leaving{})
	}
	if m.cfg.StopDrain <= 0 || !m.cfg.Drain {
		m.stopAll()
		return
	}
	m.phase, m.by = StopDraining, m.in(m.cfg.StopDrain)
	for _, g := range slices.Clone(m.gens) {
		switch g.state {
		case Kept:
			m.drain(g, stopping)
		case Active:
			m.watchConnections(g)
		}
	}
	m.drainedForStop()
}

// stopDrained: the connections of the active generation may be cut now.
func (m *Machine) stopDrained(g *generation, _ *GenerationEvent) {
	g.drained = m.phase == StopDraining
}

// drainedForStop goes on when nobody has to be waited for any more.
func (m *Machine) drainedForStop() {
	if m.phase != StopDraining {
		return
	}
	for _, g := range m.gens {
		if g.state == Active && !g.drained || g.state == Draining {
			return
		}
	}
	m.stopAll()
}

// stopAll tells every generation. One that was told before, as a predecessor or because
// it has failed, keeps its own signal and its own time: many servers take a second signal
// for "at once". StopTimeout bounds them all.
func (m *Machine) stopAll() {
	m.phase, m.by = StoppingAll, never
	for _, g := range m.gens {
		if g.state < Stopping {
			m.tell(g, m.cfg.StopSignal, never, stopping)
		}
	}
	m.boundStop()
	m.withoutServer()
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
