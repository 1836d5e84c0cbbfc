package swap

import "time"

// Side decides about one process beside the servers: it belongs to no generation, and is
// started again whenever it ends, until the container does.
//
//	waiting ──> starting ──> running ──────────────> remains ──> waiting
//	                            └──> ending ──> killing ──┘
//
// Like the Machine it is pure, and owned by the loop.
type Side struct {
	state   sideState
	now, by time.Duration
	grace   time.Duration // from TERM to KILL; 0: none
	born    time.Duration // that its program runs
	next    time.Duration // when it is started again
	deaths  int           // in a row
	starts  int
	asked   []uint64 // who waits for it to run
	late    []uint64 // the same, but who asked when it was being started: for the next start
	reason  string   // how it has ended the last time, or why it could not be started
	effects []SideEffect
}

type sideState uint8

const (
	sideWaiting  sideState = iota // deadline: its start
	sideStarting                  // deadline: those who have asked for it are told
	sideRunning
	sideEnding  // its process group has got TERM; deadline: KILL
	sideKilling // the same for KILL; deadline: those who have asked for it are told
	sideRemains // it has ended, what is left of its group has got TERM; deadline: KILL
	sideKilled  // the same for KILL; deadline: not waited for any longer
	sideOver    // the container ends
	numSideStates
)

// SideKind is what can happen to a Side.
type SideKind uint8

const (
	SideTick    SideKind = iota // time has passed
	SideStarted                 // its program runs
	SideFailed                  // it could not be started: Reason
	SideExited                  // its process has ended: Reason says how
	SideCleared                 // nothing is left of its process group
	SideRestart                 // ID wants it to be started again
	SideStop                    // everything that is left in the container is being ended
	numSideKinds
)

// SideEvent is one of them.
type SideEvent struct {
	Kind   SideKind
	ID     uint64
	Reason string
	Clean  bool // Exited: with status 0
}

// SideEffectKind is what is to be done about it.
type SideEffectKind uint8

const (
	SideStart SideEffectKind = iota // Answer: Started or Failed, and after Started Exited in the end
	SideTerm                        // TERM for its process group. Answer: Exited
	SideKill                        // KILL for what is left of its process group
	SideClear                       // TERM for what its process has left in its group. Answer: Cleared
	SideReply                       // answer ID: it runs if Text is empty
	SideInfo                        // for the log
	SideWarn
)

// SideEffect is one thing to do.
type SideEffect struct {
	Kind SideEffectKind
	ID   uint64
	Text string
}

const (
	// sideAnswer is how long whoever wants it to be started again waits for its program: an
	// exec can hang on a file system.
	sideAnswer = 30 * time.Second
	// sideCalls bounds those who wait. There are fewer clients at a time.
	sideCalls = 256
)

// NewSide makes one that is to be started at the first Step. What it leaves behind gets
// grace between TERM and KILL.
func NewSide(grace time.Duration) *Side { return &Side{grace: grace} }

// Step tells it what has happened and when, and returns what is to be done.
func (s *Side) Step(now time.Duration, e SideEvent) []SideEffect {
	s.now = max(s.now, now)
	sideActions[s.state][e.Kind](s, &e)
	for s.by <= s.now {
		s.expire()
	}
	out := s.effects
	s.effects = nil
	return out
}

// Deadline is when Step wants to be called at the latest, Unlimited if nothing is pending.
func (s *Side) Deadline() time.Duration { return s.by }

// Restarts is how often it was started again.
func (s *Side) Restarts() int { return max(0, s.starts-1) }

// Down is why it does not run, "" while it does.
func (s *Side) Down() string {
	switch s.state {
	case sideRunning, sideEnding, sideKilling:
		return ""
	}
	return s.reason
}

func (s *Side) emit(k SideEffectKind, text string) {
	s.effects = append(s.effects, SideEffect{Kind: k, Text: text})
}

// enter changes its state; the deadline of the one before is over.
func (s *Side) enter(state sideState, by time.Duration) { s.state, s.by = state, by }

func (s *Side) expire() {
	switch s.state {
	case sideWaiting:
		s.start()
	case sideStarting:
		s.stuck()
	case sideEnding:
		s.kill(sideKilling)
	case sideKilling:
		s.stuck()
	case sideRemains:
		s.kill(sideKilled)
	case sideKilled:
		s.cleared(nil)
	}
}

func (s *Side) start() {
	s.starts++
	s.enter(sideStarting, later(s.now, sideAnswer))
	s.emit(SideStart, "")
}

func (s *Side) kill(state sideState) {
	s.enter(state, later(s.now, abandon))
	s.emit(SideKill, "")
}

// answer answers those who wait for the start that has come to its end.
func (s *Side) answer(reason string) {
	for _, id := range s.asked {
		s.effects = append(s.effects, SideEffect{SideReply, id, reason})
	}
	s.asked, s.late = s.late, nil
}

// stuck answers all who wait for what nobody can hurry.
func (s *Side) stuck() {
	reason := "its process survives KILL"
	if s.by = never; s.state == sideStarting {
		reason = "its program does not run yet after " + sideAnswer.String()
	}
	s.answer(reason)
	s.answer(reason)
}

func (s *Side) started(*SideEvent) {
	s.born, s.reason = s.now, ""
	s.enter(sideRunning, never)
	s.answer("")
	if len(s.asked) > 0 {
		s.end()
	}
}

func (s *Side) failed(e *SideEvent) {
	s.ended(SideWarn, "cannot be started: "+e.Reason, "tried again")
	s.answer(e.Reason)
	s.wait()
}

// ended notes that it does not run, and when it is to be started again.
func (s *Side) ended(level SideEffectKind, reason, again string) {
	s.deaths++
	delay := backoff(s.deaths)
	s.next, s.reason = later(s.now, delay), reason
	s.emit(level, reason+", "+again+" in "+seconds(delay))
}

// exited: nobody has asked for that.
func (s *Side) exited(e *SideEvent) {
	level, hint := SideWarn, ""
	if e.Clean {
		level, hint = SideInfo, " (it has to stay in the foreground)"
	}
	if s.now-s.born >= steady {
		s.deaths, hint = 0, ""
	}
	s.ended(level, e.Reason+hint, "started again")
	s.clear(later(s.now, s.grace))
}

// exitedAsTold: somebody wants it to be started again.
func (s *Side) exitedAsTold(e *SideEvent) {
	s.deaths, s.next, s.reason = 0, s.now, e.Reason
	s.emit(SideInfo, e.Reason+", as it was told to end, and is started again")
	if s.state == sideKilling {
		s.by = s.now // the others have had their time, too
	}
	s.clear(s.by)
}

// clear ends what is left of its process group.
func (s *Side) clear(by time.Duration) {
	s.enter(sideRemains, by)
	s.emit(SideClear, "")
}

// cleared: nothing is left, or what is left survives KILL.
func (s *Side) cleared(*SideEvent) { s.wait() }

// wait waits for its next start.
func (s *Side) wait() {
	if len(s.asked) > 0 {
		s.deaths, s.next = 0, s.now
	}
	s.enter(sideWaiting, s.next)
}

// end ends its process group, to start it again.
func (s *Side) end() {
	s.enter(sideEnding, later(s.now, s.grace))
	s.emit(SideTerm, "")
}

// note keeps who asks. false: there are too many.
func (s *Side) note(list *[]uint64, e *SideEvent) bool {
	if len(*list) == sideCalls {
		s.effects = append(s.effects, SideEffect{SideReply, e.ID, "too many wait for that"})
		return false
	}
	*list = append(*list, e.ID)
	if s.by == never && (s.state == sideStarting || s.state == sideKilling) {
		s.stuck()
	}
	return true
}

func (s *Side) restartNow(e *SideEvent) {
	if s.note(&s.asked, e) {
		s.wait()
	}
}

func (s *Side) restart(e *SideEvent) {
	if s.note(&s.asked, e) {
		s.end()
	}
}

func (s *Side) restartAgain(e *SideEvent) { s.note(&s.late, e) }

func (s *Side) restartSoon(e *SideEvent) { s.note(&s.asked, e) }

func (s *Side) stop(*SideEvent) {
	s.enter(sideOver, never)
	s.answer(stopping)
	s.answer(stopping)
}

func (s *Side) refuse(e *SideEvent) {
	s.effects = append(s.effects, SideEffect{SideReply, e.ID, stopping})
}

// What does nothing says why, as in the other tables.

type sideAction func(*Side, *SideEvent)

func sideTick(*Side, *SideEvent)    {} // deadlines are looked at in every step
func notBegun(*Side, *SideEvent)    {} // nothing of it lives that could do so
func noGroup(*Side, *SideEvent)     {} // it is not waited for: its process lives, or nothing does
func sideIsOver(*Side, *SideEvent)  {} // all that is left is ended together
func sideRunsOn(*Side, *SideEvent)  {} // it runs already
func sideStopped(*Side, *SideEvent) {} // it has heard of that

var sideActions = [numSideStates][numSideKinds]sideAction{
	sideWaiting: {SideTick: sideTick, SideStarted: notBegun, SideFailed: notBegun, SideExited: notBegun, SideCleared: noGroup,
		SideRestart: (*Side).restartNow, SideStop: (*Side).stop},
	sideStarting: {SideTick: sideTick, SideStarted: (*Side).started, SideFailed: (*Side).failed, SideExited: notBegun, SideCleared: noGroup,
		SideRestart: (*Side).restartAgain, SideStop: (*Side).stop},
	sideRunning: {SideTick: sideTick, SideStarted: sideRunsOn, SideFailed: sideRunsOn, SideExited: (*Side).exited, SideCleared: noGroup,
		SideRestart: (*Side).restart, SideStop: (*Side).stop},
	sideEnding: {SideTick: sideTick, SideStarted: sideRunsOn, SideFailed: sideRunsOn, SideExited: (*Side).exitedAsTold, SideCleared: noGroup,
		SideRestart: (*Side).restartSoon, SideStop: (*Side).stop},
	sideKilling: {SideTick: sideTick, SideStarted: sideRunsOn, SideFailed: sideRunsOn, SideExited: (*Side).exitedAsTold, SideCleared: noGroup,
		SideRestart: (*Side).restartSoon, SideStop: (*Side).stop},
	sideRemains: {SideTick: sideTick, SideStarted: notBegun, SideFailed: notBegun, SideExited: notBegun, SideCleared: (*Side).cleared,
		SideRestart: (*Side).restartSoon, SideStop: (*Side).stop},
	sideKilled: {SideTick: sideTick, SideStarted: notBegun, SideFailed: notBegun, SideExited: notBegun, SideCleared: (*Side).cleared,
		SideRestart: (*Side).restartSoon, SideStop: (*Side).stop},
	sideOver: {SideTick: sideTick, SideStarted: sideIsOver, SideFailed: sideIsOver, SideExited: sideIsOver, SideCleared: sideIsOver,
		SideRestart: (*Side).refuse, SideStop: sideStopped},
}
