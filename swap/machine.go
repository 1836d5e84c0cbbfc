package swap

import (
	"fmt"
	"time"
)

// Config is what the machine needs to know of the settings. All durations are
// taken as they are; what 0 means is said at each.
type Config struct {
	ReadyTimeout    time.Duration // a successor not ready by then has failed; 0: no limit
	Settle          time.Duration // ready, it must live this much longer
	Drain           bool          // after the cut-over wait for Drained before the stop signal
	DrainTimeout    time.Duration // but no longer than that; 0: no limit
	Canary          []Canary      // stages before the cut-over
	Keep            time.Duration // a predecessor is kept warm that long before its drain begins
	RetireTimeout   time.Duration // a predecessor's time from stop signal to KILL; 0: no limit
	StopDelay       time.Duration // from being told to stop to passing it on
	StopTimeout     time.Duration // when the container stops, from stop signal to KILL; 0: no limit
	LeftoverTimeout time.Duration // what leftovers get between TERM and KILL; 0: none
	Watchdog        time.Duration // interval of the watchdog; 0: off
	MaxGenerations  int           // live generations, at least 2
	Workers         int           // processes a generation, at least 1
	Batch           int           // how many of them are replaced at a time; 0: all
	Respawn         Respawn       // which of them are started again
	Strategy        Strategy      // of a swap that names none
	Prepare         bool          // a swap begins with Prepare
	StopSignal      Signal        // 0: the user has it dropped
	RetireSignal    Signal
	AbortSignal     Signal // for a generation that misses its watchdog
	ReadyHint       string // appended to "not ready in time"
}

const (
	abortGrace  = 5 * time.Second  // from the watchdog's ABRT to KILL
	verifyGrace = 10 * time.Second // an examination that takes longer counts as failed
	abandon     = 5 * time.Second  // what survives KILL is not waited for any longer
	roomTimeout = time.Minute      // the wait for room, where readiness has no limit
	takedown    = 10 * time.Second // for a predecessor to release a resource
	maxWaiting  = 256              // requests in the queue
)

// Phase is where the container as a whole stands.
type Phase uint8

const (
	Running     Phase = iota
	Delaying          // told to stop; the stop delay runs
	StoppingAll       // every generation has got the stop signal
	Sweeping          // the active generation has ended
	Over              // Exit has been given
	numPhases
)

// Machine decides. It is not safe for concurrent use: one loop owns it.
type Machine struct {
	cfg     Config
	now     time.Duration
	phase   Phase
	gens    []*generation // not gone, oldest first
	last    int           // number of the newest generation
	active  *generation   // serves, or was the last that did
	giving  *generation   // a failed successor that serves on until the active one is whole again
	anew    bool          // the active one ended for a swap that failed: its command is to be started again
	run     *run          // the swap that runs
	queue   []Request     // asked for since it began
	queued  bool          // a swap is to follow; the queue may be empty (signals wait for no answer)
	status  Status        // of the active generation, once it has ended for good
	effects []Effect

	delayEnd  time.Duration // the stop delay's end
	roomBy    time.Duration // the run's wait for room
	releaseBy time.Duration // handover: the predecessor is told to stop
	givingBy  time.Duration // giving: the wait for the active one's workers
	sweptBy   time.Duration // leftovers: KILL
	giveUpAt  time.Duration // leftovers that survived KILL
}

// New makes a machine whose first generation, started with command, is active
// from its start. The effects that start it come with the first Step.
func New(cfg Config, command []string) *Machine {
	cfg.Workers = max(cfg.Workers, 1)
	if cfg.Batch <= 0 || cfg.Batch > cfg.Workers {
		cfg.Batch = cfg.Workers
	}
	cfg.Strategy = max(cfg.Strategy, Overlap)
	m := &Machine{cfg: cfg, delayEnd: never, roomBy: never, releaseBy: never, givingBy: never, sweptBy: never, giveUpAt: never}
	m.active = m.newGeneration(command)
	m.active.state = Active
	m.startAll(m.active, Start{Command: command})
	return m
}

// Step tells the machine what happened and when (time since it was made; it
// never goes back), and returns what is to be done about it.
func (m *Machine) Step(now time.Duration, e Event) []Effect {
	m.now = max(m.now, now)
	switch {
	case m.phase == Over:
		// Exit was the last word.
	default:
		switch e := e.(type) {
		case *GenerationEvent:
			m.generationEvent(e)
		case *ContainerEvent:
			containerActions[m.phase][e.Kind].do(m, e)
		}
	}
	// Whatever the event was, deadlines that have passed meanwhile count: a
	// loop that is kept busy must not be able to starve them.
	m.expire()
	out := m.effects
	m.effects = nil
	return out
}

// Deadline is when Step wants to be called with a Tick at the latest; false if
// nothing is pending.
func (m *Machine) Deadline() (time.Duration, bool) {
	next := min(m.delayEnd, m.roomBy, m.releaseBy, m.givingBy, m.sweptBy, m.giveUpAt)
	for _, g := range m.gens {
		next = min(next, g.nextDeadline())
	}
	return next, next != never && m.phase != Over
}

// Phase tells where the container stands.
func (m *Machine) Phase() Phase { return m.phase }

// Swapping reports whether a swap runs.
func (m *Machine) Swapping() bool { return m.run != nil }

// Active is the number of the generation that serves, or last did.
func (m *Machine) Active() int { return m.active.number }

// Views lists the generations that are not gone, oldest first.
func (m *Machine) Views() []View {
	views := make([]View, 0, len(m.gens))
	for _, g := range m.gens {
		views = append(views, View{g.number, g.state, g.failed, g.ready, g.ended, g.command})
	}
	return views
}

func (m *Machine) emit(e Effect) { m.effects = append(m.effects, e) }

// transition is the only place where a generation's state changes.
func (m *Machine) transition(g *generation, to State, cause string) {
	if g.state == to {
		return
	}
	m.emit(&Transition{Generation: g.number, From: g.state.String(), To: to.String(), Cause: cause})
	if g.state == Draining && !g.kept {
		m.emit(&EndDrain{Generation: g.number})
	}
	g.state = to
	if to != Draining {
		g.kept, g.keepBy = false, never
		m.answerWitnesses(g)
	}
}

func (m *Machine) newGeneration(command []string) *generation {
	m.last++
	g := &generation{number: m.last, command: command, workers: newWorkers(m.cfg.Workers, m.cfg.Watchdog)}
	g.clearDeadlines()
	m.gens = append(m.gens, g)
	return g
}

func (m *Machine) find(number int) *generation {
	for _, g := range m.gens {
		if g.number == number {
			return g
		}
	}
	return nil
}

// generationEvent looks up what the event means in the generation's state.
func (m *Machine) generationEvent(e *GenerationEvent) {
	g := m.find(e.Generation)
	if g == nil || m.phase == Sweeping {
		// Gone, or everything is being swept together: what a single
		// generation still has to say changes nothing any more.
		return
	}
	if a := generationActions[g.state][e.Kind]; a.do != nil {
		a.do(m, g, e)
	}
}

// expire handles every deadline that has passed. Each handler clears or moves
// the deadline that it handles, so one pass over a snapshot is enough.
func (m *Machine) expire() {
	if m.phase == Over {
		return
	}
	if m.delayEnd <= m.now {
		m.stopAll()
	}
	if m.roomBy <= m.now {
		m.roomBy = never
		m.endRun(nil, "no room for a successor: the generations that were told to stop do not end", nil)
	}
	if m.releaseBy <= m.now {
		m.releaseBy = never
		m.takeDown("it has not released what its successor needs within " + seconds(takedown))
	}
	if m.givingBy <= m.now {
		m.giveBack()
	}
	for _, g := range append([]*generation(nil), m.gens...) {
		if m.phase < Sweeping {
			m.expireWorkers(g)
		}
		if g.nextDeadline() <= m.now {
			m.generationEvent(&GenerationEvent{Kind: Expired, Generation: g.number})
		}
	}
	if m.sweptBy <= m.now {
		m.sweptBy = never
		m.giveUpAt = m.now + abandon
		m.emit(&KillAll{})
	}
	if m.giveUpAt <= m.now {
		m.exit()
	}
}

func seconds(d time.Duration) string { return fmt.Sprint(d.Round(time.Millisecond)) }
