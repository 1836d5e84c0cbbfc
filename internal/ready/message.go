package ready

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	statusMax = 512              // bytes of STATUS= that are kept
	pidMax    = 4 << 20          // PID_MAX_LIMIT of the kernel
	errnoMax  = 4095             // MAX_ERRNO of the kernel
	usecMax   = 1<<63/1000 - 1   // microseconds that fit a time.Duration
	usec      = time.Microsecond // the unit of every *_USEC
)

// Message is one notification, as in sd_notify(3). Where a key stands more
// than once in a datagram, its first valid value counts.
type Message struct {
	Pid             int           // the sender, in swapinit's pid namespace
	Uid             uint32        // the sender's uid
	Ready           bool          // READY=1
	Stopping        bool          // STOPPING=1
	Status          *string       // STATUS=, printable, at most 512 bytes; nil when absent, empty clears it
	MainPid         int           // MAINPID=, 0 when absent
	Extend          time.Duration // EXTEND_TIMEOUT_USEC=, from now on; 0 when absent
	Watchdog        bool          // WATCHDOG=1
	WatchdogTrigger bool          // WATCHDOG=trigger
	WatchdogUsec    time.Duration // WATCHDOG_USEC=, the new interval; 0 when absent, < 0: off
	Errno           int           // ERRNO=, 0 when absent

	// Barrier, when not nil, closes the fd by which the sender waits until
	// everything before this message is processed. The receiver owns that fd
	// through it and must call it; calling it again does nothing.
	Barrier func()
}

// parse reads the text of a datagram. barrier is set when it is nothing but
// BARRIER=1. ok is false for a datagram that says nothing to us.
//
// Like systemd's service manager it drops datagrams with a NUL inside, allows
// one at the end, takes \r for a line end too, and ignores every assignment
// that shares a datagram with BARRIER=1.
func parse(data []byte) (m Message, barrier, ok bool) {
	text := strings.TrimSuffix(string(data), "\x00")
	if strings.IndexByte(text, 0) >= 0 {
		return Message{}, false, false
	}
	lines, barriers := 0, 0
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		lines++
		if line == "BARRIER=1" {
			barriers++
		} else if m.set(line) {
			ok = true
		}
	}
	if barriers > 0 {
		return Message{}, lines == 1, lines == 1
	}
	return m, false, ok
}

// set takes one assignment and tells whether it meant something.
func (m *Message) set(line string) bool {
	key, value, _ := strings.Cut(line, "=")
	n, numeric := number(value)
	switch {
	case line == "READY=1":
		m.Ready = true
	case line == "STOPPING=1":
		m.Stopping = true
	case line == "WATCHDOG=1":
		m.Watchdog = true
	case line == "WATCHDOG=trigger":
		m.WatchdogTrigger = true
	case strings.HasPrefix(line, "STATUS="):
		if m.Status == nil {
			m.Status = new(clean(value))
		}
	case !numeric:
		return false
	case key == "MAINPID" && n > 1 && n <= pidMax: // 1 is either swapinit or not a process of the generation
		m.MainPid = cmp.Or(m.MainPid, int(n))
	case key == "ERRNO" && n > 0 && n <= errnoMax:
		m.Errno = cmp.Or(m.Errno, int(n))
	case key == "EXTEND_TIMEOUT_USEC" && n > 0:
		m.Extend = cmp.Or(m.Extend, time.Duration(min(n, usecMax))*usec)
	case key == "WATCHDOG_USEC" && (n == 0 || n > usecMax):
		m.WatchdogUsec = cmp.Or(m.WatchdogUsec, -1)
	case key == "WATCHDOG_USEC":
		m.WatchdogUsec = cmp.Or(m.WatchdogUsec, time.Duration(n)*usec)
	default:
		return false
	}
	return true
}

// number reads an unsigned decimal. Like systemd it knows none that does not fit
// 64 bits.
func number(value string) (uint64, bool) {
	n, err := strconv.ParseUint(value, 10, 64)
	return n, err == nil
}

// clean keeps what can be shown on a terminal or in a log: no control
// characters, nothing that is not UTF-8. It cuts between characters.
func clean(value string) string {
	var out []byte
	for _, r := range value {
		if r == '\t' {
			r = ' '
		}
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			continue
		}
		if len(out)+utf8.RuneLen(r) > statusMax {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}
