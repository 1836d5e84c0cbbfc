package swap

import "github.com/swapinit/swapinit/internal/text"

// What the events of a generation do to it. What they mean for the swap that runs is
// raised, and decided by the rollout.

func (m *Machine) started(g *generation, e *GenerationEvent) { g.ran = true }

func (m *Machine) successorStarted(g *generation, e *GenerationEvent) {
	g.ran = true
	if e.Worker == 0 {
		m.progress(g, StageStarted, "")
	}
}

func (m *Machine) becameReady(g *generation, e *GenerationEvent) {
	w := g.worker(e.Worker)
	if w == nil || w.state != booting {
		return
	}
	w.enter(serving, never)
	w.unready = 0
	m.watch(w)
	if g.whole() {
		g.ready = true
		m.raise(&raised{kind: risen, g: g})
	}
}

func (m *Machine) noted(g *generation, e *GenerationEvent) { g.note = e.Reason }

func (m *Machine) join(g *generation, _ *GenerationEvent) { g.joined = true }

// doomed is for events that say all about a successor by their reason.
func (m *Machine) doomed(g *generation, e *GenerationEvent) { m.failed(g, e.Reason) }

// failed raises that g did not make it. It may have accepted connections: it is asked
// to stop like any other, but it does not get as long as a predecessor that served.
func (m *Machine) failed(g *generation, reason string) {
	m.raise(&raised{kind: failing, g: g, reason: reason, signal: m.cfg.RetireSignal, grace: m.cfg.LeftoverTimeout})
}

func (m *Machine) startingExpired(g *generation, _ *GenerationEvent) {
	g.by = never
	m.raise(&raised{kind: late, g: g})
}

func (m *Machine) verified(g *generation, _ *GenerationEvent) {
	if g.by != never {
		g.by = never
		m.raise(&raised{kind: proved, g: g})
	}
}

func (m *Machine) settlingExpired(g *generation, _ *GenerationEvent) {
	late := g.by <= m.now // both may have passed at once, after a suspend
	if g.settleAt <= m.now {
		g.settleAt = never
		m.raise(&raised{kind: settled, g: g})
		if !late {
			m.raise(&raised{kind: proved, g: g})
		}
	}
	if late {
		g.by = never
		m.failed(g, "could not find out within "+seconds(verifyGrace)+" whether it holds the endpoints")
	}
}

// successorExited: one worker of a successor that ends is enough.
func (m *Machine) successorExited(g *generation, e *GenerationEvent) {
	was, ok := m.bury(g, e)
	if !ok {
		return
	}
	reason := g.describe(e)
	switch {
	case e.Kind == StartFailed:
	case was == serving && m.rollout.state == inCanary:
		reason += " in its canary"
	case was == serving:
		reason += " while it settled" + m.cfg.SettleHint
	case g.note != "":
		reason += " before it was ready: " + g.note
	default:
		reason += " before it was ready"
	}
	m.failed(g, reason)
}

// servingExited: a worker of a generation that serves, or is kept for that, ends.
func (m *Machine) servingExited(g *generation, e *GenerationEvent) {
	was, ok := m.bury(g, e)
	switch {
	case !ok:
	case was == recalled && m.phase == Running:
		m.start(g, e.Worker, Start{})
		m.raise(&raised{kind: restarted, g: g})
	case was != leaving && m.respawns(g, e.Status):
		if !m.respawn(g, e.Worker, g.describe(e)) {
			m.end(g)
		}
	case g.living() == 0:
		m.end(g)
	case was == leaving:
		m.raise(&raised{kind: workerGone, g: g})
	}
}

// leavingExited: a worker of a generation that is on its way out ends.
func (m *Machine) leavingExited(g *generation, e *GenerationEvent) {
	if _, ok := m.bury(g, e); ok && g.living() == 0 {
		m.end(g)
	}
}

func (m *Machine) leftoverExited(g *generation, e *GenerationEvent) { m.bury(g, e) }

// describe tells how a worker has ended.
func (g *generation) describe(e *GenerationEvent) string {
	switch {
	case e.Kind == StartFailed:
		return e.Reason
	case len(g.workers) > 1:
		return text.Sprintf("worker %d %s", e.Worker, e.Status)
	}
	return e.Status.String()
}

func (m *Machine) keepExpired(g *generation, _ *GenerationEvent) {
	m.drain(g, "it is not kept any longer")
}

func (m *Machine) drained(g *generation, e *GenerationEvent) { m.retire(g, e.Reason) }

// busy is said of a predecessor that has to wait. Whoever asked for the swap need
// not.
func (m *Machine) busy(g *generation, e *GenerationEvent) {
	m.tellAsked(g, StageDraining, e.Reason)
	m.answerAsked(g)
}

func (m *Machine) drainExpired(g *generation, _ *GenerationEvent) {
	m.retire(g, "its connections are not idle, but the drain's time is over")
}

const notInTime = "it has not ended in time"

func (m *Machine) stoppingExpired(g *generation, _ *GenerationEvent) { m.kill(g, notInTime) }

func (m *Machine) survived(g *generation, _ *GenerationEvent) {
	g.by = never
	m.raise(&raised{kind: survived, g: g})
}

func (m *Machine) leftoversExpired(g *generation, _ *GenerationEvent) { m.killLeftovers(g, notInTime) }

func (m *Machine) abandoned(g *generation, _ *GenerationEvent) {
	m.forget(g, "what is left of it survived KILL and is not waited for")
}

func (m *Machine) swept(g *generation, _ *GenerationEvent) {
	m.forget(g, "none of its processes is left")
}

// EXTEND_TIMEOUT_USEC: at least Duration from now, never less than it had.
// One message is worth an hour at most: a server that wants more asks again.
func (m *Machine) extend(g *generation, e *GenerationEvent) {
	g.by = max(g.by, m.in(min(e.Duration, maxExtend)))
}

func (m *Machine) readyFor(g *generation, e *GenerationEvent) {
	m.raise(&raised{kind: wants, g: g, worker: e.Worker, resource: e.Resource})
}

func (m *Machine) releasedResource(g *generation, e *GenerationEvent) {
	m.raise(&raised{kind: released, g: g, resource: e.Resource})
}

func (m *Machine) checkFailed(g *generation, e *GenerationEvent) {
	m.raise(&raised{kind: rejected, g: g, reason: e.Reason, signal: m.cfg.RetireSignal, grace: m.cfg.LeftoverTimeout})
}

// The watchdog begins with readiness (a slow boot is READY_TIMEOUT's business)
// and ends when a generation is told to stop.

func (m *Machine) ping(g *generation, e *GenerationEvent) {
	w := g.worker(e.Worker)
	if w == nil {
		return
	}
	if e.Duration != 0 {
		w.watchdog = max(0, e.Duration)
	}
	m.watch(w)
}

func (m *Machine) hung(g *generation, e *GenerationEvent) { m.abort(g, e.Worker) }

func (m *Machine) successorHung(g *generation, e *GenerationEvent) {
	if g.worker(e.Worker) != nil {
		m.raise(&raised{kind: failing, g: g, worker: e.Worker, reason: "missed its watchdog", signal: m.cfg.AbortSignal, grace: abortGrace})
	}
}

// expireWorkers deals with the deadlines of single workers.
func (m *Machine) expireWorkers(g *generation, happened func(*generation, *GenerationEvent)) {
	for k := range g.workers {
		w := &g.workers[k]
		switch {
		case w.by > m.now:
		case w.state == waiting:
			m.start(g, k, Start{})
		case w.state == serving:
			w.by = never
			happened(g, &GenerationEvent{Kind: Hung, Generation: g.number, Worker: k})
		case g.state == Stopping && g.count(func(w *worker) bool { return w.alive() && (w.state != aborted || w.by > m.now) }) == 0:
			m.kill(g, notInTime) // all that lives of it hangs; who survives that is given up in time
		default:
			m.killWorker(g, k)
		}
	}
}
