package signals

import (
	"syscall"
	"testing"
)

func TestDecide(t *testing.T) {
	p := Policy{
		SwapSignals: []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2},
		StopSignals: []syscall.Signal{syscall.SIGTERM, 37},
		Rewrite: map[syscall.Signal]syscall.Signal{
			syscall.SIGINT:  syscall.SIGTERM, // must not become a stop
			syscall.SIGUSR1: 0,
			syscall.SIGHUP:  syscall.SIGUSR1, // decided before
			syscall.SIGTERM: syscall.SIGQUIT,
		},
	}
	special := map[syscall.Signal]struct {
		kind Kind
		sig  syscall.Signal
	}{
		syscall.SIGHUP: {Swap, syscall.SIGHUP}, syscall.SIGUSR2: {Swap, syscall.SIGUSR2},
		syscall.SIGTERM: {Stop, syscall.SIGTERM}, 37: {Stop, 37},
		syscall.SIGINT: {Forward, syscall.SIGTERM}, syscall.SIGUSR1: {Drop, 0},
		syscall.SIGCHLD: {}, syscall.SIGPIPE: {}, syscall.SIGURG: {}, syscall.SIGPROF: {}, 32: {}, 33: {}, 34: {},
		syscall.SIGKILL: {}, syscall.SIGSTOP: {}, 0: {}, -1: {}, 65: {},
	}
	for sig := syscall.Signal(-1); sig <= 65; sig++ {
		want, ok := special[sig]
		if !ok {
			want.kind, want.sig = Forward, sig
		}
		if kind, got := p.Decide(sig); kind != want.kind || got != want.sig {
			t.Errorf("Decide(%s) = %s %s, want %s %s", Name(sig), kind, Name(got), want.kind, Name(want.sig))
		}
	}
	if kind, sig := (Policy{}).Decide(syscall.SIGTERM); kind != Forward || sig != syscall.SIGTERM {
		t.Errorf("the zero policy decides %s %s for TERM, want it forwarded", kind, Name(sig))
	}
	// Not even a list can make a swap of what the runtime sends to itself.
	if kind, _ := (Policy{SwapSignals: []syscall.Signal{syscall.SIGURG}}).Decide(syscall.SIGURG); kind != Drop {
		t.Errorf("URG as a swap signal decides %s, want drop", kind)
	}
}
