package listen

import (
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

const (
	// A listener is repaired at once, up to burst times in a row (workers that
	// end together and each shut it down); beyond that every so often. One
	// repair costs microseconds, so this bounds a hostile loop to next to nothing.
	repairBurst = 100
	repairEvery = 10 * time.Millisecond

	// A repair that fails is tried again: what prevents it (a rival on the
	// port, a missing directory) ends without any event that could be waited for.
	retryFirst = 10 * time.Millisecond
	retryMax   = 10 * time.Second

	// reportEvery bounds the lines of one endpoint.
	reportEvery = time.Second
)

// repairs is what the limits above have to remember of one listener.
type repairs struct {
	debt     clock.Time    // leaky bucket: how far ahead of the clock the repairs are
	wait     time.Duration // before the next try, after a failure
	notYet   clock.Time    // nothing is repaired before
	reported clock.Time
	muted    int    // since then
	last     string // the latest muted line
}

// sweep looks at all listeners, repairs what it finds and returns the lines
// to report and when it wants to be called again without an event (zero: never).
// The caller holds the mutex. force disregards the limits on repairs.
func (s *Set) sweep(now clock.Time, force bool) (lines []string, next clock.Time) {
	if s.closed {
		return nil, next
	}
	sooner := func(t clock.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, l := range s.listeners {
		line, r := "", &l.repairs
		if l.guarded {
			if force || !now.Before(r.notYet) {
				line = r.account(now, l.mend)
			}
			if now.Before(r.notYet) {
				sooner(r.notYet)
			}
		}
		line, again := r.limit(now, line)
		if line != "" {
			lines = append(lines, l.line(line))
		}
		if !again.IsZero() {
			sooner(again)
		}
	}
	return lines, next
}

// line names the endpoint in front of what is to be said about it.
func (l *listener) line(text string) string {
	return "endpoint " + l.Name + " (" + l.Address + "): " + text
}

// account does one repair and decides when the next may be.
func (r *repairs) account(now clock.Time, mend func() (string, error)) string {
	line, err := mend()
	if err != nil {
		r.wait = min(max(2*r.wait, retryFirst), retryMax)
		r.notYet = now.Add(r.wait)
		return err.Error()
	}
	r.wait = 0
	r.notYet = 0
	if line != "" {
		if r.debt.Before(now) {
			r.debt = now
		}
		r.debt = r.debt.Add(repairEvery)
		r.notYet = r.debt.Add(-repairBurst * repairEvery)
	}
	return line
}

// limit lets a line through, or counts it; later, with the next line or at
// the returned time, the latest of the counted is let through.
func (r *repairs) limit(now clock.Time, line string) (string, clock.Time) {
	if due := r.reported.Add(reportEvery); now.Before(due) {
		if line != "" {
			r.muted++
			r.last = line
		}
		if r.muted == 0 {
			due = 0
		}
		return "", due
	}
	if line == "" && r.muted > 0 {
		line = r.last
		r.muted--
	}
	if line == "" {
		return "", 0
	}
	if r.muted > 0 {
		line += " (and " + strconv.Itoa(r.muted) + " times more)"
	}
	r.reported, r.muted, r.last = now, 0, ""
	return line, 0
}

// mend checks one listener and repairs it. It returns what it did, or why it
// could not; neither when all is well.
func (l *listener) mend() (string, error) {
	switch {
	case l.group != nil:
		return l.group.Mend()
	case l.unix != nil:
		line, _, err := l.unix.Mend()
		return line, err
	case l.IsTCP():
		return l.listenAgain()
	case isShut(l.fd):
		l.guarded = false // it is beyond repair
		return "a process shut it down, and a unix socket cannot listen again: whoever passed it to swapinit must make it anew", nil
	}
	return "", nil
}

// listenAgain revives a TCP listener. shutdown(2) has put it into state
// CLOSE and reset the queued connections, but address and port stay bound.
// EADDRINUSE: in that moment somebody else took the port (SO_REUSEADDR).
func (l *listener) listenAgain() (string, error) {
	if procnet.Listens(l.fd) {
		return "", nil
	}
	var err error
	if l.Inherited { // Parse accepts no port 0
		// A port that the kernel chose (a socket that was bound to port 0) is
		// given up at the shutdown, though getsockname(2) still shows it, and
		// listen(2) would choose another. One that was asked for stays
		// (SOCK_BINDPORT_LOCK), and to bind it again is EINVAL.
		if err = unix.Bind(l.fd, procnet.Sockaddr(l.Addr)); err == unix.EINVAL {
			err = nil
		}
	}
	if err == nil {
		err = unix.Listen(l.fd, l.Backlog)
	}
	if err != nil {
		return "", text.Errorf("a process shut it down, cannot listen again: %w", err)
	}
	return "a process shut it down, it listens again", nil
}

// isShut: somebody called shutdown(2) for reading, after which connects to a
// unix socket are refused for as long as it lives.
func isShut(fd int) bool {
	happened, err := procnet.Poll(fd, unix.POLLRDHUP, 0)
	return err == nil && happened&(unix.POLLRDHUP|unix.POLLHUP) != 0
}
