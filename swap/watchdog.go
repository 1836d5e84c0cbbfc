package swap

import "time"

// The watchdog begins with readiness (a slow boot is READY_TIMEOUT's business)
// and ends when a generation is told to stop.

func (m *Machine) ping(g *generation, e *GenerationEvent) {
	w := g.worker(e.Worker)
	if w == nil {
		return
	}
	if e.Duration != 0 {
		w.watchdog, w.pingBy = max(0, e.Duration), never
	}
	if w.ready && w.watchdog > 0 && !g.told && !w.told {
		w.pingBy = m.now + w.watchdog
	}
}

// hung ends a worker that missed its ping or says itself that it hangs: ABRT, so
// that it can leave a core or a trace, and KILL. What its death means is decided
// when it has come.
func (m *Machine) hung(g *generation, e *GenerationEvent) {
	w := g.worker(e.Worker)
	if w == nil {
		return
	}
	if g.rising() && !m.rolling() {
		m.failWith(g, m.cfg.AbortSignal, abortGrace, "missed its watchdog")
		return
	}
	if g.rising() {
		m.fail(g, "missed its watchdog") // the others of it serve on for a while
	}
	// A ping may have come after the ABRT: it changes nothing.
	w.pingBy = never
	if w.killAt != never {
		return
	}
	w.killAt = m.now + abortGrace
	m.progress(g, StageHung, "missed its watchdog")
	m.emit(&SignalWorker{Generation: g.number, Worker: e.Worker, Signal: m.cfg.AbortSignal})
}

// later moves a deadline, but never nearer; one that never comes stays so.
func later(deadline, at time.Duration) time.Duration {
	if deadline == never {
		return never
	}
	return max(deadline, at)
}
