// Package logline writes swapinit's own log: one line an event, on stderr.
//
// An init must survive whatever happens to its stderr: a reader that went
// away, a pipe that nobody empties, a terminal that hung up. So:
//
//   - The caller never waits. Log formats the line and puts it into a bounded
//     queue; one goroutine writes. A full queue loses the line and counts it.
//   - The fd is a duplicate at 3 or above. A write to a broken fd 1 or 2 through
//     os.File ends a Go process by SIGPIPE; anywhere else it is an EPIPE.
//   - A terminal's foreground is the server's. With "stty tostop" the kernel stops whoever
//     writes from the background, or answers EIO, unless TTOU is blocked.
//   - O_NONBLOCK is left alone: it belongs to the open file description, which
//     the children share. A write may therefore wait, but only that goroutine.
//   - A line is never longer than PIPE_BUF, so the kernel does not mix it with
//     what the children write to the same pipe (pipe(7)).
//   - Text from elsewhere is escaped: it can neither begin a line of its own nor
//     steer a terminal.
package logline

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swapinit/swapinit/internal/clock"

	"golang.org/x/sys/unix"
)

// queueLen is how many lines may wait for the writer.
const queueLen = 1024

// Options say where and how to log. The zero value is text at level error on
// fd 2, without an environment.
type Options struct {
	// FD is duplicated, never closed; 0 stands for 2.
	FD int
	// Level is the least severe level that is written.
	Level Level
	// JSON selects one JSON object a line.
	JSON bool
	// Color is auto, always or never; "" is auto. JSON has no colours.
	Color string
	// Env looks up NO_COLOR and TERM; nil means that neither is set.
	Env func(string) string
}

// Logger writes lines from any number of goroutines. It owns its fd and one
// goroutine, which the first line starts and Close ends: most containers log nothing.
type Logger struct {
	level Level
	json  bool
	paint bool // in text only
	fd    int  // -1: stderr was closed from the start

	mu      sync.Mutex // orders "queue is full" and "this many were lost"
	lost    int        // lines that found the queue full since the last one that did not
	writing bool       // the goroutine was started, or is not wanted any more
	queue   chan item

	broken  bool          // the last write failed; the writer's own
	written atomic.Uint32 // counts writes, to see whether there is any progress

	stop  chan struct{}
	once  sync.Once
	ended chan struct{}
}

// item is a line, or with flushed a mark that closes it when it is reached.
type item struct {
	line    []byte
	lost    int // lines lost just before this one
	flushed chan struct{}
}

// New starts a logger. It can not fail: without a usable fd it says nothing.
func New(o Options) *Logger {
	fd := o.FD
	if fd == 0 {
		fd = 2
	}
	l := &Logger{
		level: o.Level,
		json:  o.JSON,
		paint: Colored(o.Color, fd, o.Env),
		queue: make(chan item, queueLen),
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	l.fd, _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) // -1 after an error
	return l
}

// Enabled reports whether a line of this level would be written.
func (l *Logger) Enabled(level Level) bool { return level <= l.level }

// Log queues one line. It never waits; a line that finds the queue full is
// lost and counted. In text only the message is printed, in JSON every field.
func (l *Logger) Log(level Level, event, message string, f Fields) {
	if !l.Enabled(level) {
		return
	}
	line := l.format(level, event, message, f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.writing {
		l.writing = true
		go l.write()
	}
	select {
	case l.queue <- item{line: line, lost: l.lost}:
		l.lost = 0
	default:
		l.lost++
	}
}

func (l *Logger) format(level Level, event, message string, f Fields) []byte {
	if l.json {
		return appendJSON(nil, time.Now(), level, event, message, f)
	}
	return appendText(nil, l.paint, level, message)
}

// Flush waits until everything logged so far is written. Behind a stderr that
// nobody reads it gives up after max, behind a slow one after ten times that.
func (l *Logger) Flush(max time.Duration) {
	l.mu.Lock()
	writing := l.writing
	l.mu.Unlock()
	if !writing {
		return
	}
	mark := item{flushed: make(chan struct{})}
	queue := l.queue
	for range 10 {
		before := l.written.Load()
		late := clock.After(max)
		for waiting := true; waiting; {
			select {
			case queue <- mark:
				queue = nil // never ready again
			case <-mark.flushed:
				return
			case <-l.ended:
				return
			case <-late:
				waiting = false
			}
		}
		if l.written.Load() == before {
			return
		}
	}
}

// Close flushes for at most max, then ends the goroutine and closes the fd.
// A goroutine that is stuck in a write to a full pipe ends when that write does.
// What is logged afterwards goes nowhere.
func (l *Logger) Close(max time.Duration) {
	l.Flush(max)
	l.once.Do(func() {
		close(l.stop)
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.writing {
			l.writing = true
			l.end()
		}
	})
}

// end is the writer's, or Close's where there was none.
func (l *Logger) end() {
	_ = unix.Close(l.fd) // or it is -1
	close(l.ended)
}

// write is the only goroutine that touches the fd.
func (l *Logger) write() {
	defer l.end()
	owed := 0 // lost lines that are not reported yet
	for {
		select {
		case <-l.stop:
			return
		case it := <-l.queue:
			owed += it.lost
			if it.line != nil {
				owed = l.report(owed)
				if !l.put(it.line) {
					owed++
				}
			}
			if len(l.queue) == 0 && !l.broken {
				owed = l.report(owed + l.takeLost())
			}
			if it.flushed != nil {
				close(it.flushed)
			}
		}
	}
}

func (l *Logger) takeLost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lost
	l.lost = 0
	return n
}

// report writes how many lines were lost; it returns what is still owed.
func (l *Logger) report(n int) int {
	if n == 0 {
		return 0
	}
	message := strconv.Itoa(n) + " log lines were lost because stderr could not be written"
	if n == 1 {
		message = "1 log line was lost because stderr could not be written"
	}
	if l.put(l.format(Warn, "log.lost", message, Fields{Lost: n})) {
		return 0
	}
	return n
}

// put writes one line and reports whether all of it went out.
func (l *Logger) put(line []byte) bool {
	ok := l.fd >= 0
	for ok && len(line) > 0 {
		var n int
		var err error
		WithoutTTOU(func() { n, err = unix.Write(l.fd, line) })
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			// Somebody who shares the description made it non-blocking.
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLOUT}}, -1)
			ok = err == nil || err == unix.EINTR
		case err != nil || n <= 0:
			ok = false
		default:
			line = line[n:]
			l.written.Add(1)
		}
	}
	l.broken = !ok
	return ok
}

// Color is a parameter of the terminal's sequence SGR (ECMA-48); 0: none.
type Color uint8

// The colours that are used.
const (
	Faint  Color = 2
	Red    Color = 31
	Green  Color = 32
	Yellow Color = 33
)

// Paint puts text between the escape sequences of a colour.
func Paint(c Color, text string) string {
	end := "0"
	if c == Faint {
		end = "22"
	}
	return "\x1b[" + strconv.Itoa(int(c)) + "m" + text + "\x1b[" + end + "m"
}

// Colored answers whether to use colours on fd: always and never are what they
// say; auto (or "") asks for a terminal, TERM other than dumb and no NO_COLOR
// (https://no-color.org: set and not empty). env may be nil.
func Colored(setting string, fd int, env func(string) string) bool {
	switch setting {
	case "always":
		return true
	case "never":
		return false
	}
	if env != nil && (env("NO_COLOR") != "" || env("TERM") == "dumb") {
		return false
	}
	return Terminal(fd)
}

// WithoutTTOU runs f with TTOU blocked: then a terminal lets it write and call
// tcsetpgrp(3) from the background.
func WithoutTTOU(f func()) {
	runtime.LockOSThread() // the mask is the thread's
	defer runtime.UnlockOSThread()
	var ttou, old unix.Sigset_t
	ttou.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &old) == nil {
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	}
	f()
}

// Terminal reports whether fd is a terminal (ioctl_tty(2), TCGETS).
func Terminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
