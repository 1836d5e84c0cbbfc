package swap

import "slices"

// The way of a swap from its request to the start of its successor.

// request begins a swap.
func (m *Machine) request(e *raised) { m.begin([]Request{*e.request}) }

// beginQueued begins the swap that was asked for while another one ran.
func (m *Machine) beginQueued(*raised) {
	next := m.queue
	m.queue, m.queued = nil, false
	m.begin(next)
}

// begin starts a swap for requests that were all made before this moment.
func (m *Machine) begin(requests []Request) {
	r := rollout{by: never, requests: requests, timeout: m.cfg.ReadyTimeout, stages: m.cfg.Canary, strategy: &strategies[m.cfg.Strategy]}
	for _, q := range requests {
		if q.Command != nil || q.Again {
			r.command, r.like = q.Command, q.Again
		}
		if q.Strategy != Default {
			r.strategy = &strategies[q.Strategy]
		}
		if q.Force {
			r.strategy, r.force = &strategies[Replace], true
		}
		if q.Timeout > 0 {
			r.timeout = q.Timeout
		}
		if q.Canary != nil {
			r.stages = q.Canary
		}
		if q.CanaryBy != "" {
			r.canaryBy = q.CanaryBy
		}
	}
	if m.isForeign() {
		// Its predecessor is no one's here to stop, and shares no socket with it.
		r.strategy, r.force = &strategies[Overlap], false
		r.newcomer, m.newcomer = m.newcomer, false
	} else if !r.strategy.gradual || m.cfg.Batch < m.cfg.Workers {
		r.stages, r.canaryBy = nil, "" // there is nobody to share with, or the workers share by their number
	}
	m.rollout = r
	switch {
	case r.newcomer:
		m.waitForRoom()
	case m.cfg.Membership != Alone && !m.isForeign():
		m.askGate(0, "a swap was asked for", m.prepare)
	default:
		m.prepare()
	}
}

// prepare does what comes before a swap.
func (m *Machine) prepare() {
	requests := m.rollout.requests
	if !m.cfg.Prepare {
		m.waitForRoom()
		return
	}
	m.enter(preparing, m.after(m.cfg.PrepareTimeout), "a swap was asked for")
	e := Progress{Generation: m.last + 1, Stage: StageHook}
	m.emit(&e)
	m.report(requests, e)
	m.swaps++
	m.emit(&Prepare{Swap: m.swaps, Generation: m.last + 1})
}

// prepared is the end of what comes before a swap.
func (m *Machine) prepared(e *raised) {
	if e.reason != "" {
		m.failEarly(e.reason)
		return
	}
	if e.command != nil {
		m.rollout.command, m.rollout.like = e.command, false
	}
	m.waitForRoom()
}

func (m *Machine) prepareDue(*raised) {
	m.failEarly("the pre-swap hook has not come back within " + seconds(m.cfg.PrepareTimeout))
}

func (m *Machine) waitForRoom() {
	m.enter(waitingRoom, m.timeToReady(m.rollout.timeout), "its successor is to be started")
	m.makeRoom(nil)
}

func (m *Machine) roomDue(*raised) {
	m.failEarly("no room for a successor: the generations that were told to stop do not end")
}

// makeRoom starts the successor once fewer than MaxGenerations live and no failed
// successor is still ending. The oldest predecessor on its way out makes room.
func (m *Machine) makeRoom(*raised) {
	r := &m.rollout
	if m.ending() {
		return
	}
	if r.strategy.stopFirst {
		if m.active.state == Active {
			m.dismiss("its successor takes its place")
		}
		if m.active.survived() {
			m.failEarly("its predecessor does not end, not even by KILL")
		}
		if m.active.state != Gone {
			return
		}
	}
	if len(m.gens) >= m.cfg.MaxGenerations {
		r.by = min(r.by, m.timeToReady(r.timeout)) // where it was the predecessor's end that was waited for
		// The active one only if it is dead, and its successor the only hope.
		k := slices.IndexFunc(m.gens, func(g *generation) bool { return g != m.active || g.dead() })
		if g := m.gens[k]; g.dead() && g.state != KilledLeftovers {
			m.killLeftovers(g, "too many generations live")
		} else if g.state < Killing {
			m.kill(g, "too many generations live")
		}
		return
	}
	m.rise()
}

// rise starts the successor.
func (m *Machine) rise() {
	r, alone := &m.rollout, m.active.dead()
	m.enter(rising, never, "there is room for a successor")
	g := m.newGeneration(Starting, m.after(r.timeout), r.command)
	r.successor = g
	first := Start{Command: g.command, Canary: len(r.stages) > 0, CanaryBy: r.canaryBy}
	if r.like && !m.isForeign() {
		first.Like = m.active.number
	}
	switch {
	case len(r.stages) > 0 || m.cfg.Keep > 0 && r.strategy.gradual && !alone:
		first.Sockets = OwnSockets
	case !alone:
		first.Sockets = r.strategy.sockets
	}
	batch := len(g.workers)
	if r.strategy.gradual && !alone && !m.isForeign() {
		batch = m.cfg.Batch
	}
	m.startNext(g, batch, first)
	if alone {
		m.emit(&Aim{Generation: g.number, Share: Full}) // connections wait for it
	}
}
