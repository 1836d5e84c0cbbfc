package listen

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// What is watched. None of it fires when a client connects, so an init whose
// server is busy sleeps on.
//
//   - A socket: epoll reports EPOLLHUP unasked, which for TCP is state CLOSE.
//     A unix socket needs EPOLLRDHUP, because shutdown(SHUT_RD) ends it without
//     a HUP. Edge-triggered: while the cause cannot be repaired yet, the event
//     must not come again and again.
//   - A path: inotify on the socket's inode, not on its directory, which may
//     be a busy /tmp. Every new or lost link to an inode is IN_ATTRIB, and
//     the rename of one is IN_MOVE_SELF. What escapes it (a renamed directory) is
//     found by Check.
const (
	socketEvents = unix.EPOLLET | unix.EPOLLRDHUP
	pathEvents   = unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_DONT_FOLLOW
)

// guard is one goroutine that sleeps in the runtime's poller (no thread is
// blocked) on an epoll descriptor, which holds the sockets and inotify. A nil one
// watches nothing.
type guard struct {
	mu         sync.Mutex // held for one system call on epoll or inotify, and by stop; nothing is taken under it
	stopped    bool
	file       *os.File // owns epoll
	conn       syscall.RawConn
	epoll      int
	inotify    int // -1 if there is none
	inotifyErr error
	done       chan struct{}
}

// Guard starts the goroutine that repairs endpoints as soon as a process has harmed
// them, see the package's documentation. Repairs are limited to bursts, and lines to
// about one a second for each endpoint.
//
// report is called from that goroutine, and by Check in its caller's. It
// must not block for long and must not call Close. Close ends the guard. An
// error means that nothing is watched; Check still works.
//
// Without an endpoint it waits for the first Join: a user may have 128 inotify
// instances, which all of his containers share (fs.inotify.max_user_instances).
func (s *Set) Guard(report func(line string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.report != nil {
		return errors.New("already done")
	}
	s.report = report
	if len(s.listeners) == 0 {
		return nil
	}
	return s.startGuard()
}

func (s *Set) startGuard() error {
	if s.closed || s.report == nil || s.guard.Load() != nil {
		return nil
	}
	g, err := newGuard()
	if err != nil {
		return err
	}
	// Published before the groups are asked, so that a socket which one of them
	// adds in this moment is either in its answer or told to Watch.
	s.guard.Store(g)
	var lines []string
	for _, l := range s.listeners {
		if l.spareErr != nil {
			lines = append(lines, l.line("its path can have no second link ("+l.spareErr.Error()+"), so if a process removes it, a new socket takes its place"))
		}
		if err := l.watch(s); err != nil {
			lines = append(lines, l.line("cannot watch it: "+err.Error()+": looked at only when a generation ends"))
		}
	}
	go s.run(g, lines)
	return nil
}

// Check looks at all endpoints once, now, and repairs what it finds,
// regardless of the limits: for the moment when a generation has ended.
func (s *Set) Check() {
	s.mu.Lock()
	lines, next := s.sweep(clock.Now(), true)
	if g := s.guard.Load(); g != nil {
		// The guard's own wait now ends when the later sweeps are due.
		_ = g.file.SetReadDeadline(deadline(next))
	}
	report := s.report
	s.mu.Unlock()
	if report != nil {
		for _, line := range lines {
			report(line)
		}
	}
}

// run is the guard's goroutine; lines are to be reported first.
func (s *Set) run(g *guard, lines []string) {
	defer close(g.done)
	for {
		for _, line := range lines {
			s.report(line)
		}
		// The first sweep comes before the first wait: it finds what happened
		// between Open and the watches.
		s.mu.Lock()
		var next clock.Time
		lines, next = s.sweep(clock.Now(), false)
		err := g.file.SetReadDeadline(deadline(next)) // zero: none
		s.mu.Unlock()
		if err != nil {
			return // closed
		}
		if len(lines) > 0 {
			continue // said at once; the sweep that follows costs nothing
		}
		err = g.conn.Read(func(fd uintptr) bool { return g.drain(int(fd)) })
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return // os.ErrClosed: Close has been called
		}
	}
}

func newGuard() (*guard, error) {
	epoll, err := aboveStreams(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	if err != nil {
		return nil, err
	}
	// os.NewFile takes a non-blocking descriptor into the runtime's poller.
	_ = syscall.SetNonblock(epoll, true) // cannot fail on a new one
	g := &guard{epoll: epoll, file: os.NewFile(uintptr(epoll), "endpoints"), done: make(chan struct{})}
	g.conn, _ = g.file.SyscallConn() // fails for a nil file only
	// It can fail where a uid has used up its few instances
	// (fs.inotify.max_user_instances); the rest of the guard does without.
	g.inotify, g.inotifyErr = aboveStreams(unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC))
	if g.inotifyErr == nil {
		g.inotifyErr = g.control(unix.EPOLL_CTL_ADD, g.inotify, unix.EPOLLIN)
	}
	return g, nil
}

// control is epoll_ctl(2), and nothing once the guard has been stopped: the
// number may be another file's by then.
func (g *guard) control(operation, fd int, events uint32) (err error) {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	if !g.stopped {
		err = unix.EpollCtl(g.epoll, operation, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	}
	g.mu.Unlock()
	return err
}

// addPath watches the inode that name leads to. It needs read permission on
// the socket's file. The watch ends with the inode.
func (g *guard) addPath(name string) error {
	if g == nil {
		return nil
	}
	err := g.inotifyErr
	g.mu.Lock()
	if err == nil && !g.stopped {
		_, err = unix.InotifyAddWatch(g.inotify, name, uint32(pathEvents))
	}
	g.mu.Unlock()
	if err != nil {
		return text.Errorf("inotify: %w", err)
	}
	return nil
}

func (l *listener) watch(s *Set) error {
	switch {
	case !l.guarded:
		return nil
	case l.group != nil:
		return l.group.Watch()
	case l.unix != nil:
		return l.unix.Watch()
	}
	return s.Watch(l.fd)
}

// drain takes all that has been reported, and tells whether that was
// anything. Which listener it was about does not matter: a sweep looks at
// all of them, and there are few.
func (g *guard) drain(epoll int) bool {
	var events [16]unix.EpollEvent
	var buffer [4096]byte
	got := false
	for {
		n, err := unix.EpollWait(epoll, events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return got
		}
		got = true
		for n > 0 {
			n, _ = syscall.Read(g.inotify, buffer[:]) // which does not wait
		}
	}
}

// stop ends the goroutine.
func (g *guard) stop() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.stopped = true
	_ = g.file.Close()
	g.mu.Unlock()
	<-g.done
	if g.inotify >= 0 {
		_ = syscall.Close(g.inotify)
	}
}

// deadline is a moment as a file wants to have it; zero: none.
func deadline(at clock.Time) (t time.Time) {
	if !at.IsZero() {
		t = time.Now().Add(at.Sub(clock.Now()))
	}
	return t
}
