package listen

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// fakeGroup is a TCP endpoint's group without a program: a socket for each
// generation, in the order of their numbers from 1.
type fakeGroup struct {
	mu     sync.Mutex
	set    *Set
	fds    []int
	asked  chan struct{} // Mend was called; it waits for mu
	line   string
	lost   bool // Close forgets the sockets
	closed bool
}

func (g *fakeGroup) Lend(n int) (int, uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n < 1 || n > len(g.fds) {
		return -1, 0, unix.ENOENT
	}
	fd, err := unix.FcntlInt(uintptr(g.fds[n-1]), unix.F_DUPFD_CLOEXEC, 3)
	inode, _ := procnet.Inode(fd)
	return fd, inode, err
}

func (g *fakeGroup) Inode(n int) uint64 {
	fd, inode, err := g.Lend(n)
	if err == nil {
		unix.Close(fd)
	}
	return inode
}

func (g *fakeGroup) Watch() (err error) {
	for _, fd := range g.FDs() {
		err = errors.Join(err, g.set.Watch(fd))
	}
	return err
}

func (g *fakeGroup) Mend() (string, error) {
	select {
	case g.asked <- struct{}{}:
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, fd := range g.fds {
		if !procnet.Listens(fd) {
			if err := unix.Listen(fd, 16); err != nil {
				return "", err
			}
			return g.line, nil
		}
	}
	return "", nil
}

func (g *fakeGroup) FDs() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]int{}, g.fds...)
}

func (g *fakeGroup) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, fd := range g.fds {
		if !g.lost {
			unix.Close(fd)
		}
	}
	g.fds, g.closed = nil, true
}

// join adds a listening member, under the group's mutex as a real one does.
func (g *fakeGroup) join(t *testing.T) int {
	t.Helper()
	fd, err := another(g.set, 0)
	if err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fds = append(g.fds, fd)
	g.set.Watch(fd)
	return fd
}

// mustPrepare opens a TCP endpoint that may have several sockets.
func mustPrepare(t *testing.T, prepare func(int) error) *Set {
	t.Helper()
	for try := 0; ; try++ {
		specs, err := Parse("web=tcp4://127.0.0.1:" + port(t) + "?backlog=77")
		if err != nil {
			t.Fatal(err)
		}
		set, err := Open(specs, nil, prepare)
		if err == nil {
			t.Cleanup(set.Close)
			return set
		}
		if try == 20 || !errors.Is(err, unix.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

func mustSteer(t *testing.T) (*Set, *fakeGroup) {
	t.Helper()
	set := mustPrepare(t, func(int) error { return nil })
	g := &fakeGroup{set: set, fds: []int{set.listeners[0].fd}, asked: make(chan struct{}, 1), line: "mended"}
	set.Steer(0, g)
	return set, g
}

func TestPrepare(t *testing.T) {
	calls := 0
	set := mustPrepare(t, func(fd int) error {
		calls++
		if option(t, uintptr(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT) != 1 || procnet.Listens(fd) {
			t.Error("SO_REUSEPORT is missing, or it listens already")
		}
		if name, err := unix.Getsockname(fd); err != nil || name.(*unix.SockaddrInet4).Port == 0 {
			t.Errorf("not bound: %v, %v", name, err)
		}
		return nil
	})
	if fd := int(lent(t, set, 1).Files[0]); calls == 0 || !procnet.Listens(fd) {
		t.Errorf("%d calls, or it does not listen", calls)
	}
	plain := mustOpen(t, "tcp4://127.0.0.1:PORT")
	if option(t, lent(t, plain, 1).Files[0], unix.SOL_SOCKET, unix.SO_REUSEPORT) != 0 {
		t.Error("SO_REUSEPORT although nobody prepares")
	}
	// Not for others, and its error is the Open's.
	before := openFDs(t)
	specs, _ := Parse("unix://" + t.TempDir() + "/a udp4://127.0.0.1:" + port(t))
	if set, err := Open(specs, nil, func(int) error { t.Error("called"); return nil }); err == nil {
		set.Close()
	}
	specs, _ = Parse("tcp4://127.0.0.1:" + port(t))
	if _, err := Open(specs, nil, func(int) error { return unix.EXDEV }); !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EADDRINUSE) {
		t.Error(err)
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d fds, then %d", before, after)
	}
}

// A port that somebody else listens on is refused, even if that somebody
// would share it.
func TestPrepareInUse(t *testing.T) {
	set := mustPrepare(t, func(int) error { return nil })
	other := set.Endpoints()[0].Spec
	_, err := Open([]Spec{other}, nil, func(int) error { return nil })
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "another socket has the address") {
		t.Error(err)
	}
}

func TestAnother(t *testing.T) {
	set := mustPrepare(t, func(int) error { return nil })
	spec := set.Endpoints()[0].Spec
	fd, err := another(set, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if fd < 3 || flags&unix.FD_CLOEXEC == 0 || procnet.Listens(fd) {
		t.Errorf("fd %d, flags %#x, accepting %v", fd, flags, procnet.Listens(fd))
	}
	for _, o := range [][2]int{{unix.SOL_SOCKET, unix.SO_REUSEPORT}, {unix.SOL_SOCKET, unix.SO_REUSEADDR}, {unix.IPPROTO_TCP, unix.TCP_NODELAY}} {
		if option(t, uintptr(fd), o[0], o[1]) == 0 {
			t.Errorf("option %v is off", o)
		}
	}
	if name, err := unix.Getsockname(fd); err != nil || name.(*unix.SockaddrInet4).Port != int(spec.Addr.Port()) {
		t.Errorf("%v, %v", name, err)
	}
	if err := unix.Listen(fd, 16); err != nil {
		t.Error(err)
	}
	for list, endpoint := range map[string]int{
		"udp4://127.0.0.1:PORT": 0, "a=unix://" + t.TempDir() + "/a": 0, "b=udp4://127.0.0.1:PORT": 1, "c=udp4://127.0.0.1:PORT": -1,
	} {
		if fd, err := another(mustOpen(t, list), endpoint); err == nil || fd != -1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, %d: fd %d, %v", list, endpoint, fd, err)
		}
	}
	// Without Prepare the first socket lets no other one in.
	if _, err := another(mustOpen(t, "tcp4://127.0.0.1:PORT"), 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Error(err)
	}
	inherited, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	file, err := inherited.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	own, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	given := File{FD: own}
	if err := given.describe(); err != nil {
		t.Fatal(err)
	}
	of, err := Open(nil, []File{given}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer of.Close()
	if _, err := another(of, 0); err != errNotOwn {
		t.Error(err)
	}
}

// Each generation gets its group's socket for it, and nothing where it has none.
func TestSteer(t *testing.T) {
	set, g := mustSteer(t)
	second := g.join(t)
	first := g.FDs()[0]
	for n, want := range map[int]int{1: first, 2: second} {
		given, err := set.Lend(n)
		must(t, err)
		inode, err := procnet.Inode(want)
		lent, _ := procnet.Inode(int(given.Files[0]))
		if err != nil || int(given.Files[0]) == want || lent != inode || given.Endpoints[0].Inode != inode || set.Generation(n).Endpoints[0].Inode != inode {
			t.Errorf("generation %d: %+v, want inode %d, %v", n, given, inode, err)
		}
		given.Close()
	}
	if _, err := set.Lend(3); !errors.Is(err, unix.ENOENT) || set.Generation(3).Endpoints[0].Inode != 0 || len(set.Generation(2).Files) != 0 {
		t.Errorf("generation 3: %v", err)
	}
	before := openFDs(t)
	set.Close()
	if !g.closed {
		t.Error("the group was not closed")
	}
	if after := openFDs(t); after != before-2 {
		t.Errorf("%d fds, then %d: two sockets were to be closed, once", before, after)
	}
	set.Steer(0, g) // too late: nothing
	must(t, set.Watch(first))
	set.Unwatch(first)
}

// The Set does not close what is the group's: the number may be another file's.
func TestSteerOwns(t *testing.T) {
	set, g := mustSteer(t)
	fd := g.FDs()[0]
	g.lost = true
	set.Close()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Error(err)
	}
	unix.Close(fd)
}

// The guard is told of a member whether it joined before Guard or after, and
// has the group mend what it sees.
func TestGuardSteered(t *testing.T) {
	set, g := mustSteer(t)
	g.join(t)
	lines := mustGuard(t, set)
	g.join(t)
	for _, fd := range g.FDs() {
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		until(t, "a member listens again", func() bool { return procnet.Listens(fd) })
	}
	until(t, "lines", func() bool { return lines.incidents() == 3 })
	if !strings.Contains(lines.text(), "endpoint web (tcp4://127.0.0.1:") || !strings.Contains(lines.text(), "mended") {
		t.Errorf("lines: %s", lines.text())
	}
}

// A group may come after Guard. Without the goroutine the epoll descriptor
// shows what would wake it.
func TestSteerGuarded(t *testing.T) {
	set := mustPrepare(t, func(int) error { return nil })
	guard, err := newGuard()
	must(t, err)
	set.guard.Store(guard)
	defer func() { set.guard.Store(nil); close(guard.done); guard.stop() }()
	fd, err := another(set, 0)
	must(t, err)
	must(t, unix.Listen(fd, 16))
	set.Steer(0, &fakeGroup{set: set, fds: []int{set.listeners[0].fd, fd}})
	must(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	if !guard.drain(guard.epoll) {
		t.Error("the second socket is not watched")
	}
}

// A group tells of a member under its own mutex while the Set, under its own,
// waits for that.
func TestWatchTakesNoLock(t *testing.T) {
	set, g := mustSteer(t)
	guard, err := newGuard() // without its goroutine: Check alone calls Mend
	must(t, err)
	set.guard.Store(guard)
	defer func() { set.guard.Store(nil); close(guard.done); guard.stop() }()
	fd, err := another(set, 0)
	must(t, err)
	must(t, unix.Listen(fd, 16))
	g.mu.Lock()
	checked := make(chan struct{})
	go func() { set.Check(); close(checked) }()
	<-g.asked // the Set's mutex is taken, and Mend is about to wait
	g.fds = append(g.fds, fd)
	set.Watch(fd)
	set.Unwatch(fd)
	g.mu.Unlock()
	<-checked
}

// A member that is unwatched and closed wakes nobody, though a child still
// holds it and shuts it down.
func TestUnwatch(t *testing.T) {
	set, g := mustSteer(t)
	guard, err := newGuard()
	if err != nil {
		t.Fatal(err)
	}
	set.guard.Store(guard)
	defer func() { set.guard.Store(nil); close(guard.done); guard.stop() }()
	for _, unwatched := range []bool{false, true} {
		fd := g.join(t)
		child, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(child)
		g.fds = slices.DeleteFunc(g.fds, func(other int) bool { return other == fd })
		if unwatched {
			set.Unwatch(fd)
		}
		unix.Close(fd)
		if err := unix.Shutdown(child, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		if woken := guard.drain(guard.epoll); woken == unwatched {
			t.Errorf("unwatched %v, woken %v", unwatched, woken)
		}
	}
}

// Watch, Unwatch and Close at the same time: no descriptor of the guard's is
// used after it was closed (the race detector and its number's next owner tell).
func TestWatchWhileClosing(t *testing.T) {
	for range 50 {
		set, g := mustSteer(t)
		fd := g.join(t)
		mustGuard(t, set)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				set.Unwatch(fd)
				set.Watch(fd)
			}
		}()
		set.Close()
		<-done
	}
}

var errNotOwn = errors.New("not an own TCP endpoint")

// another opens one more socket, as a group does.
func another(s *Set, endpoint int) (int, error) {
	_, opener := s.TCP(endpoint)
	if opener == nil {
		return -1, errNotOwn
	}
	return opener()
}
