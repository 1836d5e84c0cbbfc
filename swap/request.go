package swap

import (
	"fmt"
	"slices"
	"time"
)

// run is one swap, from its request to its result.
type run struct {
	requests  []Request
	command   []string
	timeout   time.Duration
	canary    []Canary
	strategy  Strategy
	again     bool
	force     bool
	preparing bool // what comes before it is not done yet
	rolled    int  // so many workers of the predecessor were told to stop
	asks      []ask
	successor *generation // nil while there is no room for it
}

func (m *Machine) request(e *ContainerEvent) {
	r := e.Request
	if m.run == nil {
		m.begin([]Request{r})
		return
	}
	// One swap follows the one that runs, however many ask for it.
	if len(m.queue) >= maxWaiting {
		m.answer(r, "too many requests for a swap are waiting")
		return
	}
	m.queued = true
	if r.ID == 0 && r.Command == nil && r.Canary == nil {
		return // a signal: nobody to answer
	}
	if r.Command != nil || r.Again {
		// The newest command wins. Who asked for another one must not be
		// told that it runs.
		m.queue = slices.DeleteFunc(m.queue, func(q Request) bool {
			if q.Command == nil && !q.Again || q.Again == r.Again && slices.Equal(q.Command, r.Command) {
				return false
			}
			m.answer(q, "superseded by a later request for another command")
			return true
		})
	}
	m.queue = append(m.queue, r)
	if r.ID != 0 {
		m.emit(&Progress{ID: r.ID, Generation: m.last + 1, Stage: StageQueued})
	}
}

// begin starts a swap for requests that were all made before this moment.
func (m *Machine) begin(requests []Request) {
	m.run = &run{requests: requests, timeout: m.cfg.ReadyTimeout, canary: m.cfg.Canary, strategy: m.cfg.Strategy}
	for _, r := range requests {
		if r.Command != nil || r.Again {
			m.run.command, m.run.again = r.Command, r.Again
		}
		if r.Strategy != Default {
			m.run.strategy = r.Strategy
		}
		if r.Force {
			m.run.strategy, m.run.force = Replace, true
		}
		if r.Timeout > 0 {
			m.run.timeout = r.Timeout
		}
		if r.Canary != nil {
			m.run.canary = r.Canary
		}
	}
	if m.run.strategy != Overlap || m.cfg.Batch < m.cfg.Workers {
		m.run.canary = nil // there is nobody to share with, or the workers share by their number
	}
	if m.cfg.Prepare {
		m.run.preparing = true
		m.report(requests, Progress{Generation: m.last + 1, Stage: StageHook})
		m.emit(&Prepare{Generation: m.last + 1})
		return
	}
	m.proceed()
}

// prepared is the end of what comes before a swap.
func (m *Machine) prepared(e *ContainerEvent) {
	if m.run == nil || !m.run.preparing {
		return
	}
	m.run.preparing = false
	if e.Reason != "" {
		m.endRun(nil, e.Reason, nil)
		return
	}
	if e.Command != nil {
		m.run.command, m.run.again = e.Command, false
	}
	m.proceed()
}

func (m *Machine) proceed() {
	m.roomBy = m.now + roomTimeout
	if m.run.timeout > 0 {
		m.roomBy = m.now + m.run.timeout
	}
	m.makeRoom()
}

// makeRoom starts the run's successor once fewer than MaxGenerations live and
// no failed successor is still ending (it may hold what the next one needs, a
// port or a lock). The oldest predecessor on its way out makes room.
func (m *Machine) makeRoom() {
	if m.phase != Running || m.giving != nil {
		return
	}
	if slices.ContainsFunc(m.gens, func(g *generation) bool { return g.blocks }) {
		return // its own deadlines end it
	}
	if m.anew {
		if m.active.state != Gone {
			return // forget calls again
		}
		m.startAnew()
	}
	if m.run == nil || m.run.successor != nil || m.run.preparing {
		return
	}
	if m.run.strategy == Replace {
		if !m.active.cleared && !m.active.ended {
			m.clear("its successor takes its place")
		}
		if m.active.state != Gone {
			return // forget calls again
		}
	}
	if len(m.gens) >= m.cfg.MaxGenerations {
		for _, g := range m.gens {
			if g != m.active || g.ended {
				if !g.killed {
					m.kill(g, "too many generations live")
				}
				return
			}
		}
	}
	m.roomBy = never
	g := m.newGeneration(m.run.command)
	g.timeout = m.run.timeout
	if g.timeout > 0 {
		g.readyBy = m.now + g.timeout
	}
	m.run.successor = g
	e := Start{Command: g.command, Canary: len(m.run.canary) > 0}
	if m.run.again {
		e.Like = m.active.number
	}
	switch {
	case len(m.run.canary) > 0 || m.cfg.Keep > 0 && m.run.strategy == Overlap && !m.active.ended:
		e.Sockets = OwnSockets
	case m.run.strategy == Handover && !m.active.ended:
		e.Sockets = SharedSockets
	}
	if m.run.strategy == Overlap && !m.active.ended {
		m.startBatch(g, e)
	} else {
		m.startAll(g, e)
	}
	if m.active.ended {
		m.emit(&Aim{Generation: g.number, Share: Full}) // connections wait for it
	}
}

// endRun answers everybody who asked for the swap that has just ended, and
// begins the next one if that was asked for meanwhile. g is the successor, nil
// if there was no room for one; a reason means failure. Where the predecessor
// old, nil for none, has to look at its connections first, the answers wait for
// that: whether it could be told to stop belongs to the account of a swap.
func (m *Machine) endRun(g *generation, reason string, old *generation) {
	r := m.run
	if r == nil {
		return
	}
	m.run, m.roomBy = nil, never
	number := 0
	if g != nil {
		number = g.number
	}
	m.emit(&Swapped{Generation: number, Reason: reason, Command: r.command})
	if old != nil && old.state == Draining && !old.kept {
		old.witnesses, old.successor = r.requests, number
	} else {
		m.answerAll(r.requests, number, reason)
	}
	m.releaseBy = never
	switch {
	case m.active == g:
	case m.active.cleared && m.phase == Running:
		// It ends for a swap only.
		m.anew = true
		m.makeRoom()
	case m.active.ended:
		// The active generation died in mid-swap and the successor, its only
		// hope, failed too.
		m.finish()
		return
	}
	if reason != "" && g != nil {
		g.owes = r.asks
	}
	if m.queued && m.phase == Running {
		next := m.queue
		m.queue, m.queued = nil, false
		m.begin(next)
	}
}

func (m *Machine) answerAll(requests []Request, generation int, reason string) {
	for _, q := range requests {
		if q.ID != 0 {
			m.emit(&Reply{ID: q.ID, Generation: generation, Reason: reason})
		}
	}
}

func (m *Machine) answer(r Request, reason string) {
	if r.ID != 0 {
		m.emit(&Reply{ID: r.ID, Reason: reason})
	}
}

const stopping = "the container is stopping"

func (m *Machine) refuse(e *ContainerEvent) { m.answer(e.Request, stopping) }

// progress tells everybody who waits for the swap to g how far it is.
func (m *Machine) progress(g *generation, s Stage, detail string) { m.progressOther(g, s, detail, 0) }

func (m *Machine) progressOther(g *generation, s Stage, detail string, other int) {
	e := Progress{Generation: g.number, Other: other, Share: g.share, Stage: s, Detail: detail}
	m.emit(&e)
	if m.run != nil && m.run.successor == g {
		m.report(m.run.requests, e)
	}
}

// report tells a stage to those who asked for the swap.
func (m *Machine) report(requests []Request, e Progress) {
	for _, r := range requests {
		if r.ID != 0 {
			e := e
			e.ID = r.ID
			m.emit(&e)
		}
	}
}

func (m *Machine) tellWitnesses(g *generation, s Stage, detail string) {
	m.report(g.witnesses, Progress{Generation: g.successor, Other: g.number, Stage: s, Detail: detail})
}

func (m *Machine) answerWitnesses(g *generation) {
	requests, reason := g.witnesses, ""
	g.witnesses = nil
	if g.state == Active {
		reason = fmt.Sprintf("generation %d was lost after the cut-over, generation %d has the traffic again", g.successor, g.number)
	}
	m.answerAll(requests, g.successor, reason)
}
