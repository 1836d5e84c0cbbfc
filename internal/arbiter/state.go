package arbiter

import "time"

// State is what survives the gate.
type State struct {
	Epoch   int64
	Last    int    // the highest number that was given out
	Holder  string // the container that has the traffic, or had it last; "" for none
	Members []Member
}

// Member is what is remembered of a container.
type Member struct {
	_ [0]func() // no ==, so no code for it

	Container string
	Release   string
	Order     int
	Out       Role // Retired, Failed or Superseded; "" for one that may hold
	Settled   bool // it had the traffic, and was settled
}

// View is a member as status shows it.
type View struct {
	Member
	Session Session // 0: it is not connected
	Role    Role
	State   string // holder, rising, canary, kept, draining, retired, superseded, failed, leaving, away
	Share   int
	Since   time.Duration // when it came to that state, by the arbiter's clock
	Reason  string
}
