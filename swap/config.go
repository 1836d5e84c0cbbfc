package swap

import "time"

// Config is what the machine needs to know of the settings. All durations are
// taken as they are; what 0 means is said at each.
type Config struct {
	ReadyTimeout    time.Duration // a successor not ready by then has failed; 0: no limit
	Settle          time.Duration // ready, it must live this much longer
	Drain           bool          // after the cut-over wait for Drained before the stop signal
	DrainTimeout    time.Duration // but no longer than that; 0: no limit
	Canary          []Canary      // stages before the cut-over
	Keep            time.Duration // a predecessor is kept warm that long before its drain begins
	RetireTimeout   time.Duration // a predecessor's time from stop signal to KILL; 0: no limit
	StopDelay       time.Duration // from being told to stop to passing it on
	StopDrain       time.Duration // then it waits so long at most for the connections; 0: not at all
	StopTimeout     time.Duration // when the container stops, from stop signal to KILL; 0: no limit
	LeftoverTimeout time.Duration // what leftovers get between TERM and KILL; 0: none
	Watchdog        time.Duration // interval of the watchdog; 0: off
	MaxGenerations  int           // live generations, at least 2
	Workers         int           // processes a generation, at least 1
	Batch           int           // how many of them are replaced at a time; 0: all
	Membership      Membership    // whether another container may have the traffic
	Respawn         Respawn       // which of them are started again
	Strategy        Strategy      // of a swap that names none
	Prepare         bool          // a swap begins with Prepare
	PrepareTimeout  time.Duration // for the answer to Prepare; 0: no limit
	StopSignal      Signal        // 0: the user has it dropped
	RetireSignal    Signal
	AbortSignal     Signal // for a generation that misses its watchdog
	ReadyHint       string // appended to "not ready in time"
	SettleHint      string // appended to "while it settled"
}

const (
	abortGrace  = 5 * time.Second  // from the watchdog's ABRT to KILL
	verifyGrace = 10 * time.Second // an examination that takes longer counts as failed
	abandon     = 5 * time.Second  // what survives KILL is not waited for any longer
	roomTimeout = time.Minute      // the wait for room, where readiness has no limit
	takedown    = 10 * time.Second // for a predecessor to release a resource
	maxExtend   = time.Hour        // that one message can ask for
	maxWaiting  = 256              // requests in the queue
	maxAsks     = 1024             // resources of one handover, whoever is behind them
)

// Respawn says which workers of an active generation are started again.
type Respawn uint8

const (
	RespawnNever Respawn = iota
	RespawnOnFailure
	RespawnAlways
)
