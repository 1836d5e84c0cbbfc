package swap

import (
	"fmt"
	"time"
)

// The way up: from start to active.

func (m *Machine) started(g *generation, _ Event) {
	if g.successor() {
		m.progress(g, StageStarted, "")
	}
}

func (m *Machine) startFailed(g *generation, e Event) {
	if g.ended {
		return
	}
	g.ended, g.status = true, e.Status
	if g.successor() {
		m.fail(g, e.Reason)
		return
	}
	m.ended(g)
}

func (m *Machine) becameReady(g *generation, _ Event) {
	if g.ready {
		return
	}
	g.ready = true
	if g.watchdog > 0 {
		g.pingBy = m.now + g.watchdog
	}
	if g.state != Starting {
		return // the first generation: active since its start
	}
	m.transition(g, Settling, "it says that it is ready")
	m.progress(g, StageReady, "")
	if m.active.ended {
		// Nobody serves. There is no one to protect from a bad successor.
		m.cutOver(g)
		return
	}
	g.settleAt = m.now + m.cfg.Settle
	g.readyBy = g.settleAt + verifyGrace
	m.emit(Effect{Op: OpVerify, Generation: g.number})
}

func (m *Machine) neverReady(g *generation, e Event) { m.fail(g, e.Reason) }

func (m *Machine) note(g *generation, e Event) { g.note = e.Reason }

func (m *Machine) notReadyInTime(g *generation, _ Event) {
	if g.readyBy > m.now {
		return
	}
	reason := "not ready within " + seconds(g.timeout)
	if g.note != "" {
		reason += ": " + g.note
	}
	m.fail(g, reason+m.cfg.ReadyHint)
}

func (m *Machine) verified(g *generation, _ Event) {
	g.holds = true
	m.tryCutOver(g)
}

func (m *Machine) refused(g *generation, e Event) { m.fail(g, e.Reason) }

func (m *Machine) settling(g *generation, e Event) {
	switch {
	case g.pingBy <= m.now:
		m.hung(g, e)
	case g.settleAt <= m.now:
		g.settleAt = never
		g.settled = true
		m.progress(g, StageSettled, "")
		m.tryCutOver(g)
	case g.readyBy <= m.now:
		m.fail(g, "could not find out within "+seconds(verifyGrace)+" whether it holds the endpoints")
	}
}

func (m *Machine) tryCutOver(g *generation) {
	if g.holds && g.settled {
		m.cutOver(g)
	}
}

// cutOver makes g the active generation and sends its predecessor on its way
// out. The swap has succeeded.
func (m *Machine) cutOver(g *generation) {
	old := m.active
	g.settleAt, g.readyBy = never, never
	m.transition(g, Active, "cut-over")
	m.active = g
	predecessor := 0
	if !old.ended {
		predecessor = old.number
	}
	m.emit(Effect{Op: OpCutOver, Generation: g.number, Other: predecessor})
	m.progress(g, StageCutOver, "")
	if !old.ended {
		m.leave(old)
	}
	m.endRun(g, "")
}

// fail ends a successor that did not make it. The predecessor is not touched.
func (m *Machine) fail(g *generation, reason string) {
	// It may have accepted connections: it is asked to stop like any other, but
	// it does not get as long as a predecessor that served.
	m.failWith(g, m.cfg.RetireSignal, m.cfg.LeftoverTimeout, reason)
}

func (m *Machine) failWith(g *generation, sig Signal, grace time.Duration, reason string) {
	g.failed = true
	g.clearDeadlines()
	m.progress(g, StageFailed, reason)
	if g.ended {
		m.sweep(g, reason)
	} else {
		m.tell(g, sig, reason)
		g.killAt = m.now + grace
	}
	m.endRun(g, reason)
}

// The way out: from active to gone.

// leave takes a predecessor out of service.
func (m *Machine) leave(g *generation) {
	if !m.cfg.Drain {
		m.retire(g, "its successor is active")
		return
	}
	m.transition(g, Draining, "its successor is active")
	if m.cfg.DrainTimeout > 0 {
		g.drainBy = m.now + m.cfg.DrainTimeout
	}
	m.emit(Effect{Op: OpDrain, Generation: g.number})
}

// retire tells a predecessor to stop.
func (m *Machine) retire(g *generation, cause string) {
	g.clearDeadlines()
	m.tell(g, m.cfg.RetireSignal, cause)
	if m.cfg.RetireTimeout > 0 {
		g.killAt = m.now + m.cfg.RetireTimeout
	}
	m.progressOther(m.active, StageStopping, cause, g.number)
}

// tell sends g the signal that ends it, 0 for none.
func (m *Machine) tell(g *generation, sig Signal, cause string) {
	g.told = true
	g.pingBy = never
	m.transition(g, Stopping, cause)
	if sig != 0 {
		m.emit(Effect{Op: OpSignal, Generation: g.number, Signal: sig, Resume: m.phase != Running})
	}
}

func (m *Machine) drained(g *generation, _ Event) { m.retire(g, "its connections are idle") }

func (m *Machine) drainExpired(g *generation, e Event) {
	if g.drainBy <= m.now {
		m.retire(g, "its connections are not idle, but the drain's time is over")
		return
	}
	m.watchdogExpired(g, e)
}

func (m *Machine) exited(g *generation, e Event) {
	if g.ended {
		return
	}
	g.ended, g.status = true, e.Status
	switch {
	case g.state == Starting:
		reason := e.Status.String() + " before it was ready"
		if g.note != "" {
			reason += ": " + g.note
		}
		m.fail(g, reason)
	case g.state == Settling:
		m.fail(g, e.Status.String()+" while it settled")
	default:
		m.ended(g)
	}
}

// ended is called when a generation that is no successor has no main process
// any more.
func (m *Machine) ended(g *generation) {
	g.clearDeadlines()
	if g != m.active {
		m.sweep(g, g.status.String())
		return
	}
	if back := m.untold(g); back != nil {
		// The predecessor still serves its connections and was never
		// signalled: it takes the traffic again.
		m.sweep(g, g.status.String())
		back.clearDeadlines()
		if back.ready && back.watchdog > 0 {
			back.pingBy = m.now + back.watchdog
		}
		m.transition(back, Active, fmt.Sprintf("generation %d %s", g.number, g.status))
		m.active = back
		m.emit(Effect{Op: OpCutOver, Generation: back.number})
		return
	}
	if m.run != nil && m.phase == Running {
		// In mid-swap: the successor takes over as soon as it is ready.
		m.sweep(g, g.status.String())
		if s := m.run.successor; s != nil && s.state == Settling {
			m.cutOver(s)
		}
		return
	}
	m.finish()
}

// untold finds a draining predecessor of g that was not told to stop.
func (m *Machine) untold(g *generation) *generation {
	for i := len(m.gens) - 1; i >= 0; i-- {
		if p := m.gens[i]; p != g && p.state == Draining && !p.told && !p.ended {
			return p
		}
	}
	return nil
}

// sweep ends what a generation whose main process is gone has left behind.
func (m *Machine) sweep(g *generation, cause string) {
	m.transition(g, Stopping, cause)
	g.clearDeadlines()
	if !g.killed {
		g.sweptBy = m.now + m.cfg.LeftoverTimeout
	} else {
		g.abandonAt = m.now + abandon
	}
	m.emit(Effect{Op: OpSweep, Generation: g.number})
}

func (m *Machine) swept(g *generation, _ Event) {
	if g.ended {
		m.forget(g, "none of its processes is left")
	}
}

func (m *Machine) forget(g *generation, cause string) {
	m.transition(g, Gone, cause)
	for i := range m.gens {
		if m.gens[i] == g {
			m.gens = append(m.gens[:i:i], m.gens[i+1:]...)
			break
		}
	}
	m.emit(Effect{Op: OpForget, Generation: g.number})
	m.makeRoom()
}

func (m *Machine) kill(g *generation, cause string) {
	g.killed, g.told = true, true
	m.transition(g, Stopping, cause)
	g.clearDeadlines()
	if g.ended {
		g.abandonAt = m.now + abandon
	}
	m.emit(Effect{Op: OpKill, Generation: g.number})
}

func (m *Machine) stopExpired(g *generation, _ Event) {
	switch {
	case g.abandonAt <= m.now:
		m.forget(g, "what is left of it survived KILL and is not waited for")
	case g.killAt <= m.now, g.sweptBy <= m.now:
		m.kill(g, "its time is over")
	}
}

// EXTEND_TIMEOUT_USEC: at least Duration from now, never less than it had.

func (m *Machine) extendReady(g *generation, e Event) { g.readyBy = later(g.readyBy, m.now+e.Duration) }

func (m *Machine) extendStop(g *generation, e Event) {
	if !g.ended && !g.killed {
		g.killAt = later(g.killAt, m.now+e.Duration)
	}
}
