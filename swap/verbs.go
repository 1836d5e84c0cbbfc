package swap

import "github.com/swapinit/swapinit/internal/text"

// The verbs rollback, promote and swap --cancel.

const byRequest = "rolled back by request"

// agree answers a request that was carried out.
func (m *Machine) agree(r *Request) { m.answer(*r, m.active.number, "") }

// rollback gives the traffic back to the predecessor of the active generation, if
// that still serves.
func (m *Machine) rollback(e *raised) {
	old, to := m.active, m.fallback(false)
	switch waits := m.fallback(true); {
	case m.isForeign():
		m.answer(*e.request, 0, "nothing to go back to: this container does not have the traffic")
	case to == nil && waits == nil && m.cfg.Membership != Alone:
		m.emit(&GiveBack{ID: e.request.ID})
	case to == nil && waits != nil:
		m.answer(*e.request, 0, text.Sprintf("nothing to go back to: generation %d does not serve, it hangs or has ended and is to be started again", waits.number))
	case to == nil:
		m.answer(*e.request, 0, "nothing to go back to: no canary runs, and no predecessor is there that was not told to stop (SWAPINIT_KEEP keeps one)")
	default:
		m.takeBack(to, "was "+byRequest)
		if old.state == Active { // else it has ended, or was told to for a swap
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

// cancel ends the swap that runs. A share of the traffic that the successor has goes
// back first.
func (m *Machine) cancel(e *raised) {
	m.callSwapOff(byRequest)
	m.agree(e.request)
}

func (m *Machine) nothingToCancel(e *raised) {
	m.answer(*e.request, 0, "no swap is running that could be called off")
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
	m.rollout.stages = nil
	m.rollout.promotions = append(m.rollout.promotions, *e.request)
	m.takeAll("promoted by request")
}
