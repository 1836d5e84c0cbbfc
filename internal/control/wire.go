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
	VerbSwap    = "swap"
	VerbStatus  = "status"
	VerbHealth  = "health"
	VerbStop    = "stop"
	VerbVersion = "version"
)

var verbs = []string{VerbSwap, VerbStatus, VerbHealth, VerbStop, VerbVersion}

// The events of a swap, in the order in which they can come.
const (
	EventQueued   = "queued"   // another swap runs first
	EventStarted  = "started"  // the successor runs; pid
	EventReady    = "ready"    // it said so; ms since its start
	EventSettled  = "settled"  // it lived on for the settle time
	EventCutover  = "cutover"  // it has the traffic
	EventStopping = "stopping" // the predecessor was told to stop; generation is the predecessor's
	EventFailed   = "failed"   // the successor failed; message
)

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
	Swap SwapArgs // the args of the verb swap, zero otherwise
}

// SwapArgs are the args of the verb swap.
type SwapArgs struct {
	// Command is the replacement entrypoint; empty: the configured one.
	Command []string
	// TimeoutMS is this swap's readiness timeout in milliseconds; 0: the
	// configured one.
	TimeoutMS int64
	// NoWait asks for the reply as soon as the swap is accepted.
	NoWait bool
}

// Timeout is TimeoutMS as a duration.
func (a SwapArgs) Timeout() time.Duration { return time.Duration(a.TimeoutMS) * time.Millisecond }

// Event is a stage of a swap. All but Event may be absent.
type Event struct {
	Event      string
	Generation int
	Pid        int
	Message    string
	MS         int64 // milliseconds since the generation was started
}

// Reply ends an exchange. All but OK may be absent.
type Reply struct {
	OK         bool
	Error      string
	Code       string
	Generation int     // swap
	Version    string  // version
	Status     *Status // status
}

// Status is what the verb status tells. On the wire every field is there, and
// every list is one; its "v" is always Version.
type Status struct {
	V           int
	Pid         int
	Ready       bool
	Generations []Generation
	Endpoints   []Endpoint
	LastSwap    *LastSwap // null until one ended
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
}

// Endpoint is an address that swapinit listens on.
type Endpoint struct {
	Name      string
	Address   string
	Inherited bool
}

// LastSwap is how the latest swap that ended went.
type LastSwap struct {
	Generation int
	OK         bool
	Reason     string
}
