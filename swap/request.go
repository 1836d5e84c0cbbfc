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
	successor *generation // nil while there is no room for it
}

func (m *Machine) request(e Event) {
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
	if r.Command != nil {
		// The newest command wins. Who asked for another one must not be
		// told that it runs.
		m.queue = slices.DeleteFunc(m.queue, func(q Request) bool {
			if q.Command == nil || slices.Equal(q.Command, r.Command) {
				return false
			}
			m.answer(q, "superseded by a later request for another command")
			return true
		})
	}
	m.queue = append(m.queue, r)
	if r.ID != 0 {
		m.emit(Effect{Op: OpProgress, ID: r.ID, Generation: m.last + 1, Stage: StageQueued})
	}
}

// begin starts a swap for requests that were all made before this moment.
func (m *Machine) begin(requests []Request) {
	m.run = &run{requests: requests, timeout: m.cfg.ReadyTimeout, canary: m.cfg.Canary}
	for _, r := range requests {
		if r.Command != nil {
			m.run.command = r.Command
		}
		if r.Timeout > 0 {
			m.run.timeout = r.Timeout
		}
		if r.Canary != nil {
			m.run.canary = r.Canary
		}
	}
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
	if m.run == nil || m.run.successor != nil || m.phase != Running {
		return
	}
	if slices.ContainsFunc(m.gens, func(g *generation) bool { return g.failed && g.state == Stopping }) {
		return // its own deadlines end it
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
	m.emit(Effect{Op: OpStart, Generation: g.number, Command: g.command, Canary: len(m.run.canary) > 0})
	if m.active.ended {
		m.emit(Effect{Op: OpAim, Generation: g.number, Share: Full}) // connections wait for it
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
	m.emit(Effect{Op: OpSwapped, Generation: number, OK: reason == "", Reason: reason, Command: r.command})
	if old != nil && old.state == Draining && !old.kept {
		old.witnesses, old.successor = r.requests, number
	} else {
		m.answerAll(r.requests, number, reason)
	}
	if m.active.ended {
		// The active generation died in mid-swap and the successor, its only
		// hope, failed too.
		m.finish()
		return
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
			m.emit(Effect{Op: OpReply, ID: q.ID, Generation: generation, OK: reason == "", Reason: reason})
		}
	}
}

func (m *Machine) answer(r Request, reason string) {
	if r.ID != 0 {
		m.emit(Effect{Op: OpReply, ID: r.ID, Reason: reason})
	}
}

const stopping = "the container is stopping"

func (m *Machine) refuse(e Event) { m.answer(e.Request, stopping) }

// progress tells everybody who waits for the swap to g how far it is.
func (m *Machine) progress(g *generation, s Stage, detail string) { m.progressOther(g, s, detail, 0) }

func (m *Machine) progressOther(g *generation, s Stage, detail string, other int) {
	e := Effect{Op: OpProgress, Generation: g.number, Other: other, Stage: s, Reason: detail}
	m.emit(e)
	if m.run != nil && m.run.successor == g {
		m.report(m.run.requests, e)
	}
}

// report tells a stage to those who asked for the swap.
func (m *Machine) report(requests []Request, e Effect) {
	for _, r := range requests {
		if r.ID != 0 {
			e.ID = r.ID
			m.emit(e)
		}
	}
}

func (m *Machine) tellWitnesses(g *generation, s Stage, detail string) {
	m.report(g.witnesses, Effect{Op: OpProgress, Generation: g.successor, Other: g.number, Stage: s, Reason: detail})
}

func (m *Machine) answerWitnesses(g *generation) {
	requests, reason := g.witnesses, ""
	g.witnesses = nil
	if g.state == Active {
		reason = fmt.Sprintf("generation %d was lost after the cut-over, generation %d has the traffic again", g.successor, g.number)
	}
	m.answerAll(requests, g.successor, reason)
}
