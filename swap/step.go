package swap

import (
	"slices"
	"time"
)

// New makes a machine whose first generation, started with command, is active
// from its start. The effects that start it come with the first Step.
func New(cfg Config, command []string) *Machine {
	cfg.Workers = max(cfg.Workers, 1)
	if cfg.Batch <= 0 || cfg.Batch > cfg.Workers {
		cfg.Batch = cfg.Workers
	}
	cfg.Strategy = max(cfg.Strategy, Overlap)
	m := &Machine{cfg: cfg, by: never, rollout: rollout{by: never}, foreign: &generation{state: Active, by: never, settleAt: never}}
	switch cfg.Membership {
	case JoinsAsNewest:
		m.active, m.newcomer = m.foreign, true
		m.begin(nil)
		return m
	case JoinsWithout:
		m.active = m.foreign
		return m
	}
	m.active = m.newGeneration(Active, never, command)
	m.startNext(m.active, cfg.Workers, Start{Command: command})
	if cfg.Membership == JoinsAsHolder {
		m.emit(&Aim{Generation: m.active.number, Share: Full}) // so that the gate knows which one it is
	}
	return m
}

// Step tells the machine what happened and when (time since it was made; it
// never goes back), and returns what is to be done about it.
func (m *Machine) Step(now time.Duration, e Event) []Effect {
	m.now = max(m.now, now)
	if m.phase != Over { // Exit was the last word
		switch e := e.(type) {
		case *GenerationEvent:
			// One that is gone has nothing to say.
			if g := m.find(e.Generation); g != nil {
				m.happened(g, e)
			}
		case *ContainerEvent:
			containerActions[m.phase][e.Kind](m, e)
		}
		m.hearAll()
		// Whatever the event was, deadlines that have passed meanwhile count: a
		// loop that is kept busy must not be able to starve them.
		m.expire()
	}
	out := m.effects
	m.effects = nil
	return out
}

// happened looks up what an event means in the generation's state.
func (m *Machine) happened(g *generation, e *GenerationEvent) {
	if m.phase < Sweeping { // else all are ended together, and nothing of a single one counts
		generationActions[g.state][e.Kind](m, g, e)
	}
}

// hearAll lets the rollout hear what was raised.
func (m *Machine) hearAll() {
	for len(m.raised) > 0 {
		e := m.raised[0]
		m.raised = m.raised[1:]
		m.hear(e)
	}
}

// hear looks up what is raised means in the rollout's state. It hears only of its
// predecessor, which is the active generation, and of its successor.
func (m *Machine) hear(e *raised) {
	if m.phase >= Sweeping {
		return
	}
	if m.phase == Finishing { // no swap runs, nor will again
		if m.sweepWhenAlone(); e.kind == ended && m.phase == Finishing {
			m.emit(&Sweep{Generation: e.g.number})
		}
		return
	}
	active, successor := e.g == m.active, e.g == m.rollout.successor
	heard := true
	switch e.kind {
	case risen:
		if active {
			e.kind = whole
		} else {
			heard = successor
		}
	case ended:
		if successor {
			e.kind = successorEnded
		}
		heard = active || successor
	case gone:
		m.giveBack(e.g)
	case settled, proved, late, failing, rejected:
		heard = successor
	case workerGone, restarted, released:
		heard = active
	}
	if heard {
		rolloutActions[m.rollout.state][e.kind](m, e)
	}
	switch e.kind {
	case ended, survived, gone:
		m.withoutServer()
	}
	if (e.kind == ended || e.kind == successorEnded) && m.phase < Sweeping {
		m.emit(&Sweep{Generation: e.g.number})
	}
}

// expire handles every deadline that has passed. Each handler clears or moves
// the deadline that it handles, so one pass over a snapshot is enough.
func (m *Machine) expire() {
	if m.rollout.by <= m.now {
		m.rollout.by = never
		m.raise(&raised{kind: due})
		m.hearAll()
	}
	for _, g := range slices.Clone(m.gens) {
		if m.phase >= Sweeping {
			break
		}
		m.expireWorkers(g, m.happened)
		m.hearAll()
		if min(g.by, g.settleAt) <= m.now && !m.standsStill(g) {
			m.happened(g, &GenerationEvent{Kind: Expired, Generation: g.number})
			m.hearAll()
		}
	}
	m.drainedForStop()
	m.hearAll()
	if m.by > m.now {
		return
	}
	switch m.phase {
	case Delaying:
		m.stopDrain()
		m.hearAll()
	case StopDraining:
		m.stopAll()
		m.hearAll()
	case Sweeping:
		m.phase, m.by = KillingAll, m.in(abandon)
		m.emit(&KillAll{})
	case KillingAll: // what survives KILL is not waited for
		m.exit()
	}
}

// Deadline is when Step wants to be called with a Tick at the latest; false if
// nothing is pending.
func (m *Machine) Deadline() (time.Duration, bool) {
	next := min(m.by, m.rollout.by)
	for _, g := range m.gens {
		if !m.standsStill(g) {
			next = min(next, g.by, g.settleAt)
		}
		for k := range g.workers {
			next = min(next, g.workers[k].by)
		}
	}
	return next, next != never && m.phase != Over
}

// Phase tells where the container stands.
func (m *Machine) Phase() Phase { return m.phase }

// Swapping reports whether a swap runs. One that has failed does not, although what it
// took may still have to be given back.
func (m *Machine) Swapping() bool { return m.rollout.state != noRollout && m.rollout.state < restoring }

// Active is the number of the generation that serves, or last did; 0 while another
// container has the traffic.
func (m *Machine) Active() int { return m.active.number }
