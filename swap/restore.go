package swap

// What happens when a successor does not make it. The predecessor is not touched, or
// gets back what was taken from it.

// fail ends a successor that did not make it.
func (m *Machine) fail(e *raised) {
	g, r := e.g, &m.rollout
	if r.share > 0 && g.living() > 0 && m.cfg.Drain && e.signal != m.cfg.AbortSignal {
		// A canary has served: its connections may finish.
		m.giveUp(failed, e.reason)
		m.drain(g, e.reason)
	} else {
		m.giveUp(failedSoon, e.reason)
		m.tell(g, e.signal, m.in(e.grace), e.reason)
	}
	m.swapFailed(e.reason)
	m.restore(e.reason)
}

// failEarly ends a swap that has no successor yet.
func (m *Machine) failEarly(reason string) {
	m.swapFailed(reason)
	m.restore(reason)
}

// callSwapOff ends the swap that runs, whose successor did nothing wrong.
func (m *Machine) callSwapOff(reason string) {
	end := &raised{g: m.rollout.successor, reason: reason, signal: m.cfg.RetireSignal, grace: m.cfg.LeftoverTimeout}
	switch {
	case end.g == nil:
		m.failEarly(reason)
	case m.rollout.state == rolling && !m.isForeign():
		m.unroll(end)
	default:
		m.fail(end)
	}
}

// newcomerFailed is the end of a container whose first generation did not get the
// traffic: its own status, where it has ended by itself.
func (m *Machine) newcomerFailed() {
	m.gate.ends, m.gate.final = true, Status{Code: 1}
	if g := m.rollout.successor; g != nil && g.count(func(w *worker) bool { return w.state == dead }) > 0 {
		m.gate.final = g.status
	}
}

// restore decides what follows a swap that has failed.
func (m *Machine) restore(reason string) {
	g, r := m.rollout.successor, &m.rollout
	for _, a := range r.asks {
		if a.free && g != nil {
			g.borrowed = append(g.borrowed, a.resource)
		}
	}
	switch {
	case m.isForeign():
		if r.newcomer && !r.superseded {
			m.newcomerFailed()
		}
		m.idle(reason)
		m.withoutServer()
	case r.dismissed && m.phase == Running:
		// The predecessor has ended, or will, for this swap only.
		m.enter(restoring, never, reason)
		m.startAgain(nil)
	case m.active.dead():
		// It died in mid-swap, and the successor, its only hope, failed too.
		m.idle(reason)
		m.finish()
	default:
		m.idle(reason)
	}
}

// ending: a failed successor is ending. It may still hold what the next one needs, a
// port or a lock. Its own deadlines end it.
func (m *Machine) ending() bool {
	for _, g := range m.gens {
		if g.standing == failedSoon && !g.survived() {
			return true
		}
	}
	return false
}

// startAgain starts the command of a predecessor that had to end for a swap that
// failed, once that is gone. Connections have waited.
func (m *Machine) startAgain(*raised) {
	old := m.active
	if old.state != Gone && !old.survived() || m.ending() {
		return
	}
	g := m.newGeneration(Active, never, old.command)
	g.predecessor, g.cutOverAt = old.predecessor, old.cutOverAt
	m.active = g
	m.startNext(g, len(g.workers), Start{Command: g.command, Like: old.number})
	m.emit(&Aim{Generation: g.number, Share: Full})
	m.progress(g, StageBack, "started anew")
	m.idle("its predecessor's command runs again")
}

// unroll is the failure of a successor that has replaced workers already: they are
// started again, and until they are ready what is ready of it serves on.
func (m *Machine) unroll(e *raised) {
	g, r := e.g, &m.rollout
	if m.active.dead() {
		m.fail(e)
		return
	}
	share := r.share
	if g.serves() {
		r.share = 0 // the traffic goes back later
	}
	m.giveUp(failed, e.reason)
	if g.serves() {
		r.share = share
	}
	if e.signal == m.cfg.AbortSignal {
		m.abort(g, e.worker)
	}
	m.keep(g, never, e.reason)
	m.swapFailed(e.reason)
	m.enter(restoringWorkers, m.timeToReady(m.cfg.ReadyTimeout), e.reason)
	for k := range r.replaced {
		if w := &m.active.workers[k]; w.state == leaving {
			w.state = recalled // its KILL stays
		} else if !w.alive() {
			m.start(m.active, k, Start{})
		}
	}
	if g.living() == 0 {
		m.end(g)
	}
}

// restored lets a failed successor go, whose work the active generation does again.
func (m *Machine) restored(cause string) {
	g := m.rollout.successor
	m.aimBack()
	if g.state == Kept {
		m.drain(g, "it has failed, and its predecessor serves")
	}
	m.idle(cause)
}

func (m *Machine) wholeAgain(*raised) { m.restored("the active generation is whole again") }

func (m *Machine) restoreDue(*raised) { m.restored("the replaced workers are not ready in time") }

func (m *Machine) failedEnded(*raised) { m.restored("the failed successor has ended") }

func (m *Machine) moreTime(*raised) { m.rollout.by = m.timeToReady(m.cfg.ReadyTimeout) }
