package signals

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
)

// The real-time range as C libraries number it. The kernel's range begins at
// 32, but glibc and musl keep 32 and 33 (musl 34 too) for their threads, so
// RTMIN is 34 for every tool that a user can compare us with.
const (
	rtMin syscall.Signal = 34
	rtMax syscall.Signal = 64
)

// names is indexed by the signal's number. amd64 and arm64 share it.
var names = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE",
	9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT",
	17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU",
	25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS",
}

// Parse reads a signal as people write it: "TERM", "SIGTERM", "sigterm", "15",
// "RTMIN", "RTMIN+3", "RTMAX-1". Numbers are 1 to 64. 0 is no signal: a
// setting in which 0 means "drop" looks for that before it calls Parse.
func Parse(s string) (syscall.Signal, error) {
	if sig, ok := parse(text.Upper(s)); ok {
		return sig, nil
	}
	return 0, text.Errorf("unknown signal %q: accepted are names (TERM, SIGTERM), numbers 1 to 64, RTMIN to RTMIN+30 and RTMAX-30 to RTMAX", s)
}

func parse(s string) (syscall.Signal, bool) {
	if n, ok := number(s); ok {
		return syscall.Signal(n), n >= 1 && n <= int(rtMax)
	}
	s = strings.TrimPrefix(s, "SIG")
	if rest, ok := strings.CutPrefix(s, "RTMIN"); ok {
		n, ok := offset(rest, "+")
		return rtMin + syscall.Signal(n), ok
	}
	if rest, ok := strings.CutPrefix(s, "RTMAX"); ok {
		n, ok := offset(rest, "-")
		return rtMax - syscall.Signal(n), ok
	}
	switch s { // the second names that signal(7) lists
	case "IOT":
		return syscall.SIGABRT, true
	case "CLD":
		return syscall.SIGCHLD, true
	case "POLL":
		return syscall.SIGIO, true
	}
	i := slices.Index(names[:], s)
	return syscall.Signal(i), i > 0
}

// offset reads what may follow RTMIN and RTMAX: nothing, or a sign and a
// number that stays within the range.
func offset(s, sign string) (int, bool) {
	if s == "" {
		return 0, true
	}
	digits, ok := strings.CutPrefix(s, sign)
	if !ok {
		return 0, false
	}
	n, ok := number(digits)
	return n, ok && n <= int(rtMax-rtMin)
}

// number accepts at most three digits and nothing else: Atoi would let signs
// through ("RTMIN+-3").
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && len(s) <= 3
}

// Name gives the canonical name without SIG: "TERM", "RTMIN+3", "RTMAX-1" (the
// halves of the real-time range as kill -l divides them). A number without a
// name comes back as digits. Parse(Name(sig)) is sig for 1 to 64.
func Name(sig syscall.Signal) string {
	switch {
	case sig > 0 && int(sig) < len(names):
		return names[sig]
	case sig == rtMin:
		return "RTMIN"
	case sig == rtMax:
		return "RTMAX"
	case sig > rtMin && sig < rtMin+16:
		return "RTMIN+" + strconv.Itoa(int(sig-rtMin))
	case sig > rtMin && sig < rtMax:
		return "RTMAX-" + strconv.Itoa(int(rtMax-sig))
	}
	return strconv.Itoa(int(sig))
}
