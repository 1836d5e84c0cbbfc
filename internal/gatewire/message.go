// Package gatewire is what a gate and its members say to each other: JSON lines over
// a Unix stream socket, some with sockets (SCM_RIGHTS, unix(7)). docs/gate.md draws it.
//
//	member                                        gate
//	  hello: who I am, what I hold [sockets] ────>
//	  <──── wait                                  while it recovers
//	  <──── welcome: endpoints, role, epoch
//	  call 1: add 8080, generation 2        ────>
//	  <──── answer 1 [socket]
//	  call 2: ask generation 2, share 100 % ────>   the answer can take long
//	  <──── ping                                  to whoever has the turn
//	  pong                                  ────>
//	  <──── answer 2
//	  <──── lost                                  another one has the traffic
//	  end of the connection: the member has died, or the gate is away
//
// Either side may speak at any time; answers may come in another order than the calls.
// After a new connection (the gate was away) a member says hello again, and then sends
// again every call that had no answer: each may be carried out twice with the same
// result.
package gatewire

import "github.com/swapinit/swapinit/internal/busy"

// Versions of the protocol that this program speaks.
const (
	VersionMin = 1
	VersionMax = 1
)

// Limits.
const (
	MaxLine  = 64 << 10 // bytes of a line, without its newline
	MaxFDs   = 64       // sockets with one line
	MaxCalls = 64       // of a member that have no answer yet
)

// Kind is what a message is.
type Kind string

// From a member.
const (
	// Min, Max, Container, Release, Life, Epoch, State, Generation, Sockets; with the line
	// a socket for each of Sockets.
	Hello Kind = "hello"

	Call Kind = "call" // ID, Op and what that needs
	Pong Kind = "pong" // the answer to Ping
)

// From a gate.
const (
	Welcome Kind = "welcome" // Version, Epoch, Role, Order, Endpoints, Fresh, Healthy
	Wait    Kind = "wait"    // Reason: the welcome comes later
	Refuse  Kind = "refuse"  // Reason; the end
	Answer  Kind = "answer"  // ID, Error, Code, and what Op answers; perhaps a socket
	Ping    Kind = "ping"
	Lost    Kind = "lost"    // Epoch, Reason, RolledBack: another member has the traffic
	Back    Kind = "back"    // Epoch, Reason: the member is to take the traffic back, see OpTook
	Serve   Kind = "serve"   // Epoch, Reason: one without a server is to start one, and holds
	Cut     Kind = "cut"     // Reason: it has lost its turn; its swap or canary is over
	Promote Kind = "promote" // by an operator: its canary or its keep is to end well
	Renew   Kind = "renew"   // its sockets are dead: the holder is to take fresh ones by a swap of its own
)

// Op is what a call asks for.
type Op string

const (
	// Of one endpoint, by its name.
	OpAdd       Op = "add"       // Generation, Together -> its socket; Code full: try again later
	OpAim       Op = "aim"       // Generation, Rest, Share, By: between generations of the holder's own
	OpLeave     Op = "leave"     // Generation: it has no process any more
	OpLook      Op = "look"      // Generation, IdleMS -> Looks, one
	OpCounts    Op = "counts"    // IdleMS -> Looks, one for each of the member's generations
	OpShare     Op = "share"     // Generation -> Share; Code none: it has no socket
	OpProbe     Op = "probe"     // Generation, Address: where to connect -> a connection that is aimed at it
	OpAccepted  Op = "accepted"  // Address: the local one of such a connection -> Yes
	OpPeer      Op = "peer"      // -> Yes: it is known where connections come from; Address: all of them from there
	OpTwin      Op = "twin"      // -> Endpoints, one: that of the other address family
	OpSleep     Op = "sleep"     // the holder: it is to refuse connections
	OpWake      Op = "wake"      // no longer
	OpListening Op = "listening" // Backlog: listen(2) again with at least that

	// Of the member as a whole.
	OpTurn     Op = "turn"     // a swap of the holder's own may begin
	OpAsk      Op = "ask"      // Generation, Share, By, Operator: it is to get that share of the traffic; shares.Full commits
	OpDone     Op = "done"     // the swap has ended, well or not; the turn with it
	OpTook     Op = "took"     // Generation: it has taken the traffic back (Back, Serve); 0: it cannot
	OpLeaving  Op = "leaving"  // Died: its server has ended, Reason; else it was told to stop: connections are to wait
	OpRetired  Op = "retired"  // its last server has ended, it stays
	OpRollback Op = "rollback" // by an operator in the holder -> Container, Release: who has the traffic
	OpSettled  Op = "settled"  // the holder: it has settled, from now on it is healthy
)

// Role is what a gate takes a member for.
type Role string

const (
	Holder     Role = "holder"     // has the traffic; one without a server starts it at once
	Successor  Role = "successor"  // may ask for it once it is ready
	Kept       Role = "kept"       // had the traffic, its server lives
	Retired    Role = "retired"    // had it, its server has ended
	Superseded Role = "superseded" // a newer one has it: it stays without
	Failed     Role = "failed"     // lost it by death or rollback
)

// Codes of an answer that is an error.
const (
	CodeFull       = "full"       // no place for another socket now
	CodeNone       = "none"       // no such endpoint, generation or socket
	CodeSuperseded = "superseded" // of ask: a newer member has the traffic
	CodeDenied     = "denied"     // of turn, ask: not now, and Error says why
)

// Message is one line, of either side. What is absent is zero.
type Message struct {
	Kind Kind

	ID         int
	Op         Op
	Endpoint   string // its name
	Generation int
	Rest       int
	Share      int    // of shares.Full
	By         string // shares.By: decides where a connection goes
	Together   bool
	Operator   bool
	Died       bool
	IdleMS     int64
	Address    string
	Backlog    int

	Min       int
	Max       int
	Container string
	Release   string
	Life      string   // another one after a restart of the member's init
	State     string   // "" for a newcomer; else a Role: what it takes itself for
	Sockets   []Socket // that come with the line, in this order

	Version    int
	Epoch      int64 // grows with each change of the holder
	Role       Role
	Order      int
	Endpoints  []Endpoint
	Fresh      bool // the sockets that it had are dead
	Healthy    bool // it had the traffic before, and was settled
	Error      string
	Code       string
	Reason     string
	RolledBack bool
	Yes        bool
	Looks      []Look

	FDs int // descriptors that come with the line
}

// Socket names a socket that a member has.
type Socket struct {
	Endpoint   string
	Generation int
}

// Endpoint is one that a gate has open.
type Endpoint struct {
	_ [0]func() // no ==, so no code for it

	Name   string
	Text   string // as in SWAPINIT_LISTEN, what a member reads again
	Twin   bool   // of the other address family than Text says
	Waits  bool   // moves at it take a file system
	Unseen string // why its connections cannot be counted
}

// Look is steer.Look of one generation.
type Look struct {
	Generation int
	Open       int
	Idle       int
	Half       int
	Queued     int
	Unseen     bool
	// Busy are the oldest that are waited for, busy.Most at most. Of look only.
	Busy []busy.Conn
}
