package swap

import (
	"slices"
	"time"

	"github.com/swapinit/swapinit/internal/text"
)

// rolloutState is where the swap that runs stands; see the drawing in doc.go.
type rolloutState uint8

const (
	noRollout        rolloutState = iota // no swap runs
	preparing                            // what comes before it is being done; deadline: the answer
	waitingRoom                          // for room, or for the end of a predecessor that goes first; deadline: given up
	asking                               // the gate is asked for the traffic, or for a turn; no deadline
	rising                               // the successor starts and proves itself; it has deadlines of its own
	inCanary                             // it has a share of the new connections; deadline: the next stage
	rolling                              // some of its workers have replaced others; deadline: the next ones are ready
	handingOver                          // the predecessor releases what the successor asks for; deadline: it is told to stop
	restoring                            // it has failed, and its predecessor's command is to be started again
	restoringWorkers                     // it has failed, and the workers that it replaced are started again; deadline: not waited for
	numRolloutStates
)

var rolloutStateNames = [numRolloutStates]string{"idle", "preparing", "waiting for room", "asking", "rising", "canary", "rolling", "handing over", "restoring", "restoring workers"}

func (s rolloutState) String() string { return rolloutStateNames[s] }

// rollout is one swap, from its request to its result. Its predecessor is the active
// generation.
type rollout struct {
	state      rolloutState
	by         time.Duration // the state's deadline
	since      time.Duration // when it was entered
	requests   []Request     // not answered yet
	promotions []Request     // the same
	command    []string
	like       bool // the command of the active generation, whatever the default is
	timeout    time.Duration
	stages     []Canary // still to come
	canaryBy   string
	strategy   *strategy
	force      bool
	successor  *generation // nil while there is no room for it
	newcomer   bool        // it is the first start of a container that has joined a gate
	turn       bool        // the gate was asked for something, and is to hear of its end
	superseded bool        // a newer container has the traffic
	dismissed  bool        // the predecessor was told to stop for the successor's sake
	replaced   int         // so many workers of the predecessor were told to stop
	share      int         // the successor's part of the new connections, of Full
	asks       []ask
}

// rolloutKind says what a rollout hears.
type rolloutKind uint8

const (
	requested      rolloutKind = iota // a swap is asked for; request
	hooked                            // what comes before it is done; reason, command
	back                              // the traffic is to go back; request
	cancelled                         // the swap that runs is to end; request
	promoted                          // a canary or a keep is to end well; request
	begins                            // the next swap may begin
	due                               // the rollout's deadline has passed
	risen                             // all workers of g that were asked for are ready
	settled                           // g has survived its settle time
	proved                            // g has settled, or was seen to hold the endpoints
	late                              // g is not ready in time
	failing                           // g did not make it; reason, signal, grace
	rejected                          // the check of g's canary has failed; the same
	workerGone                        // a worker of g that was told to stop has ended
	restarted                         // one that was told to is started again
	whole                             // all workers of g, the active generation, are ready
	ended                             // none of the workers of g, the active generation, lives, nor will again
	successorEnded                    // the same of g, the successor
	survived                          // g lives on after KILL, and is not waited for any longer
	gone                              // g is forgotten
	wants                             // worker of g is ready for resource
	released                          // g does not use resource any more
	granted                           // the gate gives what was asked for
	denied                            // it does not, or the turn is lost; reason, superseded
	lost                              // another container has the traffic; reason, back
	regained                          // this one is to take it back; reason
	called                            // nobody else serves; reason
	numRolloutKinds
)

// raised is an event for the rollout.
type raised struct {
	kind     rolloutKind
	g        *generation
	worker   int
	reason   string
	resource string
	signal   Signal        // what ends a failed g
	grace    time.Duration // and what it then gets until KILL
	request  *Request
	command  []string

	superseded, back bool
}

// enter changes the rollout's state; the deadline of the one before is over.
func (m *Machine) enter(s rolloutState, by time.Duration, cause string) {
	r := &m.rollout
	if r.state != s {
		m.emit(&Transition{From: r.state.String(), To: s.String(), Cause: cause})
	}
	r.state, r.by, r.since = s, by, m.now
}

// idle ends the rollout. If another swap was asked for meanwhile, it begins.
func (m *Machine) idle(cause string) {
	m.endTurn()
	m.enter(noRollout, never, cause)
	m.rollout = rollout{by: never}
	if m.queued && m.phase == Running {
		m.raise(&raised{kind: begins})
	}
}

// timeToReady bounds what has no bound of its own by that of readiness.
func (m *Machine) timeToReady(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		timeout = roomTimeout
	}
	return m.in(timeout)
}

// enqueue lets a request wait for the swap after the one that runs, however many
// ask for it.
func (m *Machine) enqueue(e *raised) {
	r := *e.request
	if len(m.queue) >= maxWaiting {
		m.answer(r, 0, "too many requests for a swap are waiting")
		return
	}
	m.queued = true
	if r.ID == 0 && r.Command == nil && r.Canary == nil {
		return // a signal: nobody to answer
	}
	if r.Command != nil || r.Again {
		// The newest command wins. Who asked for another one must not be
		// told that it runs.
		var rest []Request
		for _, q := range m.queue {
			if q.Command == nil && !q.Again || q.Again == r.Again && slices.Equal(q.Command, r.Command) {
				rest = append(rest, q)
			} else {
				m.answer(q, 0, "superseded by a later request for another command")
			}
		}
		m.queue = rest
	}
	m.queue = append(m.queue, r)
	if r.ID != 0 {
		m.emit(&Progress{ID: r.ID, Generation: m.last + 1, Stage: StageQueued})
	}
}

// The way to a cut-over, and back. All of it is told to whoever asked for the swap.

// cutOver makes the successor the active generation and sends its predecessor on its
// way out. The swap has succeeded.
func (m *Machine) cutOver() {
	old, g, first := m.active, m.rollout.successor, m.rollout.newcomer
	g.predecessor, g.cutOverAt = old.number, m.now
	m.activate(g, "cut-over")
	m.progress(g, StageCutOver, "")
	if m.phase == Running { // whose batch did not come: the predecessor has died
		m.startNext(g, len(g.workers), Start{})
	}
	if old == m.foreign {
		m.endKeeps()
	} else if old.state == Active {
		m.endKeeps()
		if keep := m.cfg.Keep; keep > 0 && m.rollout.strategy.gradual {
			m.keep(old, m.in(keep), "its successor is active")
			m.progressOther(g, StageKept, "for "+seconds(keep), old.number)
		} else {
			m.drain(old, "its successor is active")
		}
	}
	m.emit(&Swapped{Generation: g.number, Command: m.rollout.command, First: first})
	if old.state == Draining {
		old.asked, old.successor = m.rollout.requests, g.number
	} else {
		m.answerAll(m.rollout.requests, g.number, "")
	}
	m.answerAll(m.rollout.promotions, g.number, "")
	m.idle("done")
}

// fallback is the predecessor of the active generation, if the traffic can go back to it:
// it serves, was not told to stop, and nobody took the traffic from it. An older one that
// still drains is no release that anybody wants to see again. starting: it has to do that
// a worker is only to be started again.
func (m *Machine) fallback(starting bool) *generation {
	g := m.find(m.active.predecessor)
	if g == nil || g.state != Kept && g.state != Draining || g.standing != good || !starting && !g.canServe() {
		return nil
	}
	return g
}

// takeBack makes a generation that was out of service the active one again. why says it
// of the one that loses the traffic.
func (m *Machine) takeBack(g *generation, why string) {
	cause := m.lost(StageBack, g.number, why)
	for k := range g.workers {
		m.watch(&g.workers[k])
	}
	m.activate(g, cause)
	m.rollout.dismissed = false
	if m.phase == Running { // some were replaced in a batch, or died meanwhile
		m.startMissing(g)
	}
}

// lost tells that the active generation loses the traffic, why, and to whom: 0 is
// another container, or with StageDied nobody. It returns the cause.
func (m *Machine) lost(s Stage, to int, why string) (cause string) {
	old := m.active
	if cause = why; old != m.foreign {
		cause = text.Sprintf("generation %d %s", old.number, why)
	}
	if old.cutOverAt > 0 {
		why += ", " + seconds(m.now-old.cutOverAt) + " after its cut-over"
	}
	m.emit(&Progress{Stage: s, Generation: to, Other: old.number, Detail: why})
	return cause
}

// endKeeps ends every keep. It reports whether there was one.
func (m *Machine) endKeeps() (found bool) {
	for _, g := range slices.Clone(m.gens) {
		if g.state == Kept && g.standing == good {
			found = true
			m.drain(g, "it is not kept any longer")
		}
	}
	return found
}

// giveUp marks the successor as failed. What it had of the traffic goes back first.
func (m *Machine) giveUp(s standing, reason string) {
	g := m.rollout.successor
	m.aimBack()
	g.standing = s
	g.clear()
	m.progress(g, StageFailed, reason)
}

// aimBack gives the active generation all new connections.
func (m *Machine) aimBack() {
	if m.isForeign() {
		m.endTurn() // that is what it means
	} else if r := &m.rollout; r.share > 0 && !m.active.dead() {
		m.emit(&Aim{Generation: m.active.number, Rest: r.successor.number, Share: Full})
	}
	m.rollout.share = 0
}

// dismiss ends the predecessor for the successor's sake.
func (m *Machine) dismiss(cause string) {
	old, r := m.active, &m.rollout
	r.dismissed, r.by = true, never // it has its retire timeout
	number := m.last + 1            // the successor's, which is yet to be started
	if r.successor != nil {
		number = r.successor.number
	}
	e := Progress{Generation: number, Other: old.number, Stage: StageStopping, Detail: cause}
	m.emit(&e)
	m.report(r.requests, e)
	if r.force {
		m.kill(old, cause)
	} else {
		m.tell(old, m.cfg.RetireSignal, m.after(m.cfg.RetireTimeout), cause)
	}
}

// swapFailed tells everybody that the swap has failed.
func (m *Machine) swapFailed(reason string) {
	r, number := &m.rollout, 0
	if r.successor != nil {
		number = r.successor.number
	}
	m.emit(&Swapped{Generation: number, Reason: reason, Command: r.command, First: r.newcomer})
	m.answerAll(r.requests, number, reason)
	m.answerAll(r.promotions, number, reason)
	r.requests, r.promotions = nil, nil
}
