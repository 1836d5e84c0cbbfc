package swap

import "github.com/swapinit/swapinit/internal/text"

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
		return text.Sprintf("was ended by signal %d", int(s.Signal))
	}
	return text.Sprintf("exited with status %d", s.Code)
}
