package adopt

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// An address in a page that nobody ever fills (userfaultfd(2)) stops the thread that
// has named it, and nobody else.
func TestPageThatNeverComes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: faults of the kernel are not handled for others")
	}
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	page := s.do("fault")
	if page == no(unix.ENOSYS) || page == no(unix.EPERM) {
		t.Skip("no userfaultfd here")
	}
	for _, words := range [][]any{
		{"bindat", s.tcp4(), page, unix.SizeofSockaddrInet4},
		{"setat", s.tcp4(), unix.SOL_SOCKET, unix.SO_REUSEPORT, page, sizeofInt},
	} {
		s.expect(0, append([]any{"later"}, words...)...)
		s.stopped(map[any]int{"bindat": unix.SYS_BIND, "setat": unix.SYS_SETSOCKOPT}[words[0]])
		fd := s.tcp4()
		s.expect(0, "bind", fd, raw(at))
		s.expect(b.inode(at), "inode", fd)
		s.expect(0, "listen", fd, 7)
	}
	s.end()
}

// An epoll instance that the server has locked for good cannot be looked at. That holds
// up nobody but the server, and ends with it.
func TestLockedEpoll(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: faults of the kernel are not handled for others")
	}
	at := loopback(free(t, 1)[0])
	s := start(t, 0).supervise(newBroker(t, at.Port()))
	page := s.do("fault")
	if page == no(unix.ENOSYS) || page == no(unix.EPERM) {
		t.Skip("no userfaultfd here")
	}
	fd := s.tcp4()
	s.expect(0, "later", "epollinto", page)
	s.stopped(unix.SYS_EPOLL_PWAIT)
	s.say("bind", fd, raw(at))
	s.stopped(unix.SYS_BIND)
	s.end()
	if s.result != nil {
		t.Error(s.result)
	}
}

// While a server is stopped by a signal, or one of its threads waits, others are
// answered.
func TestThreads(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	var fds []int
	for range 20 {
		fd := s.tcp4()
		fds = append(fds, fd)
		s.expect(0, "later", "bind", fd, raw(at))
	}
	for _, fd := range fds {
		eventually(t, "a bind in another thread", func() bool { return s.do("inode", fd) == b.inode(at) })
	}
}

// A descriptor that another thread gives to something else while its bind is being
// answered stays what it is.
func TestDescriptorReused(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	asked, goOn := make(chan struct{}), make(chan struct{})
	b.bind = func(Bind, int) { close(asked); <-goOn }
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	s.expect(0, "later", "bind", fd, raw(at))
	s.await(asked)
	s.expect(0, "close", fd)
	s.expect(fd, "socket", unix.AF_INET, unix.SOCK_STREAM, 0)
	inode := s.do("inode", fd)
	close(goOn)
	eventually(t, "the bind has an answer", func() bool { return !s.calls(unix.SYS_BIND) })
	s.expect(inode, "inode", fd)
	same(t, b.heard())
}

// The address is read once: whatever another thread writes there meanwhile, a socket of
// ours is at the place of a bind to its own address, and nowhere else.
func TestAddressChanges(t *testing.T) {
	mine := loopback(free(t, 1)[0])
	other := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 2}), mine.Port()) // differs by one byte
	b := newBroker(t, mine.Port())
	b.only = mine
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	s.expect(0, "bind", fd, raw(mine))
	s.expect(0, "race", raw(mine), raw(other), 2000, b.inode(mine))
	for _, bind := range b.questions() {
		if bind.At != mine {
			t.Errorf("the broker was asked for %v", bind.At)
		}
	}
	for _, line := range b.heard() {
		if line != fmt.Sprint("bound ", mine, " ", b.inode(mine)) {
			t.Errorf("the broker was told %q", line)
		}
	}
	t.Logf("%d of 2000 were binds to our address", len(b.heard())-1)
}

// A server that has another user since its exec is looked at as that user: root in a
// container has no CAP_SYS_PTRACE.
func TestOtherUser(t *testing.T) {
	if !confined(t) {
		return
	}
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 65534).supervise(b)
	fd := s.tcp4()
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(0, "bind", fd, raw(at))
	s.expect(b.inode(at), "inode", fd)
	s.expect(0, "listen", fd, 7)
	same(t, b.heard(), fmt.Sprint("bound ", at, " ", b.inode(at)), fmt.Sprint("listens ", b.inode(at), " 7"))
	if asked := b.questions(); len(asked) != 1 || !asked[0].Reuse {
		t.Errorf("the broker was asked for %+v", asked)
	}
	fd = s.tcp4()
	s.do("epoll", fd)
	s.expect(no(unix.EADDRINUSE), "bind", fd, raw(at)) // the kernel's answer: it is polled
	s.end()

	names, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, name := range names {
		status, err := os.ReadFile("/proc/self/task/" + name.Name() + "/status")
		if err == nil && (!strings.Contains(string(status), "\nUid:\t0\t0\t0\t0\n") || !strings.Contains(string(status), "\nGid:\t0\t0\t0\t0\n")) {
			t.Errorf("a thread of ours still is somebody else:\n%s", status)
		}
	}
}

// Who has become another user without an exec cannot be looked into. What it binds is
// said when it listens: before, it may be a name lookup.
func TestUnreadable(t *testing.T) {
	if !confined(t) {
		return
	}
	ports := free(t, 2)
	b := newBroker(t, ports[0])
	s := start(t, 0).supervise(b)
	adopted := s.tcp4()
	s.expect(0, "bind", adopted, raw(loopback(ports[0])))
	was := b.heard()
	s.expect(0, "become", 65534)
	s.expect(0, "bind", s.socket(unix.AF_NETLINK, unix.SOCK_RAW, 0), "100000000000000000000000")
	s.expect(0, "bind", s.socket(unix.AF_INET, unix.SOCK_DGRAM, 0), raw(loopback(0)))
	s.expect(0, "listen", adopted, 7) // bound when it was seen
	s.expect(0, "listen", s.tcp4(), 7)
	fd := s.tcp4()
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(0, "bind", fd, raw(loopback(ports[1])))
	same(t, b.heard(), was...)
	s.expect(0, "listen", fd, 7)
	s.expect(0, "listen", fd, 7)
	same(t, b.heard(), append(was, "passed an address that cannot be read true its process cannot be looked into"+
		" (permission denied): it has changed its user without an exec, or is not dumpable")...)
}

// Without no_new_privs to lose, and with it.
func TestUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	at := loopback(free(t, 1)[0])
	for _, uid := range []int{0, 65534} {
		b := newBroker(t, at.Port())
		s := start(t, uid).supervise(b)
		fd := s.tcp4()
		s.expect(0, "bind", fd, raw(at))
		s.expect(b.inode(at), "inode", fd)
		s.end()
		b.drop(at)
	}
}
