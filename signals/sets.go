package signals

import (
	"os"
	"slices"
	"syscall"
	"unsafe"
)

// early are those that somebody may well send within milliseconds of the
// start. The kernel throws a signal away for which PID 1 has no handler, so
// these are registered first of all; each one costs about 50 microseconds,
// which is why the other fifty wait until the child runs.
var early = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1,
	syscall.SIGUSR2, syscall.SIGABRT, syscall.SIGCONT, syscall.SIGWINCH,
}

// Early lists what to register with os/signal before anything else is done.
func Early() []os.Signal { return slices.Clone(early) }

// Late lists all other signals that can be caught and forwarded. Register
// them, in a goroutine, once the first child is running. CHLD is not among
// them: it gets a channel of its own.
func Late() []os.Signal {
	var list []os.Signal
	for sig := syscall.Signal(1); sig <= rtMax; sig++ {
		if forwardable(sig) && !slices.Contains(early, os.Signal(sig)) {
			list = append(list, sig)
		}
	}
	return list
}

// Inherited lists which of HUP INT TSTP TTIN TTOU were ignored when the
// process started (nohup, a shell's background jobs). Call it before the first
// Notify: that installs a handler, and the child would get the default action
// in place of the ignored one. These five are all that the Go runtime leaves
// as it found them and so all that can be learned.
func Inherited() []syscall.Signal {
	var list []syscall.Signal
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
	} {
		if ignored(sig) {
			list = append(list, sig)
		}
	}
	return list
}

// ignored asks the kernel. os/signal.Ignored knows of HUP and INT only: the
// runtime does not even look at the dispositions of the job control signals.
func ignored(sig syscall.Signal) bool {
	const sigIgn = 1
	// struct kernel_sigaction, the same on amd64 and arm64; see sigaction(2).
	var old struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), 0,
		uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(old.mask), 0, 0)
	return errno == 0 && old.handler == sigIgn
}
