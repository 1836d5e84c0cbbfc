package swap

import "fmt"

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
