package signals

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]syscall.Signal{
		"TERM": 15, "SIGTERM": 15, "sigterm": 15, "Term": 15, "15": 15, "1": 1, "64": 64,
		"RTMIN": 34, "SIGRTMIN": 34, "RTMIN+3": 37, "rtmin+30": 64, "RTMAX": 64, "RTMAX-1": 63, "RTMAX-30": 34,
		"RTMIN+0": 34, "IOT": 6, "CLD": 17, "POLL": 29, "HUP": 1, "STKFLT": 16, "32": 32,
	} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "0", "65", "999", "-1", "+1", "1.0", " TERM", "TERM ", "SIG", "SIG15", "SIGSIGTERM", "TERMX", "RTMIN-1",
		"RTMIN+31", "RTMIN+", "RTMIN+-3", "RTMAX+1", "RTMAX-31", "RTMIN3", "RT", "ſIGTERM", "0000015",
	} {
		got, err := Parse(in)
		if err == nil {
			t.Errorf("Parse(%q) = %d, want an error", in, got)
		} else if !strings.Contains(err.Error(), "accepted are") {
			t.Errorf("Parse(%q): %v does not say what is accepted", in, err)
		}
	}
}

func TestNameRoundTrip(t *testing.T) {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		name := Name(sig)
		for _, form := range []string{name, strings.ToLower(name)} {
			if got, err := Parse(form); err != nil || got != sig {
				t.Errorf("Parse(%q), the name of %d, = %d, %v", form, sig, got, err)
			}
		}
		// x/sys is the oracle for the standard ones.
		if sig < 32 && "SIG"+name != unix.SignalName(sig) {
			t.Errorf("Name(%d) = %q, the kernel headers call it %q", sig, name, unix.SignalName(sig))
		}
	}
	for sig, want := range map[syscall.Signal]string{
		37: "RTMIN+3", 49: "RTMIN+15", 50: "RTMAX-14", 63: "RTMAX-1", 64: "RTMAX", 34: "RTMIN",
		32: "32", 0: "0", 65: "65", -1: "-1",
	} {
		if got := Name(sig); got != want {
			t.Errorf("Name(%d) = %q, want %q", int(sig), got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"TERM", "sigrtmin+3", "RTMAX-1", "15", "", "RTMIN+-1", "SIG", "0", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sig, err := Parse(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error for %q is not one line: %v", s, err)
			}
			return
		}
		if sig < 1 || sig > 64 {
			t.Fatalf("Parse(%q) = %d, out of range", s, sig)
		}
		if again, err := Parse(Name(sig)); err != nil || again != sig {
			t.Fatalf("Parse(%q) = %d, but its name %q parses to %d, %v", s, sig, Name(sig), again, err)
		}
	})
}
