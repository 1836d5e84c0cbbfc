package swap

import (
	"math"
	"time"
)

// Phase is where the container as a whole stands.
type Phase uint8

const (
	Running      Phase = iota
	Delaying           // told to stop; the stop delay runs
	StopDraining       // it waits for the connections
	StoppingAll        // every generation has got the stop signal
	Finishing          // the active generation has ended; others that were told to stop have their time
	Sweeping           // what is left of the container has got TERM
	KillingAll         // what is left has got KILL
	Over               // Exit has been given
	numPhases
)

// never is the deadline that does not come.
const never = time.Duration(math.MaxInt64)

// Machine decides. It is not safe for concurrent use: one loop owns it.
type Machine struct {
	cfg      Config
	now      time.Duration
	phase    Phase
	by       time.Duration // the phase's deadline
	gens     []*generation // not gone, oldest first
	last     int           // number of the newest generation
	swaps    int           // number of the newest swap that was prepared
	newcomer bool          // the next rollout is the first start of a container that has joined a gate
	active   *generation   // serves, or was the last that did
	foreign  *generation   // active while another container has the traffic, see joined.go
	gate     gate
	rollout  rollout   // the swap that runs
	queue    []Request // asked for since it began
	queued   bool      // a swap is to follow; the queue may be empty (signals wait for no answer)
	status   Status    // of the active generation, once it has ended for good
	raised   []*raised // what the rollout has still to hear
	effects  []Effect
}

// emit gives out an effect.
func (m *Machine) emit(e Effect) { m.effects = append(m.effects, e) }

// in is the deadline that comes d from now. What is too far away is not never, which
// would say that there is no deadline.
func (m *Machine) in(d time.Duration) time.Duration { return later(m.now, d) }

func later(at, d time.Duration) time.Duration { return at + min(d, never-1-at) }

// after is the same for a setting of which 0 means no limit.
func (m *Machine) after(d time.Duration) time.Duration {
	if d <= 0 {
		return never
	}
	return m.in(d)
}

func seconds(d time.Duration) string { return d.Round(time.Millisecond).String() }

// raise tells the rollout what has become of a generation, once the handler that
// noticed it is done.
func (m *Machine) raise(e *raised) { m.raised = append(m.raised, e) }

func (m *Machine) find(number int) *generation {
	for _, g := range m.gens {
		if g.number == number {
			return g
		}
	}
	return nil
}

// What is told of a swap: to the log, and to those who asked for it.

// progress tells how far the swap to g is.
func (m *Machine) progress(g *generation, s Stage, detail string) { m.progressOther(g, s, detail, 0) }

func (m *Machine) progressOther(g *generation, s Stage, detail string, other int) {
	e := Progress{Generation: g.number, Other: other, Stage: s, Detail: detail}
	if g == m.rollout.successor {
		e.Share = m.rollout.share
	}
	m.emit(&e)
	if g == m.rollout.successor {
		m.report(m.rollout.requests, e)
	}
}

// report tells a stage to those who asked for the swap.
func (m *Machine) report(requests []Request, e Progress) {
	for _, r := range requests {
		if r.ID != 0 {
			mine := e
			mine.ID = r.ID
			m.emit(&mine)
		}
	}
}

const stopping = "the container is stopping"

// answer answers one request: done if there is no reason against it.
func (m *Machine) answer(r Request, generation int, reason string) {
	if r.ID != 0 {
		m.emit(&Reply{ID: r.ID, Generation: generation, Reason: reason})
	}
}

func (m *Machine) answerAll(requests []Request, generation int, reason string) {
	for _, r := range requests {
		m.answer(r, generation, reason)
	}
}
