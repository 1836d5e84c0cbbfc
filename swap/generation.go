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
	failed  bool   // a successor that did not make it
	unfit   bool   // the traffic was taken from it: it is never gone back to
	kept    bool   // out of service, but warm: keepBy runs
	share   int    // a successor's part of the new connections, in a canary
	stage   int    // the canary's stages that it has begun
	ready   bool   // it has said that it is ready
	holds   bool   // it was seen to hold the endpoints
	settled bool   // it has survived its settle time
	told    bool   // it has got a signal that ends it
	killed  bool   // it has got KILL
	ended   bool   // its main process is gone
	status  Status // how, once ended
	note    string // the last thing known about why it is not ready

	// witnesses asked for the swap that took g out of service, to successor. They
	// are answered once it is known whether g has to wait for its connections.
	witnesses []Request
	successor int

	watchdog time.Duration // interval of its pings, 0: none
	timeout  time.Duration // what it was given to become ready

	// Deadlines, on the machine's clock.
	readyBy   time.Duration // starting: ready; settling: verified
	settleAt  time.Duration // settled
	canaryAt  time.Duration // the canary's next stage
	keepBy    time.Duration // kept: the drain begins
	drainBy   time.Duration // stop signal although connections are busy
	killAt    time.Duration // KILL
	pingBy    time.Duration // next ping of the watchdog
	sweptBy   time.Duration // its strays: KILL
	abandonAt time.Duration // its strays survived KILL: no longer waited for
}

// deadlines lists them all, for the next one and for clearing.
func (g *generation) deadlines() []*time.Duration {
	return []*time.Duration{&g.readyBy, &g.settleAt, &g.canaryAt, &g.keepBy, &g.drainBy, &g.killAt, &g.pingBy, &g.sweptBy, &g.abandonAt}
}

func (g *generation) clearDeadlines() {
	for _, d := range g.deadlines() {
		*d = never
	}
}

func (g *generation) nextDeadline() time.Duration {
	next := never
	for _, d := range g.deadlines() {
		next = min(next, *d)
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
