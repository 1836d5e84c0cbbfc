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
	VerbWait     = "wait"  // at a gate
	VerbCheck    = "check" // the same
)

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
	Verb string   `wire:"verb"`
	Swap SwapArgs // the args of the verbs swap and restart, zero otherwise
	Data string   // the arg of the verb message: the text of one JSON value, "" otherwise
	Wait WaitArgs // the args of the verb wait, zero otherwise
}

// WaitArgs are the args of the verb wait.
type WaitArgs struct {
	// Name is a release or a container id, or 12 or more letters of one.
	Name string `wire:"name"`
	// TimeoutMS is how long to wait, in milliseconds; 0: a minute.
	TimeoutMS int64 `wire:"timeout_ms,omitempty"`
	// Rollback asks for the traffic to go back if it does not get it.
	Rollback bool `wire:"or_rollback,omitempty"`
}

// SwapArgs are the args of the verb swap and, TimeoutMS, NoWait and Force only,
// of the verb restart.
type SwapArgs struct {
	// Command is the replacement entrypoint; empty: the configured one.
	Command []string `wire:"command,omitempty" verbs:"swap"`
	// TimeoutMS is this swap's readiness timeout in milliseconds; 0: the
	// configured one.
	TimeoutMS int64 `wire:"timeout_ms,omitempty" verbs:"swap restart"`
	// NoWait asks for the reply as soon as the swap is accepted.
	NoWait bool `wire:"no_wait,omitempty" verbs:"swap restart"`
	// Canary is the stages of this swap as in SWAPINIT_CANARY, not yet parsed;
	// empty: the configured ones.
	Canary string `wire:"canary,omitempty" verbs:"swap"`
	// CanaryBy is what decides, as in SWAPINIT_CANARY_BY, not yet parsed; empty: that.
	CanaryBy string `wire:"canary_by,omitempty" verbs:"swap"`
	// Strategy is the name of one, not yet looked up; empty: the configured one.
	Strategy string `wire:"strategy,omitempty" verbs:"swap"`
	// Follow asks for the event done in place of the reply of a swap that succeeded,
	// and for the reply when the successor has ended.
	Follow bool `wire:"follow,omitempty" verbs:"swap"`
	// Force kills the predecessor at once (restart).
	Force bool `wire:"force,omitempty" verbs:"restart"`
	// Cancel ends the swap that runs instead, before its successor has all the traffic.
	Cancel bool `wire:"cancel,omitempty" verbs:"swap"`
}

// Problem is what cannot be asked for in args that are there, "" if there is
// none. It names them so that it fits both the wire and the options of a verb.
func (a SwapArgs) Problem() string {
	others := a.Follow || a.NoWait || a.Canary+a.CanaryBy+a.Strategy != "" || a.TimeoutMS != 0 || len(a.Command) > 0
	switch {
	case a.Follow && a.NoWait:
		return "a swap that nobody waits for cannot be followed"
	case a.Cancel && others:
		return "what calls a swap off begins none"
	}
	return ""
}

// Begins reports whether r asks for a swap to begin.
func (r Request) Begins() bool {
	return (r.Verb == VerbSwap || r.Verb == VerbRestart) && !r.Swap.Cancel
}

// Timeout is TimeoutMS as a duration.
func (a SwapArgs) Timeout() time.Duration { return time.Duration(a.TimeoutMS) * time.Millisecond }

// Event is a stage of a swap. All but Event may be absent.
type Event struct {
	Event      string `wire:"event,omitempty"` // a swap.Stage
	Generation int    `wire:"generation,omitempty"`
	Pid        int    `wire:"pid,omitempty"`
	Message    string `wire:"message,omitempty"`
	MS         int64  `wire:"ms,omitempty"`            // milliseconds since the generation was started
	Share      int    `wire:"share,percent,omitempty"` // of the new connections, in 1/10000; a number of percent on the wire
}

// Reply ends an exchange. All but OK may be absent.
type Reply struct {
	OK         bool    `wire:"ok"`
	Error      string  `wire:"error,omitempty"`
	Code       string  `wire:"code,omitempty"`
	Generation int     `wire:"generation,omitempty"` // swap, restart, rollback, promote
	Version    string  `wire:"version,omitempty"`    // version
	Status     *Status `wire:"status,omitempty"`     // status
	Delivered  *int    `wire:"delivered,omitempty"`  // message: how many workers got it
	// Exit is there when a followed generation has ended, and only then: OK and 0
	// when it was replaced; else its exit status, not OK, and Error says how.
	Exit *int `wire:"exit,omitempty"`
	// At a gate.
	Container string    `wire:"container,omitempty"` // wait, rollback, promote: who has the traffic
	Release   string    `wire:"release,omitempty"`   // its
	Problems  *Problems `wire:"check,omitempty"`     // check
	// Swap is how the swap went, for swap and restart. It is absent where none has begun
	// or is known of: with no_wait or follow, or where the request was not carried out.
	Swap *LastSwap `wire:"swap,omitempty"`
}

// Problems is what the verb check has found; its "v" is always Version.
type Problems struct {
	V    int       `wire:"v,version"`
	List []Problem `wire:"problems"`
}

// Problem is one that a takeover would have.
type Problem struct {
	What string `wire:"what"`
	Why  string `wire:"why"`
	Set  string `wire:"set"` // what to do
}

// Status is what the verb status tells. On the wire every field is there, and
// every list is one; its "v" is always Version.
type Status struct {
	V           int          `wire:"v,version"`
	Pid         int          `wire:"pid"`
	Ready       bool         `wire:"ready"`
	Gate        *Gate        `wire:"gate,omitempty"` // of `swapinit gate`, which has no generations
	Generations []Generation `wire:"generations"`
	Endpoints   []Endpoint   `wire:"endpoints"`
	Swap        *RunningSwap `wire:"swap"`                  // null while none runs
	LastSwap    *LastSwap    `wire:"last_swap"`             // null until one ended
	Joined      *Joined      `wire:"joined,omitempty"`      // absent where no gate was joined
	CanaryBy    string       `wire:"canary_by,omitempty"`   // absent while no canary runs by client or by networks
	OneAddress  string       `wire:"one_address,omitempty"` // where all connections come from, where that matters
}

// Joined is what the init is at its gate.
type Joined struct {
	Gate   string `wire:"gate"`    // where its socket is
	Role   string `wire:"role"`    // holder, successor, kept, retired, superseded, failed
	AwayMS *int64 `wire:"away_ms"` // for how long the gate cannot be reached; null while it can
}

// Generation is one incarnation of the entrypoint that still has processes.
type Generation struct {
	Generation int      `wire:"generation"`
	State      string   `wire:"state"`
	Pid        int      `wire:"pid"`
	Pids       []int    `wire:"pids"`
	UptimeMS   int64    `wire:"uptime_ms"`
	ReadyMS    *int64   `wire:"ready_ms"` // from start to ready; null until then
	Command    []string `wire:"command"`  // the first word is the resolved path
	Dir        string   `wire:"dir"`
	Status     string   `wire:"status"` // the last STATUS=
	// What steering knows, null where it knows nothing.
	Share  *int `wire:"share,percent"` // of the new connections, in 1/10000; a number of percent on the wire
	Open   *int `wire:"open"`          // connections
	Idle   *int `wire:"idle"`          // those of them that are idle
	Queued *int `wire:"queued"`        // connections that nobody has accepted yet
	// Workers are its workers in the order of their numbers.
	Workers []Worker `wire:"workers"`
	// How long it has been in its state, for how long it may be, and what it waits for.
	SinceMS  int64       `wire:"since_ms"`
	LeftMS   *int64      `wire:"left_ms"`   // null: as long as it wants
	Kept     bool        `wire:"kept"`      // draining, but warm: only when it is not kept any longer it drains
	Busy     []busy.Conn `wire:"busy"`      // the oldest connections that its drain waits for
	BusyMore int         `wire:"busy_more"` // how many it waits for besides these
}

// RunningSwap is where the swap that runs stands.
type RunningSwap struct {
	_ [0]func() // no ==, so no code for it

	Generation int    `wire:"generation"` // the successor, which may be yet to come
	Stage      string `wire:"stage"`      // one of swap.SwapStages
	SinceMS    int64  `wire:"since_ms"`
	LeftMS     *int64 `wire:"left_ms"` // null: as long as it takes
	Share      int    `wire:"share,percent"`
}

// Worker is one of the processes that a generation consists of.
type Worker struct {
	Worker   int  `wire:"worker"` // its number, from 0
	Pid      int  `wire:"pid"`    // 0 while none runs
	Ready    bool `wire:"ready"`
	Restarts int  `wire:"restarts"` // how often it was started again
}

// Endpoint is an address that swapinit listens on.
type Endpoint struct {
	Name      string `wire:"name"`
	Address   string `wire:"address"`
	Inherited bool   `wire:"inherited"`
	Adopted   bool   `wire:"adopted"` // the server has bound it for itself, and got its socket
	Steered   bool   `wire:"steered"` // each generation has its own socket
	Reason    string `wire:"reason"`  // why they share one, or why connections cannot be counted; else ""
	// Check is an address on which, while a swap runs, every connection reaches the
	// successor; "" without one.
	Check string `wire:"check_address"`
}

// LastSwap is how a swap went, and what became of it. The times are RFC 3339 in UTC, as
// in the log.
type LastSwap struct {
	Generation int         `wire:"generation"` // the successor, 0 if none was started
	OK         bool        `wire:"ok"`         // the outcome is "ok"
	Reason     string      `wire:"reason"`     // why it is not, "" if it is
	Outcome    string      `wire:"outcome"`    // ok, failed, rolled back, died
	OutcomeAt  string      `wire:"outcome_at"`
	AgoMS      int64       `wire:"ago_ms"` // since then
	Began      string      `wire:"began"`
	Ended      string      `wire:"ended"` // with the cut-over, or a failure
	Pid        int         `wire:"pid"`   // of the successor's first worker
	Stages     []SwapStage `wire:"stages"`
}

// SwapStage is one that a swap came to.
type SwapStage struct {
	Stage string `wire:"stage"`                   // a swap.Stage
	AtMS  int64  `wire:"at_ms"`                   // since the swap began
	MS    int64  `wire:"ms"`                      // until the next one, or the swap's end
	Share int    `wire:"share,percent,omitempty"` // canary: of the new connections, in 1/10000; a number of percent on the wire
}

// Gate is what a gate tells of its members.
type Gate struct {
	Epoch        int64        `wire:"epoch"`  // grows with each change of the holder
	Holder       string       `wire:"holder"` // the container that has the traffic, or had it last; ""
	Members      []GateMember `wire:"members"`
	LastTakeover *Takeover    `wire:"last_takeover"` // null until there was one
}

// GateMember is a container that has joined, or that the gate remembers.
type GateMember struct {
	Container string `wire:"container"`
	Release   string `wire:"release"`
	Order     int    `wire:"order"`
	State     string `wire:"state"`
	SinceMS   int64  `wire:"since_ms"` // that it has been in that state
	Reason    string `wire:"reason"`   // why it is; may be ""
	Connected bool   `wire:"connected"`
	Settled   bool   `wire:"settled"` // it had the traffic, and was settled
	// null where nothing is known: it has no sockets, or its connections cannot be seen
	Share  *int `wire:"share,percent"`
	Open   *int `wire:"open"`
	Idle   *int `wire:"idle"`
	Queued *int `wire:"queued"`
}

// Takeover is how the traffic came to who has it.
type Takeover struct {
	Container   string `wire:"container"`
	Release     string `wire:"release"`
	Predecessor string `wire:"predecessor"` // container; "" if nobody had it
	Reason      string `wire:"reason"`
	AgoMS       int64  `wire:"ago_ms"`
	Waited      *int   `wire:"waited"`  // connections that had waited for it; null where that is not known
	Drained     *int   `wire:"drained"` // that the predecessor had open; the same
	Reset       *int   `wire:"reset"`   // that nobody could serve any more; the same
}
