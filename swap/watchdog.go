package swap

import "time"

// The watchdog begins with readiness (a slow boot is READY_TIMEOUT's business)
// and ends when a generation is told to stop.

func (m *Machine) ping(g *generation, e Event) {
	if e.Duration != 0 {
		g.watchdog, g.pingBy = max(0, e.Duration), never
	}
	if g.ready && g.watchdog > 0 && !g.told {
		g.pingBy = m.now + g.watchdog
	}
}

// hung ends a generation that missed its ping or says itself that it hangs:
// ABRT, so that it can leave a core or a trace, and KILL. What its death means
// is decided when it has come.
func (m *Machine) hung(g *generation, _ Event) {
	if g.rising() {
		m.failWith(g, m.cfg.AbortSignal, abortGrace, "missed its watchdog")
		return
	}
	// A ping may have come after the ABRT: it changes nothing.
	g.pingBy = never
	if g.ended || g.killAt != never {
		return
	}
	g.killAt = m.now + abortGrace
	m.progress(g, StageHung, "missed its watchdog")
	m.emit(Effect{Op: OpSignal, Generation: g.number, Signal: m.cfg.AbortSignal})
}

func (m *Machine) watchdogExpired(g *generation, e Event) {
	switch {
	case g.pingBy <= m.now:
		m.hung(g, e)
	case g.killAt <= m.now:
		// Not kill: it stays what it is, active or draining, until it is dead.
		g.killAt = never
		m.emit(Effect{Op: OpKill, Generation: g.number})
	}
}

// later moves a deadline, but never nearer; one that never comes stays so.
func later(deadline, at time.Duration) time.Duration {
	if deadline == never {
		return never
	}
	return max(deadline, at)
}
