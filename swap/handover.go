package swap

import "time"

// A handover: the successor says what it is ready for, and the predecessor is asked
// to release that, or told to stop. Resources are the servers' own affair, not
// swapinit's endpoints.

// ask is a resource that a successor could serve.
type ask struct {
	resource string
	worker   int
	free     bool
	by       time.Duration // the predecessor's time to release it
}

// letGo lets a generation have a resource that nobody stands in the way of.
func (m *Machine) letGo(e *raised) {
	m.emit(&Go{Generation: e.g.number, Worker: e.worker, Resource: e.resource})
}

// ask asks the predecessor to release what the successor is ready for.
func (m *Machine) ask(e *raised) {
	old, r := m.active, &m.rollout
	if e.g != r.successor || !r.strategy.asks || old.dead() {
		m.letGo(e)
		return
	}
	before := false
	for _, a := range r.asks {
		if a.resource == e.resource {
			before = true
			if a.free {
				m.letGo(e)
				return
			}
		}
	}
	if len(r.asks) >= maxAsks {
		m.failed(e.g, "it is ready for more than 1024 resources")
		return
	}
	r.asks = append(r.asks, ask{resource: e.resource, worker: e.worker, by: m.in(takedown)})
	if r.state != handingOver {
		m.enter(handingOver, never, "it is ready for "+e.resource)
	}
	switch {
	case before || old.state != Active:
	case !old.joined:
		m.dismiss("its successor is ready for " + e.resource + ", and it is not on the channel")
	default:
		m.progressOther(e.g, StageTakedown, e.resource, old.number)
		m.emit(&Takedown{Generation: old.number, Resource: e.resource})
		r.by = min(r.by, m.in(takedown))
	}
}

func (m *Machine) takedownDue(*raised) {
	m.dismiss("it has not released what its successor needs within " + seconds(takedown))
}

// release passes on a resource that the predecessor has released.
func (m *Machine) release(e *raised) {
	if e.g != m.active {
		return
	}
	r := &m.rollout
	r.by = never
	for k := range r.asks {
		a := &r.asks[k]
		if a.resource == e.resource {
			m.free(a)
		}
		if !a.free && e.g.state == Active {
			r.by = min(r.by, a.by)
		}
	}
	m.proceedHandover(nil)
}

// proceedHandover: a successor that has proved itself before it has all that it asked for
// (a server that says that it is ready, and listens when it may) waits for that.
func (m *Machine) proceedHandover(*raised) {
	for _, a := range m.rollout.asks {
		if !a.free {
			return
		}
	}
	m.proceed(nil)
}

func (m *Machine) free(a *ask) {
	if a.free {
		return
	}
	a.free = true
	m.progress(m.rollout.successor, StageGo, a.resource)
	m.emit(&Go{Generation: m.rollout.successor.number, Worker: a.worker, Resource: a.resource})
}

// freeAll lets the successor have everything: its predecessor has ended.
func (m *Machine) freeAll() {
	m.rollout.by = never
	for k := range m.rollout.asks {
		m.free(&m.rollout.asks[k])
	}
}

// survivedHandover: a predecessor that survives KILL is not waited for.
func (m *Machine) survivedHandover(e *raised) {
	if e.g == m.active {
		m.freeAll()
		m.proceed(nil)
	}
}

// giveBack gives a predecessor that lives on what it has released for a successor
// that has failed and is gone; before, that may still have held it.
func (m *Machine) giveBack(g *generation) {
	if m.active.state != Active || m.isForeign() {
		return
	}
	for _, resource := range g.borrowed {
		m.emit(&Go{Generation: m.active.number, Worker: EveryWorker, Resource: resource})
	}
}
