package swap

import (
	"fmt"
	"time"
)

// Workers that are replaced some at a time, and the two strategies in which a
// predecessor ends before its successor has proved itself.

func (m *Machine) startAll(g *generation, e Start) {
	for k := range g.workers {
		m.start(g, k, e)
	}
}

// startBatch starts the next workers of a successor.
func (m *Machine) startBatch(g *generation, e Start) {
	first := g.begun()
	for k := first; k < min(first+m.cfg.Batch, len(g.workers)); k++ {
		m.start(g, k, e)
	}
}

// rolling: some workers of the active generation have been replaced.
func (m *Machine) rolling() bool { return m.run != nil && m.run.rolled > 0 }

// roll tells as many workers of the predecessor to stop as the successor has
// ready ones. When they are gone the next batch begins.
func (m *Machine) roll(g *generation) {
	old, n := m.active, g.begun()
	g.settled = false
	g.readyBy = never
	g.share = Full * n / len(g.workers)
	m.emit(&Aim{Generation: g.number, Rest: old.number, Share: g.share})
	m.progress(g, StageBatch, fmt.Sprintf("%d of %d workers", n, len(g.workers)))
	for k := m.run.rolled; k < n; k++ {
		w := &old.workers[k]
		w.told, w.wanted, w.startAt, w.pingBy = true, false, never, never
		if !w.alive {
			continue
		}
		m.emit(&SignalWorker{Generation: old.number, Worker: k, Signal: m.cfg.RetireSignal})
		if m.cfg.RetireTimeout > 0 {
			w.killAt = m.now + m.cfg.RetireTimeout
		}
	}
	m.run.rolled = n
	if old.living() == 0 {
		// All that was left of it waited to be started again, and will not be.
		old.ended = true
		m.ended(old)
		return
	}
	m.nextBatch()
}

// nextBatch starts the next workers once the replaced ones are gone.
func (m *Machine) nextBatch() {
	s := m.successor()
	if !m.rolling() || s == nil || s.begun() > m.run.rolled {
		return
	}
	for k := range m.run.rolled {
		if m.active.workers[k].alive {
			return
		}
	}
	if m.run.timeout > 0 {
		s.readyBy = m.now + m.run.timeout
	}
	m.startBatch(s, Start{})
}

// settleBatch: a further batch is ready and has to settle like the first.
func (m *Machine) settleBatch(g *generation) {
	if m.rolling() {
		g.readyBy = never
		g.settleAt = m.now + m.cfg.Settle
	}
}

// unroll is the failure of a successor that has replaced workers already: they
// are started again, and until they are ready what is ready of it serves on.
func (m *Machine) unroll(g *generation, reason string) {
	if g.serves() {
		share := g.share
		g.share = 0 // the traffic goes back later
		m.giveUp(g, reason)
		g.share = share
	} else {
		m.giveUp(g, reason)
	}
	m.giving = g
	m.giveTime()
	m.transition(g, Draining, reason)
	for k := range m.run.rolled {
		if w := &m.active.workers[k]; w.alive {
			w.wanted = true
		} else {
			m.start(m.active, k, Start{})
		}
	}
	m.endRun(g, reason, nil)
	if g.ended {
		m.giveBack()
	}
}

// giveTime bounds the wait for the active generation's workers.
func (m *Machine) giveTime() {
	if m.giving == nil {
		return
	}
	m.givingBy = m.now + roomTimeout
	if m.cfg.ReadyTimeout > 0 {
		m.givingBy = m.now + m.cfg.ReadyTimeout
	}
}

// restored: the active generation is whole.
func (m *Machine) restored() {
	if m.giving != nil {
		m.giveBack()
	}
}

// giveBack lets a failed successor go, whose work the active generation does
// again.
func (m *Machine) giveBack() {
	g := m.giving
	m.giving, m.givingBy = nil, never
	if g.share > 0 && !m.active.ended {
		m.emit(&Aim{Generation: m.active.number, Rest: g.number, Share: Full})
	}
	g.share = 0
	switch {
	case g.ended:
		m.sweep(g, g.status.String())
	case !g.told:
		m.drain(g, "it has failed, and its predecessor serves")
	}
	m.makeRoom()
}

// clear ends the active generation for the successor's sake.
func (m *Machine) clear(cause string) {
	old := m.active
	old.cleared = true
	m.roomBy = never     // it has its retire timeout
	number := m.last + 1 // the successor's, which is yet to be started
	if s := m.successor(); s != nil {
		number = s.number
	}
	e := Progress{Generation: number, Other: old.number, Stage: StageStopping, Detail: cause}
	m.emit(&e)
	m.report(m.run.requests, e)
	if m.run.force {
		m.kill(old, cause)
		return
	}
	m.dismiss(old, cause)
}

// startAnew starts the command of an active generation that had ended for a swap
// that failed. Connections have waited.
func (m *Machine) startAnew() {
	m.anew = false
	old := m.active
	g := m.newGeneration(old.command)
	g.state = Active
	m.active = g
	m.startAll(g, Start{Command: g.command, Like: old.number})
	m.emit(&Aim{Generation: g.number, Share: Full})
	m.progress(g, StageBack, "started anew")
}

// ask is a resource that a successor could serve.
type ask struct {
	resource string
	worker   int
	free     bool
	by       time.Duration // the predecessor's time to release it
}

const maxAsks = 1024 // of one swap, whoever is behind them

func (m *Machine) join(g *generation, _ *GenerationEvent) { g.joined = true }

// readyFor lets a generation have a resource, or asks its predecessor for it.
func (m *Machine) readyFor(g *generation, e *GenerationEvent) {
	old := m.active
	if m.successor() != g || m.run.strategy != Handover || old.ended {
		m.emit(&Go{Generation: g.number, Worker: e.Worker, Resource: e.Resource})
		return
	}
	asked := false
	for _, a := range m.run.asks {
		if a.resource != e.Resource {
			continue
		}
		asked = true
		if a.free {
			m.emit(&Go{Generation: g.number, Worker: e.Worker, Resource: e.Resource})
			return
		}
	}
	if len(m.run.asks) >= maxAsks {
		m.fail(g, "it is ready for more than 1024 resources")
		return
	}
	m.run.asks = append(m.run.asks, ask{resource: e.Resource, worker: e.Worker, by: m.now + takedown})
	switch {
	case asked || old.told:
	case !old.joined:
		m.takeDown("its successor is ready for " + e.Resource + ", and it is not on the channel")
	default:
		m.progressOther(g, StageTakedown, e.Resource, old.number)
		m.emit(&Takedown{Generation: old.number, Resource: e.Resource})
		m.releaseBy = min(m.releaseBy, m.now+takedown)
	}
}

// takeDown ends the predecessor in a handover.
func (m *Machine) takeDown(cause string) {
	m.releaseBy = never
	if m.run != nil && !m.active.told && !m.active.ended {
		m.clear(cause)
	}
}

func (m *Machine) released(g *generation, e *GenerationEvent) {
	if g != m.active || m.run == nil || m.run.strategy != Handover {
		return
	}
	m.releaseBy = never
	for k := range m.run.asks {
		a := &m.run.asks[k]
		if a.resource == e.Resource {
			m.free(m.run.successor, a)
		}
		if !a.free && !g.told {
			m.releaseBy = min(m.releaseBy, a.by)
		}
	}
}

func (m *Machine) free(g *generation, a *ask) {
	if a.free {
		return
	}
	a.free = true
	m.progress(g, StageGo, a.resource)
	m.emit(&Go{Generation: g.number, Worker: a.worker, Resource: a.resource})
}

// goAll lets a successor have everything: its predecessor has ended.
func (m *Machine) goAll(g *generation) {
	m.releaseBy = never
	for k := range m.run.asks {
		m.free(g, &m.run.asks[k])
	}
}

// goBack gives a predecessor that lives on what it has released for a successor
// that has failed and is gone; before, that may still have held it.
func (m *Machine) goBack(asks []ask) {
	if m.active.ended || m.active.told {
		return
	}
	for _, a := range asks {
		if a.free {
			m.emit(&Go{Generation: m.active.number, Worker: EveryWorker, Resource: a.resource})
		}
	}
}
