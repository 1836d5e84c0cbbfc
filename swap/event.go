package swap

import (
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// Event is one thing that happened: to a generation (*GenerationEvent) or to the
// container as a whole (*ContainerEvent). String writes it as a line of a scenario,
// see testdata.
type Event interface {
	String() string
	event()
}

// GenerationKind says what happened to one generation, or to one of its workers
// where the comment says so. The generation's state decides what it means.
type GenerationKind uint8

const (
	Started     GenerationKind = iota // Worker's program runs (exec succeeded)
	StartFailed                       // Worker could not be started; Reason, Status
	Ready                             // Worker says that it is ready
	Never                             // no readiness source of Worker will ever report; Reason
	Verified                          // it holds the endpoints
	Refused                           // it holds none of the endpoints; Reason
	Exited                            // Worker has ended; Status
	Swept                             // none of its processes is left
	Extend                            // it asks for Duration more before its next deadline
	Ping                              // Worker is alive (watchdog); Duration > 0 sets a new interval, < 0 ends the watch
	Hung                              // Worker reports itself as hung (WATCHDOG=trigger)
	Joined                            // it speaks on its channel
	ReadyFor                          // Worker could serve Resource, if that were free
	Released                          // it does not use Resource any more
	Drained                           // its connections are idle, or there is nothing to wait for; Reason
	Busy                              // its connections are not idle yet; Reason counts them
	CheckFailed                       // the check of the canary has failed; Reason
	Note                              // Reason describes why it is not ready yet
	Expired                           // one of its deadlines has passed (made by Step itself)
	numGenerationKinds
)

var generationKinds = [numGenerationKinds]string{"started", "start-failed", "ready", "never", "verified", "refused", "exited", "swept", "extend",
	"ping", "hung", "joined", "ready-for", "released", "drained", "busy", "check-failed", "note", "expired"}

func (k GenerationKind) String() string { return generationKinds[k] }

// GenerationEvent is an event of a generation. Which fields count beyond the
// first two is said at the Kind.
type GenerationEvent struct {
	Kind       GenerationKind
	Generation int
	Worker     int
	Status     Status
	Reason     string
	Resource   string
	Duration   time.Duration
}

func (e *GenerationEvent) event() {}

func (e *GenerationEvent) String() string {
	var l line
	l.word(e.Kind.String())
	l.number("generation", e.Generation)
	l.number("worker", e.Worker)
	l.number("status", e.Status.Code)
	l.number("signal", int(e.Status.Signal))
	l.text("resource", e.Resource)
	l.text("reason", e.Reason)
	l.duration("for", e.Duration)
	return l.String()
}

// ContainerKind says what happened to the container as a whole. The machine's
// phase decides what it means.
type ContainerKind uint8

const (
	Swap        ContainerKind = iota // a request for a swap; Request
	Prepared                         // what comes before Swap is done; Reason if it failed, Command if it named one
	Rollback                         // the traffic is to go back to the predecessor; Request.ID
	Cancel                           // the swap that runs is to end; Request.ID
	Promote                          // the canary or the keep is to end well now; Request.ID
	Stop                             // the container is to stop
	Forward                          // a signal to pass on; Signal
	Granted                          // the gate gives what Ask number Swap asked for, Share of the traffic
	Denied                           // it does not; Reason, Superseded; Swap 0: the turn is lost
	Lost                             // another container has the traffic; Reason; Back: this one is not to have it again
	Regained                         // it is to take the traffic back; Reason
	Called                           // nobody else serves; Reason
	Away                             // the gate cannot be reached
	Here                             // it can again
	NothingLeft                      // no process is left in the container
	Tick                             // time has passed
	numContainerKinds
)

var containerKinds = [numContainerKinds]string{"swap", "prepared", "rollback", "cancel", "promote", "stop", "forward", "granted", "denied", "lost", "regained", "called", "away", "here", "nothing-left", "tick"}

func (k ContainerKind) String() string { return containerKinds[k] }

// ContainerEvent is an event of the container. Which fields count is said at its
// Kind.
type ContainerEvent struct {
	Kind    ContainerKind
	Swap    int
	Request Request
	Signal  Signal
	Reason  string
	Command []string

	Share      int
	Superseded bool // a newer container has the traffic
	Back       bool // it was taken from this one, by an operator's rollback
}

func (e *ContainerEvent) event() {}

func (e *ContainerEvent) String() string {
	var l line
	l.word(e.Kind.String())
	l.number("swap", e.Swap)
	l.number("id", int(e.Request.ID))
	l.words("command", e.Request.Command)
	l.duration("timeout", e.Request.Timeout)
	for _, c := range e.Request.Canary {
		l.text("canary", strconv.Itoa(c.Share)+"/"+c.For.String())
	}
	l.text("canary-by", e.Request.CanaryBy)
	l.number("strategy", int(e.Request.Strategy))
	l.flag("again", e.Request.Again)
	l.flag("force", e.Request.Force)
	l.number("signal", int(e.Signal))
	l.text("reason", e.Reason)
	l.words("hook", e.Command)
	l.number("share", e.Share)
	l.flag("superseded", e.Superseded)
	l.flag("back", e.Back)
	return l.String()
}

// line writes an event as name=value pairs, those that are not zero.
type line struct{ strings.Builder }

func (l *line) word(s string) { l.WriteString(s) }

func (l *line) pair(name, value string) { l.WriteString(" " + name + "=" + value) }

func (l *line) number(name string, n int) {
	if n != 0 {
		l.pair(name, strconv.Itoa(n))
	}
}

func (l *line) text(name, s string) {
	if s != "" {
		l.pair(name, strconv.Quote(s))
	}
}

func (l *line) words(name string, words []string) {
	for _, w := range words {
		l.text(name, w)
	}
}

func (l *line) duration(name string, d time.Duration) {
	if d != 0 {
		l.pair(name, d.String())
	}
}

func (l *line) flag(name string, on bool) {
	if on {
		l.WriteString(" " + name)
	}
}

// Request asks for a swap.
type Request struct {
	ID      uint64        // names whoever is to be answered; 0: nobody (a signal)
	Command []string      // the replacement entrypoint; nil: the default one
	Timeout time.Duration // time to become ready; 0: Config.ReadyTimeout
	Canary  []Canary      // its stages; nil: Config.Canary

	CanaryBy string   // passed on with Start, "": the default
	Strategy Strategy // the zero value: Config.Strategy
	Again    bool     // the command of the active generation, whatever the default is
	Force    bool     // the active generation is killed first
}

// Full is all of the new connections, in the unit of Canary.Share.
const Full = shares.Full

// Canary is one stage of a canary: a successor that has settled gets Share
// hundredths of a percent of the new connections for so long.
type Canary struct {
	Share int
	For   time.Duration
}
