package swap

import (
	"fmt"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// Signal is a signal number, as in signal(7).
type Signal int

// Status is how a process ended: by exit(2) with a code, or by a signal.
type Status struct {
	Code   int    // exit code; meaningless when Signal is set
	Signal Signal // the signal that ended it, 0 if none
}

// ExitCode is the status as a shell tells it: the code, or 128+n for signal n.
func (s Status) ExitCode() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}

func (s Status) String() string {
	if s.Signal != 0 {
		return fmt.Sprintf("was ended by signal %d", int(s.Signal))
	}
	return fmt.Sprintf("exited with status %d", s.Code)
}

// Kind says what happened. The first group concerns one generation, or one of its
// workers where the comment says so, and is decided by its state; the second
// concerns the container and is decided by the machine's phase.
type Kind uint8

const (
	Started     Kind = iota // Worker's program runs (exec succeeded)
	StartFailed             // Worker could not be started; Reason, Status
	Ready                   // Worker says that it is ready
	Never                   // no readiness source of Worker will ever report; Reason
	Verified                // it holds the endpoints
	Refused                 // it holds none of the endpoints; Reason
	Exited                  // Worker has ended; Status
	Swept                   // none of its processes is left
	Extend                  // it asks for Duration more before its next deadline
	Ping                    // Worker is alive (watchdog); Duration > 0 sets a new interval, < 0 ends the watch
	Hung                    // Worker reports itself as hung (WATCHDOG=trigger)
	Joined                  // it speaks on its channel
	ReadyFor                // Worker could serve Resource, if that were free
	Released                // it does not use Resource any more
	Drained                 // its connections are idle, or there is nothing to wait for; Reason
	Busy                    // its connections are not idle yet; Reason counts them
	CheckFailed             // the check of the canary has failed; Reason
	Note                    // Reason describes why it is not ready yet
	Expired                 // one of its deadlines has passed (made by Step itself)
	numGenerationKinds
)

const (
	Swap        Kind = numGenerationKinds + iota // a request for a swap; Request
	Prepared                                     // what comes before a swap is done; Reason if it failed, Request.Command if it named one
	Rollback                                     // the traffic is to go back to the predecessor; Request.ID
	Promote                                      // the canary or the keep is to end well now; Request.ID
	Stop                                         // the container is to stop
	Forward                                      // a signal to pass on; Signal
	NothingLeft                                  // no process is left in the container
	Tick                                         // time has passed
	numKinds
)

var kindNames = [numKinds]string{"started", "start-failed", "ready", "never", "verified", "refused", "exited", "swept", "extend",
	"ping", "hung", "joined", "ready-for", "released", "drained", "busy", "check-failed", "note", "expired", "swap", "prepared", "rollback", "promote", "stop", "forward", "nothing-left", "tick"}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "unknown"
}

// Event is one thing that happened. Which fields count is said at its Kind.
type Event struct {
	Kind       Kind
	Generation int
	Worker     int
	Resource   string
	Status     Status
	Reason     string
	Signal     Signal
	Duration   time.Duration
	Request    Request
}

// Request asks for a swap.
type Request struct {
	ID      uint64        // names whoever is to be answered; 0: nobody (a signal)
	Command []string      // the replacement entrypoint; nil: the default one
	Timeout time.Duration // time to become ready; 0: Config.ReadyTimeout
	Canary  []Canary      // its stages; nil: Config.Canary

	Strategy Strategy // the zero value: Config.Strategy
	Again    bool     // the command of the active generation, whatever the default is
	Force    bool     // the active generation is killed first
}

// Strategy is how a successor takes over.
type Strategy uint8

const (
	Default  Strategy = iota // the configured one; as the configured one: Overlap
	Overlap                  // both live until the successor has proved itself
	Handover                 // the successor boots beside the predecessor, and takes one resource after the other from it
	Replace                  // the predecessor ends first; connections wait
)

// Respawn says which workers of an active generation are started again.
type Respawn uint8

const (
	RespawnNever Respawn = iota
	RespawnOnFailure
	RespawnAlways
)

// Full is all of the new connections, in the unit of Canary.Share.
const Full = shares.Full

// Canary is one stage of a canary: a successor that has settled gets Share
// hundredths of a percent of the new connections for so long.
type Canary struct {
	Share int
	For   time.Duration
}
