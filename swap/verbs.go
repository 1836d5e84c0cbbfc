package swap

// The verbs rollback and promote.

const byRequest = "rolled back by request"

// agree answers a request that was carried out.
func (m *Machine) agree(r *Request) { m.answer(*r, m.active.number, "") }

// rollback gives the traffic back to the predecessor of the active generation, if
// that is still there.
func (m *Machine) rollback(e *raised) {
	old, to := m.active, m.fallback()
	switch {
	case old.state == Stopping || old.state == Killing:
		m.answer(*e.request, 0, "the swap that is running has told the active generation to stop already")
	case to == nil:
		m.answer(*e.request, 0, "nothing to go back to: no canary runs, and no predecessor is there that was not told to stop (SWAPINIT_KEEP keeps one)")
	default:
		m.takeBack(to, byRequest)
		if !old.dead() {
			old.standing = rolledBack
			m.drain(old, byRequest)
		}
		m.agree(e.request)
	}
}

// rollbackInRestore: nothing has to be restored then.
func (m *Machine) rollbackInRestore(e *raised) {
	m.rollback(e)
	if m.active.state == Active {
		m.idle(byRequest)
	}
}

// rollbackSuccessor takes a successor's share of the traffic away.
func (m *Machine) rollbackSuccessor(e *raised) {
	end := &raised{g: m.rollout.successor, reason: byRequest, signal: m.cfg.RetireSignal, grace: m.cfg.LeftoverTimeout}
	if m.rollout.state == rolling {
		m.unroll(end)
	} else {
		m.fail(end)
	}
	m.agree(e.request)
}

// promote ends a keep as if its time were over.
func (m *Machine) promote(e *raised) {
	if !m.endKeeps() {
		m.answer(*e.request, 0, "nothing to promote: no canary runs, and no predecessor is kept")
		return
	}
	m.agree(e.request)
}

// promoteSuccessor ends a canary as if its time were over.
func (m *Machine) promoteSuccessor(e *raised) {
	m.cutOver()
	m.agree(e.request)
}
