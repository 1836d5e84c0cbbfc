package signals

import (
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

func (k Kind) String() string { return [...]string{"drop", "forward", "swap", "stop"}[k] }

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

// Uncatchable is why sig, when it comes, cannot be taken as a message from
// outside, as in "KILL cannot be caught"; "" where it can.
func Uncatchable(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP:
		return "cannot be caught"
	case syscall.SIGPROF, 32, 33, 34: // the Go runtime's and libc's, never delivered to Go code
		return "never reaches swapinit"
	case syscall.SIGCHLD, // about our own children
		syscall.SIGPIPE, // about our own writes
		syscall.SIGURG:  // the Go scheduler preempts with it, dozens a minute
		return "is swapinit's own and never forwarded"
	}
	return ""
}

func forwardable(sig syscall.Signal) bool {
	return sig >= 1 && sig <= rtMax && Uncatchable(sig) == ""
}
