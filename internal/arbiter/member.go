package arbiter

import (
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// state is where a member stands; see the drawing in doc.go.
type state uint8

const (
	away       state = iota // remembered, not connected
	joining                 // has said hello; its welcome waits
	rising                  // may ask for the traffic
	canary                  // has a share of it, in its turn
	committing              // has asked for all of it; the disk has not answered
	holding                 // has the traffic
	regaining               // has been told to take it, and has not answered
	kept                    // had it, its server lives
	idle                    // without a server: retired, superseded or failed
	leaving                 // was told to stop, or its server has ended
	numStates
)

// member is a container that has joined.
type member struct {
	_ [0]func() // no ==, so no code for it

	Member
	state    state
	since    time.Duration
	reason   string // why it has that state
	failure  string // why it is Failed; "": the reason says it
	session  Session
	life     string
	joins    int           // counts its lives and connections, but for one that took an older one's place
	heard    time.Duration // when it said something last
	gen      int           // that serves, or would if the traffic came back; 0: none
	asked    int           // canary, committing: the generation that it asks for
	share    int           // canary: of the new connections
	by       shares.By     // canary: decides which
	operator bool          // canary, committing: by an operator's swap
	hello    *Join         // joining: what it said
	ends     Role          // how the holder has ended: what it is once another one has the traffic
	dead     bool          // the sockets of its server are, it is to take others
	deadGen  int           // that had them
	refuses  bool          // has said that it cannot start a server
	dropped  bool          // nobody has its sockets any more
	said     Answer        // the last to it in this life, for one that asks again
}

// enter is the only way into a state.
func (a *Arbiter) enter(m *member, s state, reason string) {
	if m.state == canary && s != canary {
		m.share, m.by = 0, shares.Random
	}
	if s != canary && s != committing {
		m.asked, m.operator = 0, false
	}
	if s != joining {
		m.hello = nil
	}
	m.state, m.since, m.reason = s, a.now, reason
}

// rest puts a member that has no part in a swap where it belongs.
func (a *Arbiter) rest(m *member, reason string) {
	switch {
	case m.Out == "":
		a.enter(m, rising, reason)
	case m.gen != 0:
		a.enter(m, kept, reason)
	default:
		a.enter(m, idle, reason)
	}
}

// role is what a member is taken for.
func (m *member) role() Role {
	switch m.state {
	case holding, regaining:
		return Holder
	case kept:
		if m.Out == Failed {
			return Failed
		}
		return Kept
	}
	switch {
	case m.Out != "":
		return m.Out
	case m.state == idle: // the holder, whose server has ended
		return Failed
	}
	return Successor
}

func (m *member) slot() Slot {
	if m.gen == 0 {
		return Slot{}
	}
	return Slot{m.Container, m.gen}
}

// has is the one that has the traffic, or has been told to take it. The record alone does not
// say so: it may be away.
func (a *Arbiter) has() *member {
	if a.holder != nil && (a.holder.state == holding || a.holder.state == regaining) {
		return a.holder
	}
	return nil
}

// note is a line of the log.
func (a *Arbiter) note(m *member, text string) { a.emit(&Note{m.Container, text}) }

// vacate: nobody has the traffic. Whoever comes gets it, a kept one from the given time
// on, one without a server 10 s after it.
func (a *Arbiter) vacate(at time.Duration) {
	a.phase, a.soonBy, a.recoverBy = vacant, never, never
	a.kept, a.any = at, max(at, later(a.now, vacantLimit))
}

// serve: somebody has it.
func (a *Arbiter) serve() {
	a.certain()
	a.phase, a.soonBy, a.recoverBy, a.kept, a.any = serving, never, never, never, never
}

// certain: it is known where the traffic belongs. Until now the kernel was left with what
// a gate before this one had told it.
func (a *Arbiter) certain() {
	a.reaim = a.reaim || a.unsure
	a.unsure = false
}

func later(at, d time.Duration) time.Duration { return at + min(d, never-1-at) }
