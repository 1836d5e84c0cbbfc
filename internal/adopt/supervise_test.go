package adopt

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// broker has one address, and notes what it is told.
type broker struct {
	t     *testing.T
	ports map[uint16]bool      // that it wants
	only  netip.AddrPort       // and no other address; zero: any
	errno unix.Errno           // what Bind answers, with
	none  bool                 // no socket
	held  bool                 // what Held answers
	bind  func(b Bind, fd int) // called by Bind

	mu      sync.Mutex
	sockets map[netip.AddrPort]int
	told    []string
	asked   []Bind
}

func newBroker(t *testing.T, ports ...uint16) *broker {
	b := &broker{t: t, ports: map[uint16]bool{}, sockets: map[netip.AddrPort]int{}}
	for _, port := range ports {
		b.ports[port] = true
	}
	t.Cleanup(func() {
		for _, fd := range b.sockets {
			unix.Close(fd)
		}
	})
	return b
}

func (b *broker) Wants(at netip.AddrPort) bool {
	return b.ports[at.Port()] && (at == b.only || !b.only.IsValid())
}

// Bind has one socket for each address, so a second bind gets the same.
func (b *broker) Bind(bind Bind) (int, unix.Errno) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, bind)
	if b.errno != 0 || b.none {
		return -1, b.errno
	}
	fd, ok := b.sockets[bind.At]
	if !ok {
		var err error
		if fd, err = listening(bind.At); err != nil {
			b.t.Error(err)
			return -1, unix.EIO
		}
		b.sockets[bind.At] = fd
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		b.t.Error(err)
		return -1, unix.EIO
	}
	if b.bind != nil {
		b.bind(bind, dup)
	}
	return dup, 0
}

func (b *broker) Held(uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

func (b *broker) Bound(bind Bind, inode uint64) { b.note("bound", bind.At, inode) }

func (b *broker) Blind(string) {}

func (b *broker) Listens(inode uint64, backlog int) bool {
	b.note("listens", inode, backlog)
	return true
}

func (b *broker) Passed(address, why string, alone bool) { b.note("passed", address, alone, why) }

func (b *broker) note(words ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, strings.TrimSpace(fmt.Sprintln(words...)))
}

// heard is what it was told, in order.
func (b *broker) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

// change changes what it answers.
func (b *broker) change(errno unix.Errno, none, held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errno, b.none, b.held = errno, none, held
}

// questions are the binds that it was asked about.
func (b *broker) questions() []Bind {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// drop closes the socket for an address.
func (b *broker) drop(at netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	unix.Close(b.sockets[at])
	delete(b.sockets, at)
}

// inode is that of the socket for an address, 0 if it was never asked for.
func (b *broker) inode(at netip.AddrPort) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var st unix.Stat_t
	if fd, ok := b.sockets[at]; !ok || unix.Fstat(fd, &st) != nil {
		return 0
	}
	return int(st.Ino)
}

func (b *broker) get(at netip.AddrPort, level, name int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, err := unix.GetsockoptInt(b.sockets[at], level, name)
	if err != nil {
		b.t.Error(err)
	}
	return value
}

// listening is a socket as a group has it.
func listening(at netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	for _, name := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, name, 1)
	}
	if at.Addr().Is6() {
		err = unix.Bind(fd, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	} else {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	}
	if err == nil {
		err = unix.Listen(fd, 128)
	}
	return fd, err
}

// free are ports of 127.0.0.1 that nobody had a moment ago.
func free(t *testing.T, n int) (ports []uint16) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		ports = append(ports, uint16(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// raw is a struct sockaddr, in hexadecimal digits.
func raw(at netip.AddrPort) string { return hex.EncodeToString(sockaddr(at)) }

// same compares what a broker was told.
func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the broker was told %q, want %q", got, want)
	}
}

// A server that knows nothing binds, listens and accepts: on a socket of the broker's.
func TestAdopted(t *testing.T) {
	port := free(t, 1)[0]
	b := newBroker(t, port)
	s := start(t, 0).supervise(b)
	for _, flags := range []int{0, unix.SOCK_NONBLOCK, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC} {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(flags >> 10), 1 + byte(flags>>16)}), port)
		fd := s.socket(unix.AF_INET, unix.SOCK_STREAM|flags, 0)
		s.expect(0, "bind", fd, raw(at))
		s.expect(b.inode(at), "inode", fd)
		s.expect(flags&unix.O_NONBLOCK|unix.O_RDWR, "status", fd)
		s.expect(flags&unix.O_CLOEXEC>>19, "cloexec", fd)
		s.expect(0, "listen", fd, 7)
		inode := b.inode(at)
		if told := b.heard(); len(told) < 2 || told[len(told)-2] != fmt.Sprint("bound ", at, " ", inode) || told[len(told)-1] != fmt.Sprint("listens ", inode, " 7") {
			t.Errorf("the broker was told %q", told)
		}
	}
	fd := s.tcp4()
	at := loopback(port)
	s.expect(0, "bind", fd, raw(at))
	s.expect(0, "listen", fd, 7)
	c, err := net.Dial("tcp4", at.String())
	must(t, err)
	defer c.Close()
	_, err = c.Write([]byte("hello"))
	must(t, err)
	s.expect(5, "accept", fd)
}

// What a server has set before its bind is there afterwards; what the kernel refused is
// not.
func TestOptions(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	s.expect(0, "set", fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, "3c000000ffffff") // more than an int
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_RCVBUF, "00900000")
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_RCVBUF, "00800000")
	s.expect(0, "set", fd, unix.SOL_TCP, unix.TCP_MAXSEG, "f4010000")
	s.expect(0, "set", fd, unix.SOL_TCP, unix.TCP_FASTOPEN, "05000000")
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(no(unix.EINVAL), "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "000000")
	s.expect(no(unix.EFAULT), "setat", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 8, 4)
	s.expect(no(unix.EINVAL), "setat", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0, -1)
	s.expect(no(unix.EINVAL), "set", fd, unix.SOL_TCP, unix.TCP_MAXSEG, "01000000")
	s.expect(0, "set", fd, unix.SOL_TCP, unix.TCP_MAXSEG, "f4010000")
	var before []int
	asked := []option{{unix.SOL_TCP, unix.TCP_DEFER_ACCEPT}, {unix.SOL_SOCKET, unix.SO_RCVBUF}, {unix.SOL_TCP, unix.TCP_FASTOPEN}}
	for _, o := range asked {
		before = append(before, s.do("get", fd, o.level, o.name))
	}
	s.expect(0, "bind", fd, raw(at))
	for i, o := range asked {
		if got := b.get(at, o.level, o.name); got != before[i] || got == 0 {
			t.Errorf("option %v was %d, is %d", o, before[i], got)
		}
	}
	if asked := b.questions(); len(asked) != 1 || asked[0] != (Bind{Pid: asked[0].Pid, FD: asked[0].FD, At: at, Reuse: true}) {
		t.Errorf("the broker was asked for %+v", asked)
	}
	c, err := net.Dial("tcp4", at.String())
	must(t, err)
	defer c.Close()
	control, err := c.(*net.TCPConn).SyscallConn()
	must(t, err)
	_ = control.Control(func(fd uintptr) {
		if mss, err := unix.GetsockoptInt(int(fd), unix.SOL_TCP, unix.TCP_MAXSEG); err != nil || mss > 500 {
			t.Errorf("segments have %d bytes (%v), the server wants 500 at most", mss, err)
		}
	})

	six := netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	for _, only := range []int{1, 0} {
		fd := s.tcp6()
		s.expect(0, "set", fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, fmt.Sprintf("%02x000000", only))
		b.change(0, true, false)
		s.expect(0, "bind", fd, raw(six))
		asked := b.questions()
		if got := asked[len(asked)-1]; got != (Bind{Pid: got.Pid, FD: got.FD, At: six, Only6: only == 1}) {
			t.Errorf("the broker was asked for %+v", got)
		}
		s.expect(0, "close", fd)
	}
}

// Options of a socket of ours: what would take the traffic away does nothing, what
// counts for its connections does.
func TestPrograms(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	s.expect(0, "bind", fd, raw(at))
	for _, o := range programs {
		s.expect(0, "set", fd, o.level, o.name, "")
		s.expect(0, "set", fd, o.level, o.name, strings.Repeat("ff", 16))
		own := s.tcp4()
		if s.do("set", own, o.level, o.name, "") >= 0 {
			t.Errorf("option %v of a socket of the server's own is not the kernel's", o)
		}
	}
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "00000000")
	s.expect(1, "get", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	s.expect(0, "set", fd, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT, "05000000")
	if b.get(at, unix.SOL_TCP, unix.TCP_DEFER_ACCEPT) == 0 {
		t.Error("TCP_DEFER_ACCEPT has not come to the socket")
	}
}

// The same bind again is one that a signal has interrupted; another one is refused, as
// the kernel does.
func TestBoundAlready(t *testing.T) {
	ports := free(t, 2)
	at := loopback(ports[0])
	b := newBroker(t, ports...)
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	s.expect(0, "bind", fd, raw(at))
	s.expect(0, "bind", fd, raw(at))
	s.expect(no(unix.EINVAL), "bind", fd, raw(loopback(ports[1])))
	s.expect(no(unix.EINVAL), "bind", fd, raw(loopback(0)))
	s.expect(b.inode(at), "inode", fd)
	same(t, b.heard(), fmt.Sprint("bound ", at, " ", b.inode(at)))
}

// Further sockets for an address are the same one, if both have said SO_REUSEPORT, or
// nobody has the first any more.
func TestSecondBind(t *testing.T) {
	ports := free(t, 2)
	b := newBroker(t, ports...)
	b.held = true
	s := start(t, 0).supervise(b)
	bind := func(want int, at netip.AddrPort, reuse bool) {
		t.Helper()
		fd := s.tcp4()
		if reuse {
			s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
		}
		own := s.do("inode", fd)
		s.expect(want, "bind", fd, raw(at))
		if want == 0 {
			own = b.inode(at)
		}
		s.expect(own, "inode", fd)
	}
	alone, shared := loopback(ports[0]), loopback(ports[1])
	bind(0, alone, false)
	bind(no(unix.EADDRINUSE), alone, false)
	bind(no(unix.EADDRINUSE), alone, true)
	bind(0, shared, true)
	bind(0, shared, true)
	bind(no(unix.EADDRINUSE), shared, false)
	bind(0, shared, true)
	b.change(0, false, false)
	bind(0, alone, false)
	bind(0, shared, false)
}

// What the broker refuses, and what it leaves to the kernel.
func TestRefused(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	own := s.do("inode", fd)
	b.change(unix.EADDRNOTAVAIL, false, false)
	s.expect(no(unix.EADDRNOTAVAIL), "bind", fd, raw(at))
	b.change(0, true, false)
	s.expect(0, "bind", fd, raw(at))
	s.expect(own, "inode", fd)
	s.expect(int(at.Port()), "port", fd)
	same(t, b.heard())
	s.expect(0, "listen", fd, 9)
	same(t, b.heard(), fmt.Sprintf("passed tcp://%v true no socket of swapinit's fits", at))
	s.expect(0, "listen", fd, 9) // it is not said again
	same(t, b.heard(), fmt.Sprintf("passed tcp://%v true no socket of swapinit's fits", at))
}

// What cannot be adopted goes on as if nobody had looked, and is said where a
// successor may miss it.
func TestPassed(t *testing.T) {
	ports := free(t, 3)
	wanted, other := loopback(ports[0]), loopback(ports[1])
	b := newBroker(t, ports[0])
	s := start(t, 0).supervise(b)
	dir := t.TempDir()
	unixRaw := func(path string) string { return hex.EncodeToString([]byte("\x01\x00" + path)) }

	fd := s.tcp4() // another port
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(0, "bind", fd, raw(other))
	s.expect(0, "listen", fd, 1)
	fd = s.tcp4()
	s.expect(no(unix.EADDRINUSE), "bind", fd, raw(other))
	fd = s.tcp4()
	s.expect(0, "bind", fd, raw(loopback(ports[2])))
	s.expect(0, "listen", fd, 1)

	fd = s.tcp4() // no port
	s.expect(0, "bind", fd, raw(loopback(0)))
	s.expect(0, "listen", fd, 1)

	s.expect(0, "listen", s.tcp4(), 1) // no bind

	for kind, path := range map[int]string{unix.SOCK_STREAM: dir + "/a", unix.SOCK_DGRAM: dir + "/b"} {
		fd := s.socket(unix.AF_UNIX, kind, 0)
		s.expect(0, "bind", fd, unixRaw(path))
		if kind == unix.SOCK_STREAM {
			s.expect(0, "listen", fd, 1)
		}
	}
	fd = s.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	s.expect(0, "bind", fd, unixRaw("\x00"+dir)) // an abstract name
	s.expect(0, "listen", fd, 1)
	fd = s.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	s.expect(0, "bind", fd, unixRaw("")) // the kernel chooses one
	s.expect(0, "listen", fd, 1)

	fd = s.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.expect(0, "bind", fd, raw(wanted))
	fd = s.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.expect(0, "bind", fd, raw(loopback(0)))

	fd = s.socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	s.expect(0, "bind", fd, "100000000000000000000000")

	// Not the socket's family.
	s.expect(no(unix.EAFNOSUPPORT), "bind", s.tcp4(), raw(netip.AddrPortFrom(netip.IPv6Loopback(), ports[0])))
	fd = s.tcp6()
	s.expect(no(unix.EINVAL), "bind", fd, raw(wanted)) // too short for one of IPv6
	s.expect(no(unix.EAFNOSUPPORT), "bind", fd, raw(wanted)+strings.Repeat("00", 12))

	s.expect(0, "many", 300) // descriptors before the one of epoll
	fd = s.tcp4()
	s.do("epoll", fd)
	s.expect(0, "bind", fd, raw(wanted))
	s.expect(0, "listen", fd, 1)
	s.expect(0, "close", fd)
	same(t, b.heard(),
		fmt.Sprintf("passed tcp://%v false it is no endpoint", other),
		fmt.Sprintf("passed tcp://%v true it is no endpoint", loopback(ports[2])),
		fmt.Sprintf("passed unix://%s/a false Unix paths are not adopted", dir),
		fmt.Sprintf("passed unix://@%s true Unix names are not adopted", dir),
		fmt.Sprintf("passed udp://%v true UDP is not adopted", wanted),
		fmt.Sprintf("passed tcp://%v true the server had given the socket to epoll before it was bound", wanted),
	)
	if asked := b.questions(); len(asked) != 0 {
		t.Errorf("the broker was asked for %+v", asked)
	}

	// The number in epoll is that of a descriptor that was closed and has a duplicate.
	fd = s.tcp4()
	s.do("epoll", fd)
	s.do("dup", fd)
	s.expect(0, "close", fd)
	s.expect(fd, "socket", unix.AF_INET, unix.SOCK_STREAM, 0)
	s.expect(0, "bind", fd, raw(wanted))
	s.expect(b.inode(wanted), "inode", fd)
}

func TestOtherNamespace(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	if s.do("netns") != 0 {
		t.Skip("cannot make a network namespace")
	}
	fd := s.tcp4()
	s.do("bind", fd, raw(netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())))
	s.expect(0, "listen", fd, 1)
	same(t, b.heard(), fmt.Sprintf("passed tcp://0.0.0.0:%d true its process is in another network namespace", at.Port()))
}

// MPTCP sockets become TCP sockets.
func TestMPTCP(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	fd := s.do("socket", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if fd < 0 {
		t.Skip("no MPTCP here")
	}
	s.expect(0, "bind", fd, raw(at))
	s.expect(b.inode(at), "inode", fd)
}

// The errors of bind(2) are the kernel's, and nothing is asked for.
func TestBadCalls(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	fd := s.tcp4()
	for _, length := range []int{0, 1, 2, 8, 15, 129, 4096, 1 << 30, -1, -1 << 31} {
		s.expect(no(unix.EINVAL), "bind", fd, raw(at), length)
	}
	for _, pointer := range []int{0, 8, -1, -4096} {
		s.expect(no(unix.EFAULT), "bindat", fd, pointer, unix.SizeofSockaddrInet4)
	}
	// The end of the structure is in a page that is not there.
	page := s.do("page", unix.PROT_READ, raw(at), 8)
	s.expect(no(unix.EFAULT), "bindat", fd, page, unix.SizeofSockaddrInet4)
	s.expect(no(unix.EBADF), "bind", 999, raw(at))
	s.expect(no(unix.EBADF), "bind", -1, raw(at))
	s.expect(no(unix.ENOTSOCK), "bind", 0, raw(at))
	s.expect(no(unix.EBADF), "listen", 999, 1)
	s.expect(no(unix.ENOTSOCK), "listen", 0, 1)
	s.expect(no(unix.EBADF), "set", 999, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(no(unix.ENOTSOCK), "set", 0, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	same(t, b.heard())

	// An address at the end of a page that cannot be written is a good one, and so is
	// one without its family, and one that is too long.
	page = s.do("page", unix.PROT_READ, raw(at), unix.SizeofSockaddrInet4)
	s.expect(0, "bindat", fd, page, unix.SizeofSockaddrInet4)
	s.expect(b.inode(at), "inode", fd)
	all := netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	fd = s.tcp4()
	s.expect(0, "bind", fd, "0000"+raw(at)[4:8]+strings.Repeat("00", 124))
	s.expect(b.inode(all), "inode", fd)
}

// When the last process under the filter has ended, so has the supervisor, and nothing
// of it is left.
func TestEnd(t *testing.T) {
	at := loopback(free(t, 1)[0])
	start(t, 0).supervise(newBroker(t)).end() // what the runtime opens once is open
	before := openFiles(t)
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	for range 20 {
		fd := s.tcp4()
		s.expect(0, "bind", fd, raw(at))
		s.expect(0, "listen", fd, 1)
		s.expect(0, "close", fd)
		s.expect(no(unix.EFAULT), "bindat", s.tcp4(), 8, 16)
	}
	b.drop(at)
	s.end()
	if s.result != nil {
		t.Error(s.result)
	}
	if after := openFiles(t); after != before {
		t.Errorf("open before:\n%s\nafter:\n%s", before, after)
	}
}

// A server that is killed while its bind is being answered takes nothing with it.
func TestKilled(t *testing.T) {
	at := loopback(free(t, 1)[0])
	before := openFiles(t)
	b := newBroker(t, at.Port())
	s := start(t, 0)
	b.bind = func(Bind, int) {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.supervise(b)
	s.say("bind", s.tcp4(), raw(at))
	s.await(s.ended)
	if s.result != nil {
		t.Error(s.result)
	}
	s.in.Close()
	s.out.Close()
	same(t, b.heard())
	b.drop(at)
	if after := openFiles(t); after != before {
		t.Errorf("open before:\n%s\nafter:\n%s", before, after)
	}
}

// A descriptor above the limit of now cannot be replaced: the server binds it itself.
func TestLimit(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	b.bind = func(bind Bind, _ int) { // so that the kernel's bind can go well
		unix.Close(b.sockets[bind.At])
		delete(b.sockets, bind.At)
	}
	s := start(t, 65534).supervise(b)
	fd := s.tcp4()
	s.expect(0, "limit", fd)
	s.do("bind", fd, raw(at))
	s.do("listen", fd, 1)
	if told := b.heard(); len(told) != 1 || !strings.Contains(told[0], "SECCOMP_IOCTL_NOTIF_ADDFD: bad file descriptor") {
		t.Errorf("the broker was told %q", told)
	}
}

// So much of a server is kept and no more.
func TestManySockets(t *testing.T) {
	sup := &supervisor{own: map[uint64]*own{}, blind: map[task]bool{}}
	for inode := range uint64(10 * socketsMost) {
		sup.note(inode)
		sup.unseen(&task{pid: -1, fd: int(inode)})
		if len(sup.own) > socketsMost || len(sup.blind) > socketsMost {
			t.Fatalf("%d sockets and %d descriptors are kept", len(sup.own), len(sup.blind))
		}
	}

	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0).supervise(b)
	s.expect(0, "limit", 2*socketsMost+100)
	for range socketsMost + 10 { // connections of which each sets an option that is noted
		s.expect(0, "set", s.tcp4(), unix.SOL_SOCKET, unix.SO_RCVBUF, "00800000")
	}
	fd := s.tcp4()
	s.expect(0, "set", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, "01000000")
	s.expect(0, "bind", fd, raw(at))
	if asked := b.questions(); len(asked) != 1 || !asked[0].Reuse {
		t.Error("what a socket was set to is forgotten")
	}
}

// neverClosed are files that nobody may close: their number is another's by now.
var neverClosed []*os.File

// Where the runtime's poller refuses the listener (here because it has it already) the
// supervisor waits by itself.
func TestWithoutPoller(t *testing.T) {
	at := loopback(free(t, 1)[0])
	b := newBroker(t, at.Port())
	s := start(t, 0)
	must(t, unix.SetNonblock(s.listener, true))
	neverClosed = append(neverClosed, os.NewFile(uintptr(s.listener), "the poller's"))
	s.supervise(b)
	fd := s.tcp4()
	s.expect(0, "bind", fd, raw(at))
	s.expect(0, "listen", fd, 1)
	s.expect(b.inode(at), "inode", fd)
	s.end()
	if s.result != nil {
		t.Error(s.result)
	}
}

// What is no listener is given up, and closed.
func TestNoListener(t *testing.T) {
	for _, path := range []string{"/dev/null", "/proc/self/status", "/dev/zero"} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		if err := Supervise(fd, newBroker(t)); err == nil {
			t.Errorf("%s is a listener", path)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("%s is open still: %v", path, err)
		}
	}
}
