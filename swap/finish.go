package swap

// The very end: the active generation has ended, and nobody takes over.

// dropQueue answers those whose swap will not begin any more.
func (m *Machine) dropQueue() {
	m.answerAll(m.queue, 0, stopping)
	m.queue, m.queued = nil, false
}

// finish is called when the active generation has ended for good: its status is the
// container's, and everything that is left is ended.
func (m *Machine) finish() {
	if m.phase >= Sweeping {
		return
	}
	m.phase = Sweeping
	m.status = m.active.status
	m.dropQueue()
	for _, g := range m.gens {
		if g.state < Stopping {
			m.transition(g, Stopping, "the active generation has ended")
		}
		g.clear()
	}
	m.by = m.now + m.cfg.LeftoverTimeout
	m.emit(&SweepAll{})
}

func (m *Machine) nothingLeft(*ContainerEvent) { m.exit() }

func (m *Machine) exit() {
	m.phase, m.by = Over, never
	m.emit(&Exit{Status: m.status})
}
