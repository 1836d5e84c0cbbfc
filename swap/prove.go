package swap

import "github.com/swapinit/swapinit/internal/text"

// The way of a successor from its start to the cut-over: it says that it is ready,
// proves it, and gets the traffic at once, in stages, or by batches of workers.

func (m *Machine) successorRisen(e *raised) {
	m.settle(e.g)
	if m.active.dead() && !m.rollout.dismissed {
		// Nobody serves. There is no one to protect from a bad successor.
		m.cutOver()
		return
	}
	m.emit(&Verify{Generation: e.g.number})
}

// batchRisen: a further batch is ready and has to settle like the first.
func (m *Machine) batchRisen(e *raised) {
	m.rollout.by = never
	e.g.settleAt = m.in(m.cfg.Settle)
}

func (m *Machine) successorSettled(e *raised) { m.progress(e.g, StageSettled, "") }

// proceed moves the traffic, or the next part of it, once the successor has proved
// itself.
func (m *Machine) proceed(*raised) {
	g, r := m.rollout.successor, &m.rollout
	switch {
	case !g.proven():
	case len(r.stages) > 0 && m.isForeign():
		m.askGate(r.stages[0].Share, "it has proved itself", m.stage)
	case len(r.stages) > 0:
		m.stage()
	case g.begun() < len(g.workers) && !m.active.dead():
		m.roll()
	default:
		m.takeAll("it has proved itself")
	}
}

// takeAll is the cut-over, which a gate is asked for where the predecessor is not ours.
func (m *Machine) takeAll(cause string) {
	if m.isForeign() {
		m.askGate(Full, cause, m.cutOver)
	} else {
		m.cutOver()
	}
}

// stage begins the next stage of a canary.
func (m *Machine) stage() {
	g, r := m.rollout.successor, &m.rollout
	next := r.stages[0]
	r.stages = r.stages[1:]
	m.enter(inCanary, m.in(next.For), "it has proved itself")
	m.aimShare(next.Share)
	m.progress(g, StageCanary, "for "+seconds(next.For))
}

func (m *Machine) aimShare(share int) {
	if m.rollout.share = share; m.isForeign() {
		return // the gate has done it
	}
	m.emit(&Aim{Generation: m.rollout.successor.number, Rest: m.active.number, Share: share})
}

// roll tells as many workers of the predecessor to stop as the successor has ready
// ones. When they are gone the next batch begins.
func (m *Machine) roll() {
	g, r, old := m.rollout.successor, &m.rollout, m.active
	n := g.begun()
	m.enter(rolling, never, "a batch of its workers has proved itself")
	m.aimShare(Full * n / len(g.workers))
	m.progress(g, StageBatch, text.Sprintf("%d of %d workers", n, len(g.workers)))
	for k := r.replaced; k < n; k++ {
		m.dismissWorker(old, k)
	}
	r.replaced = n
	if old.living() == 0 { // all that was left of it waited to be started again
		m.end(old)
		return
	}
	m.nextBatch(nil)
}

// nextBatch starts the next workers once the replaced ones are gone.
func (m *Machine) nextBatch(*raised) {
	g, r := m.rollout.successor, &m.rollout
	if g.begun() > r.replaced {
		return // they run already
	}
	for k := range r.replaced {
		if m.active.workers[k].alive() {
			return
		}
	}
	r.by = m.after(r.timeout)
	m.startNext(g, m.cfg.Batch, Start{})
}

// lateSuccessor is a successor that is not ready in time.
func (m *Machine) lateSuccessor(*raised) {
	g := m.rollout.successor
	reason := "not ready within " + seconds(m.rollout.timeout)
	if g.note != "" {
		reason += ": " + g.note
	}
	m.rollout.by = never
	m.failed(g, reason+m.cfg.ReadyHint)
}
