package swap

import (
	"time"

	"github.com/swapinit/swapinit/internal/text"
)

// newGeneration makes one that is to be started with command.
func (m *Machine) newGeneration(s State, by time.Duration, command []string) *generation {
	m.last++
	g := &generation{number: m.last, state: s, by: by, settleAt: never, since: m.now, command: command, workers: newWorkers(m.cfg.Workers, m.cfg.Watchdog)}
	m.gens = append(m.gens, g)
	return g
}

// transition is the only place where a generation's state changes. Leaving a state
// ends its deadline.
func (m *Machine) transition(g *generation, to State, cause string) {
	m.emit(&Transition{Generation: g.number, From: g.state.String(), To: to.String(), Cause: cause})
	from := g.state
	g.state, g.since, g.by, g.settleAt = to, m.now, never, never
	if g.watched {
		g.watched = false
		m.emit(&EndDrain{Generation: g.number})
	}
	if from == Draining {
		m.answerAsked(g)
	}
}

// answerAsked answers those who asked for the swap that took g out of service.
func (m *Machine) answerAsked(g *generation) {
	reason := ""
	if g.state == Active {
		reason = text.Sprintf("generation %d was lost after the cut-over, generation %d has the traffic again", g.successor, g.number)
	}
	m.answerAll(g.asked, g.successor, reason)
	g.asked = nil
}

// tellAsked tells them a stage of g's way out.
func (m *Machine) tellAsked(g *generation, s Stage, detail string) {
	m.progressOther(m.active, s, detail, g.number)
	m.report(g.asked, Progress{Generation: g.successor, Other: g.number, Stage: s, Detail: detail})
}

// The states, each with the one func that enters it. Starting is entered when a
// generation is made.

// settle begins the time in which a successor that says it is ready has to prove
// itself.
func (m *Machine) settle(g *generation) {
	m.transition(g, Settling, "it says that it is ready")
	m.progress(g, StageReady, "")
	g.settleAt = m.in(m.cfg.Settle)
	g.by = later(g.settleAt, verifyGrace)
}

// activate makes g the active generation, whose predecessor is 0 if that is dead.
func (m *Machine) activate(g *generation, cause string) {
	predecessor := 0
	if !m.active.dead() {
		predecessor = m.active.number
	}
	from := g.state
	m.transition(g, Active, cause)
	m.active = g
	m.stays()
	m.emit(&CutOver{Generation: g.number, Predecessor: predecessor, Back: from != Settling})
}

// keep takes g out of service, but leaves it warm; by is when that ends.
func (m *Machine) keep(g *generation, by time.Duration, cause string) {
	m.transition(g, Kept, cause)
	g.by = by
}

// drain takes g out of service and waits for its connections, if that is wanted.
func (m *Machine) drain(g *generation, cause string) {
	if !m.cfg.Drain {
		m.retire(g, cause)
		return
	}
	m.transition(g, Draining, cause)
	g.by = m.after(m.cfg.DrainTimeout)
	m.watchConnections(g)
}

func (m *Machine) watchConnections(g *generation) {
	g.watched = true
	m.emit(&Drain{Generation: g.number})
}

// retire tells a predecessor to stop.
func (m *Machine) retire(g *generation, cause string) {
	m.tellAsked(g, StageStopping, cause)
	m.tell(g, m.cfg.RetireSignal, m.after(m.cfg.RetireTimeout), cause)
}

// tell sends g the signal that ends it, 0 for none, and KILL at its deadline. What was
// to be started again is not.
func (m *Machine) tell(g *generation, sig Signal, by time.Duration, cause string) {
	m.transition(g, Stopping, cause)
	m.endWatch(g)
	if g.living() == 0 {
		m.end(g)
		return
	}
	g.by = by
	if sig != 0 {
		m.signal(g, sig, m.phase != Running)
	}
}

// endWatch: nobody of g is started again, and no watchdog watches it. The KILL of one
// that missed its ping stays.
func (m *Machine) endWatch(g *generation) {
	for k := range g.workers {
		switch w := &g.workers[k]; w.state {
		case waiting:
			w.enter(dead, never)
		case serving:
			w.by = never
		case recalled:
			w.state = leaving
		}
	}
}

// kill sends KILL to all of g; where the container ends to its main processes alone, as
// what they leave has not been told to stop yet.
func (m *Machine) kill(g *generation, cause string) {
	m.endWatch(g)
	if g.living() == 0 {
		m.killLeftovers(g, cause)
		return
	}
	m.transition(g, Killing, cause)
	g.clear()
	g.by = m.in(abandon)
	g.spared = m.phase != Running
	m.emit(&Kill{Generation: g.number, Main: g.spared, Reason: cause})
}

// end is for a generation none of whose workers lives, or will again: TERM for what
// they have left behind, or KILL where that was its turn already.
func (m *Machine) end(g *generation) {
	was := g.state
	if was == Killing && !g.spared {
		m.transition(g, KilledLeftovers, g.status.String())
		g.by = m.in(abandon)
	} else {
		m.transition(g, Leftovers, g.status.String())
		g.by = m.in(m.cfg.LeftoverTimeout)
	}
	for k := range g.workers { // of a crash loop some may live on: they are swept with the rest
		g.workers[k].by = never
	}
	// Whoever takes over gets the traffic before g's sockets are given up.
	m.raise(&raised{kind: ended, g: g})
}

// killLeftovers sends KILL to what is left of g.
func (m *Machine) killLeftovers(g *generation, cause string) {
	ends := !g.dead()
	m.transition(g, KilledLeftovers, cause)
	g.clear()
	g.by = m.in(abandon)
	m.emit(&Kill{Generation: g.number, Reason: cause})
	if ends {
		m.raise(&raised{kind: ended, g: g})
	}
}

// forget lets go of a generation.
func (m *Machine) forget(g *generation, cause string) {
	m.transition(g, Gone, cause)
	for i := range m.gens {
		if m.gens[i] == g {
			m.gens = append(m.gens[:i:i], m.gens[i+1:]...)
			break
		}
	}
	m.emit(&Forget{Generation: g.number})
	m.raise(&raised{kind: gone, g: g})
}
