package signals

import (
	"fmt"
	"slices"
	"syscall"
)

// Kind is what an init does about a signal.
type Kind uint8

const (
	Drop    Kind = iota // nothing: not the child's business, or mapped away
	Forward             // hand it to the active generation
	Swap                // ask for a swap
	Stop                // stop the container
)

func (k Kind) String() string {
	switch k {
	case Drop:
		return "drop"
	case Forward:
		return "forward"
	case Swap:
		return "swap"
	case Stop:
		return "stop"
	}
	return "unknown"
}

// Policy is the configured meaning of signals. The zero Policy forwards
// everything that can be forwarded.
type Policy struct {
	SwapSignals []syscall.Signal
	StopSignals []syscall.Signal
	Rewrite     map[syscall.Signal]syscall.Signal // to 0 = drop
}

// Decide tells what sig means and, for Forward, which signal the child gets.
// The meaning to the init comes first and the rewriting after it, so a map
// like INT=TERM changes what the child sees and never stops the container.
func (p Policy) Decide(sig syscall.Signal) (Kind, syscall.Signal) {
	switch {
	case !forwardable(sig):
		return Drop, 0
	case slices.Contains(p.SwapSignals, sig):
		return Swap, sig
	case slices.Contains(p.StopSignals, sig):
		return Stop, sig
	}
	to, mapped := p.Rewrite[sig]
	switch {
	case !mapped:
		return Forward, sig
	case to == 0:
		return Drop, 0
	}
	return Forward, to
}

// Validate refuses a policy that could not be kept: signals that never reach
// us, or one that would both swap and stop.
func (p Policy) Validate() error {
	for _, sig := range p.SwapSignals {
		if err := usable(sig); err != nil {
			return fmt.Errorf("cannot swap on %s: %w", Name(sig), err)
		}
		if slices.Contains(p.StopSignals, sig) {
			return fmt.Errorf("cannot both swap and stop on %s: name it in one of the two lists only", Name(sig))
		}
	}
	for _, sig := range p.StopSignals {
		if err := usable(sig); err != nil {
			return fmt.Errorf("cannot stop on %s: %w", Name(sig), err)
		}
	}
	for from, to := range p.Rewrite {
		if err := usable(from); err != nil {
			return fmt.Errorf("cannot rewrite %s: %w", Name(from), err)
		}
		if to < 0 || to > rtMax {
			return fmt.Errorf("cannot rewrite %s to %d: accepted are 1 to 64, and 0 to drop it", Name(from), int(to))
		}
	}
	return nil
}

func usable(sig syscall.Signal) error {
	switch {
	case sig < 1 || sig > rtMax:
		return fmt.Errorf("no such signal, accepted are 1 to 64")
	case sig == syscall.SIGKILL || sig == syscall.SIGSTOP:
		return fmt.Errorf("the kernel lets nobody catch it")
	case !forwardable(sig):
		return fmt.Errorf("it is used by swapinit or the Go runtime itself and never forwarded")
	}
	return nil
}

// forwardable says whether a signal, when it comes, can be taken as a message
// from outside.
func forwardable(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP: // cannot be caught
		return false
	case syscall.SIGCHLD: // about our own children
		return false
	case syscall.SIGPIPE: // about our own writes
		return false
	case syscall.SIGURG: // the Go scheduler preempts with it, dozens a minute
		return false
	case syscall.SIGPROF, 32, 33, 34: // the Go runtime never delivers these
		return false
	}
	return sig >= 1 && sig <= rtMax
}
