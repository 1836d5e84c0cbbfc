package signals

import (
	"strings"
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

func TestValidate(t *testing.T) {
	list := func(s ...syscall.Signal) []syscall.Signal { return s }
	for name, c := range map[string]struct {
		p    Policy
		want string // part of the error; "" = none
	}{
		"zero":     {Policy{}, ""},
		"defaults": {Policy{SwapSignals: list(1, 12), StopSignals: list(15)}, ""},
		"both":     {Policy{SwapSignals: list(1, 15), StopSignals: list(15)}, "both swap and stop on TERM"},
		"kill":     {Policy{StopSignals: list(9)}, "cannot stop on KILL"},
		"chld":     {Policy{SwapSignals: list(17)}, "cannot swap on CHLD"},
		"urg":      {Policy{Rewrite: map[syscall.Signal]syscall.Signal{23: 1}}, "cannot rewrite URG"},
		"to drop":  {Policy{Rewrite: map[syscall.Signal]syscall.Signal{2: 0}}, ""},
		"to kill":  {Policy{Rewrite: map[syscall.Signal]syscall.Signal{2: 9}}, ""},
		"to 65":    {Policy{Rewrite: map[syscall.Signal]syscall.Signal{2: 65}}, "cannot rewrite INT to 65"},
		"of 0":     {Policy{StopSignals: list(0)}, "no such signal"},
	} {
		err := c.p.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Validate() = %v, want %q", name, err, c.want)
		}
	}
}
