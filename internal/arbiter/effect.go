package arbiter

import "github.com/swapinit/swapinit/internal/shares"

// Effect is one thing to do, in their order; one of the types below.
type Effect interface{ effect() }

// Save writes State to the disk. Answer: Saved, with the same Number.
type Save struct {
	Number int
	State  State
}

// Aim sends Share of the new connections, of shares.Full, to To and the others to Rest,
// on all endpoints; By decides which. The zero Slot: they wait.
type Aim struct {
	To, Rest Slot
	Share    int
	By       shares.By
}

// Drop: nobody of Member has its sockets any more. What waits in one to which
// connections go stays, and is the next one's.
type Drop struct{ Member string }

// Welcome answers Join.
type Welcome struct {
	_ [0]func() // no ==, so no code for it

	Session Session
	Role    Role
	Order   int
	Epoch   int64
	Healthy bool
	Fresh   bool
}

// Delay: the Welcome comes later.
type Delay struct {
	Session Session
	Reason  string
}

// Refuse ends a connection: there is no room for another member, or it has another one.
// No Ended is needed.
type Refuse struct {
	Session Session
	Reason  string
}

// Answer answers Turn and Ask: granted if Reason is empty.
type Answer struct {
	Session    Session
	ID         int
	Reason     string
	Superseded bool
	Epoch      int64
}

// Notice is what a member is told; gatewire has messages of the same meaning.
type Notice uint8

const (
	Lost   Notice = iota // another member has the traffic
	Back                 // take the traffic back; answer: Took
	Serve                // start a server: you hold; answer: Took
	Cut                  // your turn is over
	Ending               // an operator's promote
	Renew                // take fresh sockets by a swap of your own
)

// Tell tells a member.
type Tell struct {
	_ [0]func() // no ==, so no code for it

	Session    Session
	Notice     Notice
	Epoch      int64
	Reason     string
	RolledBack bool
}

// Ping is for one that has the turn. Answer: Alive.
type Ping struct{ Session Session }

// Takeover is for the log, and for those who wait: Member has all the traffic.
type Takeover struct {
	_ [0]func() // no ==, so no code for it

	Member, Predecessor string // Predecessor is "" if nobody had it
	Reason              string
}

// Reply answers an operator; done if Reason is empty. Member has the traffic.
type Reply struct {
	_ [0]func() // no ==, so no code for it

	ID     uint64
	Member string
	Reason string
}

// Note is for the log: what has become of a member.
type Note struct{ Member, Text string }

func (*Save) effect()     {}
func (*Aim) effect()      {}
func (*Drop) effect()     {}
func (*Welcome) effect()  {}
func (*Delay) effect()    {}
func (*Refuse) effect()   {}
func (*Answer) effect()   {}
func (*Tell) effect()     {}
func (*Ping) effect()     {}
func (*Takeover) effect() {}
func (*Reply) effect()    {}
func (*Note) effect()     {}
