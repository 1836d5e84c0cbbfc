package arbiter

import (
	"math"
	"time"

	"github.com/swapinit/swapinit/internal/insertion"
)

// Limits of what is remembered, and of every wait.
const (
	maxMembers = 64 // remembered, connected or not
	maxVerbs   = 64 // of operators, that wait for a commit to be over

	recoverLimit = 60 * time.Second // for the recorded holder to be back after a start of the gate
	soonLimit    = 10 * time.Second // the same, where another one serves: only the gate was away
	turnLimit    = 10 * time.Second // of silence in a turn, or of one that was told to take the traffic
	pingEvery    = 2 * time.Second
	backLimit    = 10 * time.Second // for the answer to Back
	serveLimit   = 2 * time.Minute  // for the answer to Serve
	vacantLimit  = 10 * time.Second // without a holder, until one that has failed may serve
	leaveLimit   = time.Minute      // between a holder's being told to stop and its end
	saveLimit    = 10 * time.Second // for a disk that hangs
	renewAgain   = 10 * time.Second // after a swap that did not get the holder other sockets
	saveAgain    = 10 * time.Second // after a write that failed
)

// never is the deadline that does not come.
const never = time.Duration(math.MaxInt64)

// phase is where the gate as a whole stands.
type phase uint8

const (
	recovering phase = iota // after a start: the recorded holder is awaited
	vacant                  // nobody has the traffic: connections wait
	serving                 // somebody has it, or has been told to take it
	numPhases
)

// Arbiter decides who has the traffic. It is not safe for concurrent use: one loop
// owns it.
type Arbiter struct {
	now     time.Duration
	phase   phase
	epoch   int64
	last    int       // the highest number given out
	holder  *member   // the record: who has the traffic, or had it last; nil for nobody
	members []*member // all that are remembered, in the order of their numbers

	soonBy    time.Duration // recovering: from then on another one that serves is enough
	recoverBy time.Duration // recovering: its end
	kept      time.Duration // vacant: from then on a kept one gets the traffic
	any       time.Duration // vacant: from then on one without a server, or one that failed

	renew time.Duration // the holder is told again to take other sockets
	turn  *member       // of whom a swap may go on
	pings time.Duration
	queue []*request // for the turn, one of a member at most
	verbs []verb     // of operators
	back  *takeback  // somebody was told to take the traffic, and has not answered

	unaware *member // takes itself for the holder, and was rolled back from

	saves   int           // number of the last Save
	write   *write        // the Save that has no answer yet
	dirty   bool          // what is remembered is not on the disk
	stuck   bool          // the last Save was not answered in time
	retryAt time.Duration // no Save without need before that: the last one failed

	aimed   Aim  // the last
	reaim   bool // the kernel may have something else
	unsure  bool // what the kernel has is another gate's
	effects []Effect
}

// New makes an arbiter with what the disk has. recovering: it has a holder, which is
// given time to come back.
func New(state State, recovering bool) *Arbiter {
	a := &Arbiter{epoch: state.Epoch, last: state.Last, soonBy: never, recoverBy: never, aimed: nothing, unsure: true, renew: never, pings: never}
	for _, m := range state.Members {
		if a.find(m.Container) != nil || len(a.members) == maxMembers {
			continue // a file that was edited
		}
		a.members = append(a.members, &member{Member: m})
		a.last = max(a.last, m.Order)
	}
	a.sort()
	a.holder = a.find(state.Holder)
	if recovering && a.holder != nil {
		a.soonBy, a.recoverBy, a.kept, a.any = soonLimit, recoverLimit, never, never
	} else {
		// Where the file was lost the holder is about to say so: kept ones wait for it.
		a.vacate(vacantLimit)
	}
	return a
}

// Step tells the arbiter what happened and when (time since it was made; it never goes
// back), and returns what is to be done about it, in this order.
func (a *Arbiter) Step(now time.Duration, e Event) []Effect {
	a.now = max(a.now, now)
	a.happened(e)
	// Whatever the event was, deadlines that have passed meanwhile count: a loop that
	// is kept busy must not be able to starve them.
	a.expire()
	a.settle()
	out := a.effects
	a.effects = nil
	return out
}

// happened looks up what an event means. One of a connection that is not known any more,
// or was never, means nothing.
func (a *Arbiter) happened(e Event) {
	switch e := e.(type) {
	case *Tick:
	case *Join:
		a.join(e)
	case *Saved:
		a.saved(e)
	case *Unmoved:
		a.unmoved(e)
	case *Rollback:
		a.verb(verb{id: e.ID, session: e.Session})
	case *Promote:
		a.verb(verb{id: e.ID, promote: true})
	default:
		session, k := of(e)
		if m := a.bySession(session); m != nil {
			m.heard = a.now
			memberActions[m.state][k](a, m, e)
		}
	}
}

// settle does what has become possible, until nothing is left that is.
func (a *Arbiter) settle() {
	for a.write == nil && a.progress() {
	}
	a.aim()
}

// progress does one thing that has become possible. Nothing is decided while a Save has
// no answer: what it will find is not known.
func (a *Arbiter) progress() bool {
	if a.dirty && !a.stuck && a.now >= a.retryAt {
		a.save(nil) // numbers are on the disk before anybody is told his
		return false
	}
	switch a.phase {
	case recovering:
		return a.admitSome() || a.recovered()
	case vacant:
		return a.restore() || a.admitHolder() || a.nextTurn() || a.fallBack() || a.nextVerb() || a.admitSome()
	}
	return a.admitHolder() || a.nextTurn() || a.nextVerb() || a.admitSome()
}

// expire handles every deadline that has passed.
func (a *Arbiter) expire() {
	if w := a.write; w != nil && w.by <= a.now {
		a.unsaved()
	}
	if b := a.back; b != nil && a.now >= a.backBy() {
		a.refused(b.to, "has not answered")
	}
	if a.turn != nil && a.now >= a.turn.heard+turnLimit {
		a.cut(a.turn, "it has said nothing for "+turnLimit.String()+" in its turn", false)
	}
	if a.now >= a.renew {
		a.renew = never
		switch h := a.has(); {
		case h == nil || !h.dead:
		case h == a.turn:
			a.renew = later(a.now, renewAgain)
		default:
			a.tellRenew(h)
		}
	}
	if a.now >= a.pings {
		a.ping()
	}
}

// Deadline is when Step wants to be called with a Tick at the latest; false if nothing
// is pending.
func (a *Arbiter) Deadline() (time.Duration, bool) {
	next := min(a.pings, a.renew)
	if a.write != nil {
		next = min(next, a.write.by)
	} else {
		// What has passed and led to nothing waits for an event, not for the time.
		for _, at := range []time.Duration{a.soonBy, a.recoverBy, a.kept, a.any, a.retry()} {
			if at > a.now {
				next = min(next, at)
			}
		}
	}
	if a.back != nil {
		next = min(next, a.backBy())
	}
	if a.turn != nil {
		next = min(next, a.turn.heard+turnLimit)
	}
	return next, next != never
}

func (a *Arbiter) retry() time.Duration {
	if a.dirty && !a.stuck {
		return a.retryAt
	}
	return never
}

// State is what is to survive the gate. The caller owns it.
func (a *Arbiter) State() State {
	s := State{Epoch: a.epoch, Last: a.last, Members: make([]Member, 0, len(a.members))}
	if a.holder != nil {
		s.Holder = a.holder.Container
	}
	for _, m := range a.members {
		s.Members = append(s.Members, m.Member)
	}
	return s
}

func (a *Arbiter) emit(e Effect) { a.effects = append(a.effects, e) }

func (a *Arbiter) find(container string) *member {
	for _, m := range a.members {
		if container != "" && m.Container == container {
			return m
		}
	}
	return nil
}

func (a *Arbiter) bySession(s Session) *member {
	for _, m := range a.members {
		if s != 0 && m.session == s {
			return m
		}
	}
	return nil
}

func (a *Arbiter) sort() {
	m := a.members
	insertion.Sort(len(m), func(i, j int) bool { return m[i].Order < m[j].Order }, func(i, j int) { m[i], m[j] = m[j], m[i] })
}
