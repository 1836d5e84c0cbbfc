// Package control is how a verb talks to the running init: a Unix stream socket,
// one JSON object a line (docs/control.md draws it).
//
//	verb                                      init
//	  {"v":1,"verb":"swap","args":{…}}  ──────>
//	  <──────  {"v":1,"event":"started",…}        any number
//	  <──────  {"v":1,"ok":true,"generation":2}   exactly one
//
// The server owns every goroutine and fd that it needs and never makes the
// init's loop wait: the loop answers through Call.Event and Call.Done, which
// only put something into a bounded buffer.
package control

import (
	"time"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/wire"
)

// Version is the protocol's, the "v" of every line.
const Version = wire.Version

// Limits of the protocol.
const (
	// MaxLine is the longest request in bytes, without its newline.
	MaxLine = 64 << 10
	// MaxClients is how many connections are served at a time.
	MaxClients = 64
	// maxAnswer bounds what a client keeps of one line of the init.
	maxAnswer = 16 << 20
)

// The verbs that the wire knows.
const (
	VerbSwap     = "swap"
	VerbStatus   = "status"
	VerbHealth   = "health"
	VerbStop     = "stop"
	VerbRollback = "rollback"
	VerbPromote  = "promote"
	VerbVersion  = "version"
	VerbRestart  = "restart"
	VerbMessage  = "message"
	VerbWait     = "wait" // at a gate
	VerbCheck    = "check"
)

// VerbMetrics is not on the wire: it prints what status tells in another form.
const VerbMetrics = "metrics"

var verbs = []string{VerbSwap, VerbStatus, VerbHealth, VerbStop, VerbRollback, VerbPromote, VerbVersion, VerbRestart, VerbMessage, VerbWait, VerbCheck}

// Codes say, for a program, why a request was not carried out.
const (
	CodeRefused = "refused" // not a uid that is let in
	CodeBusy    = "busy"    // too many clients
	CodeRequest = "request" // a line that is no valid request
	CodeVerb    = "verb"    // a verb that this version does not know
)

// Request begins an exchange.
type Request struct {
	Verb string
	Swap SwapArgs // the args of the verbs swap and restart, zero otherwise
	Data string   // the arg of the verb message: the text of one JSON value, "" otherwise
	Wait WaitArgs // the args of the verb wait, zero otherwise
}

// WaitArgs are the args of the verb wait.
type WaitArgs struct {
	// Name is a release or a container id, or 12 or more letters of one.
	Name string
	// TimeoutMS is how long to wait, in milliseconds; 0: a minute.
	TimeoutMS int64
	// Rollback asks for the traffic to go back if it does not get it.
	Rollback bool
}

// SwapArgs are the args of the verb swap and, TimeoutMS, NoWait, Force and Side only,
// of the verb restart.
type SwapArgs struct {
	// Command is the replacement entrypoint; empty: the configured one.
	Command []string
	// TimeoutMS is this swap's readiness timeout in milliseconds; 0: the
	// configured one.
	TimeoutMS int64
	// NoWait asks for the reply as soon as the swap is accepted.
	NoWait bool
	// Canary is the stages of this swap as in SWAPINIT_CANARY, not yet parsed;
	// empty: the configured ones.
	Canary string
	// CanaryBy is what decides, as in SWAPINIT_CANARY_BY, not yet parsed; empty: that.
	CanaryBy string
	// Strategy is the name of one, not yet looked up; empty: the configured one.
	Strategy string
	// Follow asks for the event done in place of the reply of a swap that succeeded,
	// and for the reply when the successor has ended.
	Follow bool
	// Force kills the predecessor at once (restart).
	Force bool
	// Cancel ends the swap that runs instead, before its successor has all the traffic.
	Cancel bool
	// Side is the name of a process beside the server that is to be started again, and no
	// generation (restart).
	Side string
}

// Problem is what cannot be asked for in args that are there, "" if there is
// none. It names them so that it fits both the wire and the options of a verb.
func (a SwapArgs) Problem() string {
	others := a.Follow || a.NoWait || a.Canary+a.CanaryBy+a.Strategy != "" || a.TimeoutMS != 0 || len(a.Command) > 0
	switch {
	case a.Follow && a.NoWait:
		return "a swap that nobody waits for cannot be followed"
	case a.Side != "" && (others || a.Force):
		return "a process beside the server is started again by itself"
	case a.Cancel && others:
		return "cancel goes with nothing else"
	}
	return ""
}

// Begins reports whether r asks for a swap to begin.
func (r Request) Begins() bool {
	return (r.Verb == VerbSwap || r.Verb == VerbRestart) && !r.Swap.Cancel && r.Swap.Side == ""
}

// Timeout is TimeoutMS as a duration.
func (a SwapArgs) Timeout() time.Duration { return time.Duration(a.TimeoutMS) * time.Millisecond }

// Event is a stage of a swap. All but Event may be absent.
type Event struct {
	Event      string // a swap.Stage
	Generation int
	Pid        int
	Message    string
	MS         int64 // milliseconds since the generation was started
	Share      int   // of the new connections, in 1/10000; a number of percent on the wire
}

// Reply ends an exchange. All but OK may be absent.
type Reply struct {
	OK         bool
	Error      string
	Code       string
	Generation int     // swap, restart, rollback, promote
	Version    string  // version
	Status     *Status // status
	Delivered  *int    // message: how many workers got it
	// Exit is there when a followed generation has ended, and only then: OK and 0
	// when it was replaced; else its exit status, not OK, and Error says how.
	Exit     *int
	Problems *Problems // check
	// At a gate.
	Container string // wait, rollback, promote: who has the traffic
	Release   string // its
	// Swap is how the swap went, for swap and restart. It is absent where none has begun
	// or is known of: with no_wait or follow, or where the request was not carried out.
	Swap *LastSwap
}

// Problems is what the verb check has found; its "v" is always Version.
type Problems struct {
	V    int
	List []Problem
	// NotReady is what the server waits for that may be ready yet, and is no problem; "" if
	// there is nothing to say.
	NotReady string
}

// Problem is one that a swap would have, or a takeover.
type Problem struct {
	What string
	Why  string
	Set  string // what to do
}

// Status is what the verb status tells. On the wire every field is there, and
// every list is one; its "v" is always Version.
type Status struct {
	V           int
	Pid         int
	Ready       bool
	Gate        *Gate // of `swapinit gate`, which has no generations
	Generations []Generation
	Endpoints   []Endpoint
	Sides       []Side
	Swap        *RunningSwap // null while none runs
	LastSwap    *LastSwap    // null until one ended
	Joined      *Joined      // absent where no gate was joined
	CanaryBy    string       // absent while no canary runs by client or by networks
	OneAddress  string       // where all connections come from, where that matters
	Version     string       // of this init
	Totals      *Totals      // since it was started; absent at a gate
}

// Totals counts what has happened since the init was started.
type Totals struct {
	SwapsOK     int64 // that ended with all the traffic at the successor
	SwapsFailed int64
	SwapsUndone int64 // ok at first, then rolled back, or the successor died
	Restarts    int64 // workers that were started again
	Orphans     int64 // reaped
}

// Joined is what the init is at its gate.
type Joined struct {
	Gate   string // where its socket is
	Role   string // holder, successor, kept, retired, superseded, failed
	AwayMS *int64 // for how long the gate cannot be reached; null while it can
}

// Generation is one incarnation of the entrypoint that still has processes.
type Generation struct {
	Generation int
	State      string
	Pid        int
	Pids       []int
	UptimeMS   int64
	ReadyMS    *int64   // from start to ready; null until then
	Command    []string // the first word is the resolved path
	Dir        string
	Status     string // the last STATUS=
	// What steering knows, null where it knows nothing.
	Share  *int // of the new connections, in 1/10000; a number of percent on the wire
	Open   *int // connections
	Idle   *int // those of them that are idle
	Queued *int // connections that nobody has accepted yet
	// Workers are its workers in the order of their numbers.
	Workers []Worker
	// How long it has been in its state, for how long it may be, and what it waits for.
	SinceMS  int64
	LeftMS   *int64      // null: as long as it wants
	Kept     bool        // draining, but warm: only when it is not kept any longer it drains
	Busy     []busy.Conn // the oldest connections that its drain waits for
	BusyMore int         // how many it waits for besides these
}

// RunningSwap is where the swap that runs stands.
type RunningSwap struct {
	_ [0]func() // no ==, so no code for it

	Generation int    // the successor, which may be yet to come
	Stage      string // one of swap.SwapStages
	SinceMS    int64
	LeftMS     *int64 // null: as long as it takes
	Share      int
}

// Worker is one of the processes that a generation consists of.
type Worker struct {
	Worker   int // its number, from 0
	Pid      int // 0 while none runs
	Ready    bool
	Restarts int // how often it was started again
}

// Endpoint is an address that swapinit listens on.
type Endpoint struct {
	Name      string
	Address   string
	Inherited bool
	Adopted   bool   // the server has bound it for itself, and got its socket
	Steered   bool   // each generation has its own socket
	Reason    string // why they share one, or why connections cannot be counted; else ""
	// Check is an address on which, while a swap runs, every connection reaches the
	// successor; "" without one.
	Check string
}

// Side is a process beside the server.
type Side struct {
	Name     string
	Pid      int // 0 while none runs
	UptimeMS int64
	Restarts int // how often it was started again
	Command  []string
	Reason   string // why none runs, "" while one does or has yet to
}

// LastSwap is how a swap went, and what became of it. The times are RFC 3339 in UTC, as
// in the log.
type LastSwap struct {
	Generation int    // the successor, 0 if none was started
	OK         bool   // the outcome is "ok"
	Reason     string // why it is not, "" if it is
	Outcome    string // ok, failed, rolled back, died
	OutcomeAt  string
	AgoMS      int64 // since then
	Began      string
	Ended      string // with the cut-over, or a failure
	Pid        int    // of the successor's first worker
	Stages     []SwapStage
}

// SwapStage is one that a swap came to.
type SwapStage struct {
	Stage string // a swap.Stage
	AtMS  int64  // since the swap began
	MS    int64  // until the next one, or the swap's end
	Share int    // canary: of the new connections, in 1/10000; a number of percent on the wire
}

// Gate is what a gate tells of its members.
type Gate struct {
	Epoch        int64  // grows with each change of the holder
	Holder       string // the container that has the traffic, or had it last; ""
	Members      []GateMember
	LastTakeover *Takeover // null until there was one
}

// GateMember is a container that has joined, or that the gate remembers.
type GateMember struct {
	Container string
	Release   string
	Order     int
	State     string
	SinceMS   int64  // that it has been in that state
	Reason    string // why it is; may be ""
	Connected bool
	Settled   bool // it had the traffic, and was settled
	// null where nothing is known: it has no sockets, or its connections cannot be seen
	Share  *int
	Open   *int
	Idle   *int
	Queued *int
}

// Takeover is how the traffic came to who has it.
type Takeover struct {
	Container   string
	Release     string
	Predecessor string // container; "" if nobody had it
	Reason      string
	AgoMS       int64
	Waited      *int // connections that had waited for it; null where that is not known
	Drained     *int // that the predecessor had open; the same
	Reset       *int // that nobody could serve any more; the same
}
