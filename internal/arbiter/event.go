package arbiter

import "github.com/swapinit/swapinit/internal/shares"

// Session names one connection of a member; each has another number. 0 is none.
type Session int

// Slot names the sockets of one generation of a member. The zero Slot is that in which
// connections wait for whoever comes next.
type Slot struct {
	Member     string // the container
	Generation int
}

// Role is what a member is; gatewire.Role has the same words.
type Role string

const (
	Holder     Role = "holder"
	Successor  Role = "successor"
	Kept       Role = "kept"
	Retired    Role = "retired"
	Superseded Role = "superseded"
	Failed     Role = "failed"
)

// Event is something that happened; one of the types below.
type Event interface{ event() }

// Tick: time has passed.
type Tick struct{}

// Join: a member has said hello.
type Join struct {
	_ [0]func() // no ==, so no code for it

	Session    Session
	Member     string // container id
	Release    string
	Life       string // of its init: another one after a restart
	Epoch      int64  // the last that it was told
	State      Role   // what it takes itself for; "" for a new life
	Generation int    // that has, or had, the traffic and still serves; 0: none
	Dead       bool   // its sockets are of no use any more (another network namespace)
}

// Ended: a connection has ended: its member has died, or has gone after Leaving.
type Ended struct{ Session Session }

// Leaving: it was told to stop, or (Died) its server has ended and it will follow.
type Leaving struct {
	Session Session
	Died    bool
}

// Turn: the holder wants to swap inside. Answer: Answer.
type Turn struct {
	Session Session
	ID      int
}

// Ask: Generation is to get Share of the new connections, By decides which; shares.Full is
// the cut-over.
// Operator: by an operator's swap, so whatever its order is. Answer: Answer.
type Ask struct {
	Session    Session
	ID         int
	Generation int
	Share      int
	By         shares.By
	Operator   bool
}

// Done: the swap for which it had the turn, or had asked, has ended.
type Done struct{ Session Session }

// Took answers Tell{Back} and Tell{Serve}: that generation has the traffic; 0: none can.
type Took struct {
	Session    Session
	Generation int
}

// Moved: the holder itself has moved its traffic to that generation of its own.
type Moved struct {
	Session    Session
	Generation int
}

// Settled: the holder has settled.
type Settled struct{ Session Session }

// NoServer: the last server of a member has ended, its init stays.
type NoServer struct{ Session Session }

// Alive: a member has answered a ping, or has said anything else.
type Alive struct{ Session Session }

// Saved answers Save.
type Saved struct {
	Number int
	Err    string // "" if it is on the disk
}

// Unmoved: the kernel has refused an Aim, for Reason. It is tried again; a canary that has
// no share meanwhile has nothing to prove itself on.
type Unmoved struct {
	Aim    Aim
	Reason string
}

// Rollback and Promote are an operator's. Answer: Reply.
type Rollback struct {
	ID      uint64
	Session Session // of the member in which it was asked for; 0: at the gate
}
type Promote struct{ ID uint64 }

func (*Tick) event()     {}
func (*Join) event()     {}
func (*Ended) event()    {}
func (*Leaving) event()  {}
func (*Turn) event()     {}
func (*Ask) event()      {}
func (*Done) event()     {}
func (*Took) event()     {}
func (*Moved) event()    {}
func (*Settled) event()  {}
func (*NoServer) event() {}
func (*Alive) event()    {}
func (*Saved) event()    {}
func (*Unmoved) event()  {}
func (*Rollback) event() {}
func (*Promote) event()  {}
