package pid1

import (
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// queues finds servers that have closed their listener: the socket that they had stays
// ours, listens on, and who connects would wait for nobody. Nothing tells of a close,
// so what waits too long in a queue is looked at; and as a busy server's queue must not
// wake us all the time, each is waited for once and looked at heldFor later: if
// somebody waits whose server only is slow, again after slowFor. A server that opens its
// listener again has none for a moment: it is gone when nobody has had it for heldFor.
type queues struct {
	mu    sync.Mutex
	file  *os.File // owns epoll; nil before the first queue
	epoll int
	all   map[int32]*queue // by fd
}

// queue is that of one generation's socket.
type queue struct {
	fd    int // a duplicate, its owner is queues
	e     *endpoint
	g     *generation
	inode uint64
	given int        // see broker
	lost  clock.Time // nobody was seen to have it since
}

const slowFor = 10 * time.Second

// look watches a socket that the generation has bound.
func (a *adoption) look(e *endpoint, g *generation, inode uint64, given int) {
	if e.tcp == nil {
		return
	}
	s := &a.queue
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.all {
		if q.inode == inode {
			q.lost = 0
			_ = s.arm(q, unix.EPOLL_CTL_MOD) // it may have been shut down meanwhile
			return
		}
	}
	if s.file == nil {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetNonblock(epoll, true)
		s.epoll, s.file, s.all = epoll, os.NewFile(uintptr(epoll), "queues"), map[int32]*queue{}
		if raw, err := s.file.SyscallConn(); err == nil {
			go func() { _ = raw.Read(func(uintptr) bool { a.queued(); return false }) }()
		}
	}
	fd, _, err := e.group.Lend(g.number)
	if err != nil {
		return
	}
	q := &queue{fd: fd, e: e, g: g, inode: inode, given: given}
	if err := s.arm(q, unix.EPOLL_CTL_ADD); err != nil {
		_ = syscall.Close(fd)
		return
	}
	s.all[int32(fd)] = q
}

func (s *queues) arm(q *queue, operation int) error {
	return unix.EpollCtl(s.epoll, operation, q.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(q.fd)})
}

// forget ends the watching of a generation's sockets.
func (s *queues) forget(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fd, q := range s.all {
		if q.g == g {
			delete(s.all, fd)
			_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, q.fd, nil)
			_ = syscall.Close(q.fd)
		}
	}
}

// queued looks, in a while, at the queues in which something waits now.
func (a *adoption) queued() {
	var events [16]unix.EpollEvent
	for n := len(events); n == len(events); {
		n, _ = unix.EpollWait(a.queue.epoll, events[:], 0)
		for _, event := range events[:max(n, 0)] {
			fd := event.Fd
			time.AfterFunc(heldFor, func() { a.waits(fd) })
		}
	}
}

// waits ends the listening of a socket in which somebody waits, and that no process of
// its generation has any more.
func (a *adoption) waits(fd int32) {
	a.queue.mu.Lock()
	q := a.queue.all[fd]
	n := 0
	if q != nil {
		n, _ = steer.Queue(q.fd)
	}
	listens := q != nil && procnet.Listens(q.fd)
	a.queue.mu.Unlock()
	if !listens { // it would be reported again and again
		return
	}
	again, nobody := time.Duration(0), false
	switch {
	case n == 0:
	case a.held(q.g, q.inode, q.given):
		again = slowFor
	default:
		nobody = true
	}
	if a.queue.lost(q, nobody) {
		a.gone(q)
	}
	time.AfterFunc(again, func() {
		a.queue.mu.Lock()
		defer a.queue.mu.Unlock()
		if a.queue.all[fd] == q {
			_ = a.queue.arm(q, unix.EPOLL_CTL_MOD)
		}
	})
}

// lost notes whether nobody has the socket now, and reports whether that has been so for
// heldFor.
func (s *queues) lost(q *queue, nobody bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !nobody:
		q.lost = 0
	case q.lost == 0:
		q.lost = clock.Now()
	default:
		return clock.Since(q.lost) >= heldFor
	}
	return false
}

// gone: the server has closed its listener, and nobody else has one.
func (a *adoption) gone(q *queue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.gens[q.g.number]; g != nil {
		delete(g.sockets, q.e)
	}
	if a.bound(q.e) {
		return
	}
	a.info("adopt.closed", named(q.g.number)+" has closed its listener on "+q.e.Address+": connections are refused", q.g.number, q.g.pid())
	q.e.tcp.Sleep()
}

// held reports whether a process of the generation has the socket open, as something
// other than what it was started with.
func (a *adoption) held(g *generation, inode uint64, given int) bool {
	members := a.procs.members(g, snapshot(), map[life]mark{})
	held, seen := holdsFD(members, []uint64{inode}, func(name string) bool {
		fd, err := strconv.Atoi(name)
		return err == nil && (fd < 3 || fd >= 3+given)
	})
	return held || !seen
}
