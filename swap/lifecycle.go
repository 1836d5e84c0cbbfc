package swap

import (
	"fmt"
	"time"
)

// The way up: from start to active.

// settle begins the time in which a successor that says it is ready has to prove
// itself.
func (m *Machine) settle(g *generation) {
	m.transition(g, Settling, "it says that it is ready")
	m.progress(g, StageReady, "")
	if m.active.ended && !m.active.cleared {
		// Nobody serves. There is no one to protect from a bad successor.
		m.cutOver(g)
		return
	}
	g.settleAt = m.now + m.cfg.Settle
	g.readyBy = g.settleAt + verifyGrace
	m.emit(&Verify{Generation: g.number})
}

func (m *Machine) neverReady(g *generation, e *GenerationEvent) { m.fail(g, e.Reason) }

func (m *Machine) note(g *generation, e *GenerationEvent) { g.note = e.Reason }

func (m *Machine) notReadyInTime(g *generation, _ *GenerationEvent) {
	if g.readyBy > m.now {
		return
	}
	reason := "not ready within " + seconds(g.timeout)
	if g.note != "" {
		reason += ": " + g.note
	}
	m.fail(g, reason+m.cfg.ReadyHint)
}

func (m *Machine) verified(g *generation, _ *GenerationEvent) {
	g.holds = true
	m.tryCutOver(g)
}

func (m *Machine) refused(g *generation, e *GenerationEvent) { m.fail(g, e.Reason) }

func (m *Machine) settling(g *generation, _ *GenerationEvent) {
	switch {
	case g.settleAt <= m.now:
		g.settleAt = never
		g.settled = true
		if !m.rolling() {
			m.progress(g, StageSettled, "")
		}
		m.tryCutOver(g)
	case g.canaryAt <= m.now:
		g.canaryAt = never
		m.tryCutOver(g)
	case g.readyBy <= m.now && !g.whole():
		m.notReadyInTime(g, &GenerationEvent{})
	case g.readyBy <= m.now:
		m.fail(g, "could not find out within "+seconds(verifyGrace)+" whether it holds the endpoints")
	}
}

// tryCutOver moves the traffic, or the next stage's share of it, once the
// successor has proved itself.
func (m *Machine) tryCutOver(g *generation) {
	switch {
	case !g.holds || !g.settled:
	case g.stage < len(m.run.canary):
		m.canary(g)
	case g.begun() < len(g.workers) && !m.active.ended:
		m.roll(g)
	default:
		m.cutOver(g)
	}
}

// cutOver makes g the active generation and sends its predecessor on its way
// out. The swap has succeeded.
func (m *Machine) cutOver(g *generation) {
	old := m.active
	g.settleAt, g.canaryAt, g.readyBy = never, never, never
	m.transition(g, Active, "cut-over")
	m.active = g
	predecessor := 0
	if !old.ended {
		predecessor = old.number
	}
	m.emit(&CutOver{Generation: g.number, Predecessor: predecessor})
	m.progress(g, StageCutOver, "")
	for k := range g.workers { // whose batch did not come: the predecessor has died
		if !g.workers[k].asked {
			m.start(g, k, Start{})
		}
	}
	if !old.ended && !old.told {
		m.endKeeps()
		keep := m.cfg.Keep
		if m.run.strategy != Overlap {
			keep = 0
		}
		m.leave(old, "its successor is active", keep)
	}
	m.endRun(g, "", old)
}

// fail ends a successor that did not make it. The predecessor is not touched.
func (m *Machine) fail(g *generation, reason string) {
	if m.rolling() && !m.active.ended && m.phase == Running {
		m.unroll(g, reason)
		return
	}
	if g.share > 0 && !g.ended && m.cfg.Drain {
		// A canary has served: its connections may finish.
		m.giveUp(g, reason)
		m.leave(g, reason, 0)
		m.endRun(g, reason, nil)
		return
	}
	// It may have accepted connections: it is asked to stop like any other, but
	// it does not get as long as a predecessor that served.
	m.failWith(g, m.cfg.RetireSignal, m.cfg.LeftoverTimeout, reason)
}

// giveUp marks a successor as failed. What it had of the traffic goes back first.
func (m *Machine) giveUp(g *generation, reason string) {
	if g.share > 0 && !m.active.ended {
		m.emit(&Aim{Generation: m.active.number, Rest: g.number, Share: Full})
	}
	g.share = 0
	g.failed = true
	g.clearDeadlines()
	m.progress(g, StageFailed, reason)
}

func (m *Machine) failWith(g *generation, sig Signal, grace time.Duration, reason string) {
	m.giveUp(g, reason)
	g.blocks = true
	if g.ended {
		m.sweep(g, reason)
	} else {
		m.tell(g, sig, reason)
		if !g.ended {
			g.killAt = m.now + grace
		}
	}
	m.endRun(g, reason, nil)
}

// The way out: from active to gone.

// leave takes a generation out of service: it is kept warm, then it drains,
// then it is told to stop.
func (m *Machine) leave(g *generation, cause string, keep time.Duration) {
	if keep > 0 {
		m.transition(g, Draining, cause)
		g.kept, g.keepBy = true, m.now+keep
		m.progressOther(m.active, StageKept, "for "+seconds(keep), g.number)
		return
	}
	m.drain(g, cause)
}

func (m *Machine) drain(g *generation, cause string) {
	if !m.cfg.Drain {
		m.retire(g, cause)
		return
	}
	m.transition(g, Draining, cause)
	if m.cfg.DrainTimeout > 0 {
		g.drainBy = m.now + m.cfg.DrainTimeout
	}
	m.emit(&Drain{Generation: g.number})
}

// retire tells a predecessor to stop.
func (m *Machine) retire(g *generation, cause string) {
	g.clearDeadlines()
	m.progressOther(m.active, StageStopping, cause, g.number)
	m.tellWitnesses(g, StageStopping, cause)
	m.dismiss(g, cause)
}

// dismiss gives g the retire signal, and its time.
func (m *Machine) dismiss(g *generation, cause string) {
	m.tell(g, m.cfg.RetireSignal, cause)
	if m.cfg.RetireTimeout > 0 && !g.ended {
		g.killAt = m.now + m.cfg.RetireTimeout
	}
}

// tell sends g the signal that ends it, 0 for none. What was to be started again
// is not.
func (m *Machine) tell(g *generation, sig Signal, cause string) {
	g.told = true
	for k := range g.workers {
		g.workers[k].startAt, g.workers[k].pingBy, g.workers[k].wanted = never, never, false
	}
	m.transition(g, Stopping, cause)
	if sig != 0 {
		m.signal(g, sig, m.phase != Running)
	}
	if g.living() == 0 && !g.ended {
		g.ended = true
		m.ended(g)
	}
}

func (m *Machine) drained(g *generation, e *GenerationEvent) {
	if !g.kept && g != m.giving {
		m.retire(g, e.Reason)
	}
}

// busy is said of a predecessor that has to wait. Whoever asked for the swap need
// not.
func (m *Machine) busy(g *generation, e *GenerationEvent) {
	if g.kept || g == m.giving {
		return
	}
	m.progressOther(m.active, StageDraining, e.Reason, g.number)
	m.tellWitnesses(g, StageDraining, e.Reason)
	m.answerWitnesses(g)
}

func (m *Machine) drainExpired(g *generation, _ *GenerationEvent) {
	switch {
	case g.keepBy <= m.now:
		m.endKeep(g)
	case g.drainBy <= m.now:
		m.retire(g, "its connections are not idle, but the drain's time is over")
	}
}

// ended is called when no worker of a generation that is no successor lives, or
// will again.
func (m *Machine) ended(g *generation) {
	g.clearDeadlines()
	if g != m.active {
		m.sweep(g, g.status.String())
		return
	}
	// Whoever takes over gets the traffic before g's sockets are given up.
	if back := m.untold(); back != nil && !g.cleared && !m.rolling() {
		// The predecessor still serves its connections and was never
		// signalled: it takes the traffic again. Not in the middle of a roll,
		// where the successor serves already.
		m.takeBack(back, fmt.Sprintf("generation %d %s", g.number, g.status))
		m.sweep(g, g.status.String())
		return
	}
	if m.phase == Running && (m.run != nil || g.cleared) {
		// In mid-swap: the successor takes over as soon as it is ready, and
		// until then connections wait for it. One whose predecessor was ended for
		// it has to settle all the same.
		switch s := m.successor(); {
		case s == nil:
		case s.state == Settling && !g.cleared:
			m.cutOver(s)
		default:
			m.emit(&Aim{Generation: s.number, Share: Full})
			m.goAll(s)
		}
		m.sweep(g, g.status.String())
		return
	}
	m.finish()
}

// sweep ends what a generation whose workers are gone has left behind.
func (m *Machine) sweep(g *generation, cause string) {
	m.transition(g, Stopping, cause)
	g.clearDeadlines()
	if !g.killed {
		g.sweptBy = m.now + m.cfg.LeftoverTimeout
	} else {
		g.abandonAt = m.now + abandon
	}
	m.emit(&Sweep{Generation: g.number})
}

func (m *Machine) swept(g *generation, _ *GenerationEvent) {
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
	m.emit(&Forget{Generation: g.number})
	m.goBack(g.owes)
	m.makeRoom()
}

func (m *Machine) kill(g *generation, cause string) {
	g.killed, g.told = true, true
	m.transition(g, Stopping, cause)
	g.clearDeadlines()
	if g.ended {
		g.abandonAt = m.now + abandon
	}
	m.emit(&Kill{Generation: g.number, Reason: cause})
	if g == m.active && m.run != nil && m.run.successor == nil {
		m.roomBy = m.now + roomTimeout // it may survive even that
	}
}

func (m *Machine) stopExpired(g *generation, _ *GenerationEvent) {
	switch {
	case g.abandonAt <= m.now:
		m.forget(g, "what is left of it survived KILL and is not waited for")
	case g.killAt <= m.now, g.sweptBy <= m.now:
		m.kill(g, "it has not ended in time")
	}
}

// EXTEND_TIMEOUT_USEC: at least Duration from now, never less than it had.

func (m *Machine) extendReady(g *generation, e *GenerationEvent) {
	g.readyBy = later(g.readyBy, m.now+e.Duration)
}

func (m *Machine) extendStop(g *generation, e *GenerationEvent) {
	if !g.ended && !g.killed {
		g.killAt = later(g.killAt, m.now+e.Duration)
	}
}
