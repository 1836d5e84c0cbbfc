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

import "time"

// Version is the protocol's, the "v" of every line.
const Version = 1

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
)

var verbs = []string{VerbSwap, VerbStatus, VerbHealth, VerbStop, VerbRollback, VerbPromote, VerbVersion, VerbRestart, VerbMessage}

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
	others := a.Follow || a.NoWait || a.Canary+a.Strategy != "" || a.TimeoutMS != 0 || len(a.Command) > 0
	switch {
	case a.Follow && a.NoWait:
		return "a swap that nobody waits for cannot be followed"
	case a.Cancel && others:
		return "what calls a swap off begins none"
	}
	return ""
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
}

// Status is what the verb status tells. On the wire every field is there, and
// every list is one; its "v" is always Version.
type Status struct {
	V           int          `wire:"v,version"`
	Pid         int          `wire:"pid"`
	Ready       bool         `wire:"ready"`
	Generations []Generation `wire:"generations"`
	Endpoints   []Endpoint   `wire:"endpoints"`
	LastSwap    *LastSwap    `wire:"last_swap"` // null until one ended
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
}

// LastSwap is how the latest swap that ended went.
type LastSwap struct {
	Generation int    `wire:"generation"`
	OK         bool   `wire:"ok"`
	Reason     string `wire:"reason"`
}
