package swap

import (
	"math"
	"time"
)

// State is where a generation stands on its way; see the drawing in doc.go.
type State uint8

const (
	Starting State = iota
	Settling       // "ready" to the user: it says so and must still survive its settle time
	Active
	Draining // cut over, not yet told to stop
	Stopping // told to stop, killed, or ended with processes left
	Gone
	numStates
)

var stateNames = [numStates]string{"starting", "ready", "active", "draining", "stopping", "gone"}

func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "unknown"
}

// never is the deadline that does not come.
const never = time.Duration(math.MaxInt64)

// generation is one incarnation of the entrypoint.
type generation struct {
	number  int
	state   State
	command []string
	failed  bool  // a successor that did not make it
	blocks  bool  // it may hold what the next successor needs, and is ended soon
	owes    []ask // what its predecessor has released for it, and gets back when it is gone
	unfit   bool  // the traffic was taken from it: it is never gone back to
	cleared bool  // it was told to stop for a successor that has not proved itself
	kept    bool  // out of service, but warm: keepBy runs
	share   int   // a successor's part of the new connections, in a canary
	stage   int   // the canary's stages that it has begun
	workers []worker
	ran     bool   // a program of it has run
	joined  bool   // it speaks on its channel
	ready   bool   // all workers that were asked for have said that they are ready
	holds   bool   // it was seen to hold the endpoints
	settled bool   // it has survived its settle time
	told    bool   // it has got a signal that ends it
	killed  bool   // it has got KILL
	ended   bool   // all its workers are gone for good
	status  Status // of the latest that has ended
	note    string // the last thing known about why it is not ready

	// witnesses asked for the swap that took g out of service, to successor. They
	// are answered once it is known whether g has to wait for its connections.
	witnesses []Request
	successor int

	timeout time.Duration // what it was given to become ready

	// Deadlines, on the machine's clock.
	readyBy   time.Duration // starting: ready; settling: verified
	settleAt  time.Duration // settled
	canaryAt  time.Duration // the canary's next stage
	keepBy    time.Duration // kept: the drain begins
	drainBy   time.Duration // stop signal although connections are busy
	killAt    time.Duration // KILL
	sweptBy   time.Duration // its strays: KILL
	abandonAt time.Duration // its strays survived KILL: no longer waited for
}

// deadlines lists them all, for the next one and for clearing.
func (g *generation) deadlines() []*time.Duration {
	return []*time.Duration{&g.readyBy, &g.settleAt, &g.canaryAt, &g.keepBy, &g.drainBy, &g.killAt, &g.sweptBy, &g.abandonAt}
}

// clearDeadlines clears its workers' too.
func (g *generation) clearDeadlines() {
	for _, d := range g.deadlines() {
		*d = never
	}
	for k := range g.workers {
		g.workers[k].startAt, g.workers[k].pingBy, g.workers[k].killAt = never, never, never
	}
}

func (g *generation) nextDeadline() time.Duration {
	next := never
	for _, d := range g.deadlines() {
		next = min(next, *d)
	}
	for k := range g.workers {
		w := &g.workers[k]
		next = min(next, w.startAt, w.pingBy, w.killAt)
	}
	return next
}

// rising reports whether g is on its way up.
func (g *generation) rising() bool { return g.state == Starting || g.state == Settling }

// View is what can be told about a generation from outside the machine.
type View struct {
	Number  int
	State   State
	Failed  bool
	Ready   bool
	Ended   bool
	Command []string
}
