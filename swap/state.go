package swap

import "time"

// State is where a generation stands on its way; see the drawing in doc.go.
type State uint8

const (
	Starting        State = iota // deadline: ready
	Settling                     // "ready" to the user: must still survive its settle time; deadline: examined
	Active                       // serves; no deadline but its workers'
	Kept                         // out of service, but warm; deadline: it drains
	Draining                     // out of service, its connections are watched; deadline: stop signal
	Stopping                     // told to stop; deadline: KILL
	Killing                      // has got KILL; deadline: not waited for any longer
	Leftovers                    // no worker lives, nor will again; what is left has got TERM; deadline: KILL
	KilledLeftovers              // what is left has got KILL; deadline: not waited for any longer
	Gone
	numStates
)

var stateNames = [numStates]string{"starting", "ready", "active", "kept", "draining", "stopping", "killing", "leftovers", "killed leftovers", "gone"}

func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "unknown"
}

// Shown is the state in the words of the contract, which has fewer.
func (s State) Shown() State {
	switch s {
	case Kept:
		return Draining
	case Killing, Leftovers, KilledLeftovers:
		return Stopping
	}
	return s
}

// standing is what a generation's past says about its future.
type standing uint8

const (
	good       standing = iota
	rolledBack          // the traffic was taken from it: it is never gone back to
	failed              // a successor that did not make it; what it has accepted may finish
	failedSoon          // the same, but told to stop at once: the next successor waits for its end
)

// generation is one incarnation of the entrypoint.
type generation struct {
	number   int
	state    State
	since    time.Duration // that it has that state
	by       time.Duration // its deadline
	settleAt time.Duration // Settling: settled
	command  []string
	standing standing
	workers  []worker
	ran      bool     // a program of it has run
	joined   bool     // it speaks on its channel
	watched  bool     // its connections are
	drained  bool     // the container stops, and they may be cut
	spared   bool     // only its main processes have got KILL
	ready    bool     // all workers that were asked for have said that they are ready
	status   Status   // of the latest that has ended
	note     string   // the last thing known about why it is not ready
	borrowed []string // resources that its predecessor released for it, and gets back when it is gone

	// asked are the requests for the swap that took g out of service, to successor. They
	// are answered once it is known whether g has to wait for its connections.
	asked     []Request
	successor int

	// predecessor had the traffic until the swap that gave it to g: it alone is known to
	// be good, should g be lost. 0: there is none, or it is another container's.
	predecessor int
	cutOverAt   time.Duration // when that swap was done; 0: none gave it the traffic
}

// dead: none of its workers lives, nor will again.
func (g *generation) dead() bool { return g.state >= Leftovers }

// survived: it lives on although it has got KILL (uninterruptible sleep), and nobody
// waits for it any longer.
func (g *generation) survived() bool { return g.state == Killing && g.by == never }

// proven: a successor that has settled and was seen to hold the endpoints.
func (g *generation) proven() bool {
	return g.state == Settling && g.settleAt == never && g.by == never
}

// clear clears the deadlines, its workers' too.
func (g *generation) clear() {
	g.by, g.settleAt = never, never
	for k := range g.workers {
		g.workers[k].by = never
	}
}
