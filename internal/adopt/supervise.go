package adopt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// Bind is a bind(2) that can be answered.
type Bind struct {
	Pid   int            // of the thread
	FD    int            // the socket's number there
	At    netip.AddrPort // as the server has it: IPv4 in a socket of IPv6 is IPv4-mapped; never port 0
	Reuse bool           // SO_REUSEPORT was set before
	Only6 bool           // IPV6_V6ONLY was set before
}

// Broker has the sockets. Its methods are called by one goroutine, one at a time, while
// the server stands still.
type Broker interface {
	// Wants reports whether a TCP address is to be adopted.
	Wants(at netip.AddrPort) bool
	// Bind chooses the socket that b gets: a descriptor that becomes the supervisor's.
	// Where there is none it is -1 and errno what the server's bind returns, with 0 what
	// the kernel makes of it.
	Bind(b Bind) (fd int, errno unix.Errno)
	// Held reports whether a process of the server has the socket open, as
	// something other than what it was started with.
	Held(inode uint64) bool
	// Bound tells that the server has the socket that Bind chose.
	Bound(b Bind, inode uint64)
	// Listens has the server listen on that socket, with its own backlog. It returns
	// false if the socket is not the broker's any more: then the kernel does it.
	Listens(inode uint64, backlog int) bool
	// Blind tells why the address of a bind could not be read. It may have been anybody's.
	Blind(why string)
	// Passed tells that the server has an address of its own, and why: a TCP or Unix
	// one that it listens on, a UDP one that it has bound. alone: nobody else can
	// have it at the same time.
	Passed(address, why string, alone bool)
}

// The supervisor keeps something of so many sockets at most. A server that has more
// of them between bind and listen is none.
const socketsMost = 256

// abstract begins the address of an abstract name, unix(7).
const abstract = "unix://@"

// setting is an option that the server has set. All of noted are ints.
type setting struct {
	option
	value int32
}

const sizeofInt = 4

// own is what is known of a socket of the server's own.
type own struct {
	settings []setting // at most one of each option
	address  string    // it is bound to, "" if it is not; by the kernel
	why      string    // it was not adopted
}

// supervisor answers one server and all that comes of it.
type supervisor struct {
	listener int
	broker   Broker
	own      map[uint64]*own // by inode
	given    map[uint64]Bind // sockets that have taken the place of own ones, by inode
	blind    map[task]bool   // descriptors of processes, bound unseen
	failed   error           // what Supervise returns
}

// Supervise answers whoever is under the filter until nobody is, and closes the
// listener then: before, their calls would fail with ENOSYS. It returns why nothing
// can be answered, once, or nil after the end.
func Supervise(listener int, b Broker) error {
	_ = syscall.SetNonblock(listener, true) // so that the runtime's poller takes it
	file := os.NewFile(uintptr(listener), "seccomp")
	defer file.Close()
	s := &supervisor{listener: listener, broker: b, own: map[uint64]*own{}, given: map[uint64]Bind{}, blind: map[task]bool{}}
	if !replaces(listener) {
		s.failed = errors.New("the kernel cannot put a descriptor into another process (Linux 5.9)")
		s.broker = nil
	}
	over := false
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Read(func(uintptr) bool {
			over = s.drain(0)
			return over
		})
	}
	for !over {
		// The poller does not take it (fs.epoll.max_user_watches), so a thread waits.
		over = s.drain(-1)
	}
	return s.failed
}

// drain answers all that waits, and all that comes within timeout (poll(2)). It reports
// whether there will never be more: the last one under the filter has ended (POLLHUP), or
// the kernel hands out nothing.
func (s *supervisor) drain(timeout int) (over bool) {
	for {
		p := [1]unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}}
		_, err := unix.Poll(p[:], timeout)
		switch {
		case err == unix.EINTR:
		case err != nil:
			s.failed = cmp.Or(s.failed, err)
			return true
		case p[0].Revents&unix.POLLIN != 0:
			n, err := receive(s.listener)
			if err == nil {
				s.handle(&n)
			} else if err != unix.ENOENT {
				s.failed = cmp.Or(s.failed, err) // it would be the same again and again
				return true
			}
		case p[0].Revents != 0:
			return true
		default:
			return false
		}
	}
}

func (s *supervisor) handle(n *notification) {
	t := &task{pid: int(n.pid), fd: int(int32(n.args[0]))}
	answered := false
	if s.broker != nil && n.pid != 0 {
		switch n.call {
		case unix.SYS_BIND:
			answered = s.bind(n, t)
		case unix.SYS_LISTEN:
			answered = s.listen(n, t)
		case unix.SYS_SETSOCKOPT:
			answered = s.setsockopt(n, t)
		}
	}
	if !answered {
		n.proceed(s.listener)
	}
}

// note is what is kept of a socket of the server's own.
func (s *supervisor) note(inode uint64) *own {
	o := s.own[inode]
	if o == nil {
		if len(s.own) >= socketsMost {
			clear(s.own)
		}
		o = &own{}
		s.own[inode] = o
	}
	return o
}

// option is what the server has set, 0 if it has not.
func (o *own) option(level, name int) (value int32) {
	for _, set := range o.settings {
		if set.option == (option{level, name}) {
			value = set.value
		}
	}
	return value
}

// unseen notes a bind of a process that cannot be looked into. Whether it is of TCP
// shows when it listens: name lookups bind sockets too, of netlink and UDP.
func (s *supervisor) unseen(t *task) {
	if len(s.blind) >= socketsMost {
		clear(s.blind)
	}
	s.blind[t.process()] = true
}

func (s *supervisor) setsockopt(n *notification, t *task) (answered bool) {
	o := option{int(int32(n.args[1])), int(int32(n.args[2]))}
	inode, err := t.inode()
	if err != nil || !n.valid(s.listener) {
		return false
	}
	if _, ours := s.given[inode]; ours {
		// It has SO_REUSEPORT, and without it no successor could have the address.
		if slices.Contains(programs[:], o) || o == (option{unix.SOL_SOCKET, unix.SO_REUSEPORT}) {
			n.answer(s.listener, 0)
			return true
		}
		return false
	}
	if !slices.Contains(noted[:], o) || int32(n.args[4]) < sizeofInt {
		return false // EINVAL, or not noted
	}
	value, err := t.memory(n.args[3], sizeofInt) // more is passed over
	if err != nil || !n.valid(s.listener) {
		return false
	}
	set := setting{o, int32(binary.NativeEndian.Uint32(value))}
	socket := s.note(inode)
	socket.settings = slices.DeleteFunc(socket.settings, func(old setting) bool { return old.option == o })
	socket.settings = append(socket.settings, set)
	return false
}

func (s *supervisor) bind(n *notification, t *task) (answered bool) {
	length := int(int32(n.args[2]))
	if length < addressLeast || length > addressMost {
		return false
	}
	data, err := t.memory(n.args[1], length)
	var socket socket
	if err == nil {
		socket, err = t.socket()
	}
	if !n.valid(s.listener) {
		return false // whoever it was has gone
	}
	if err != nil {
		if denied(err) && length >= unix.SizeofSockaddrInet4 {
			s.unseen(t)
			s.broker.Blind(unreadable(err))
		}
		return false
	}
	at, ip := address(data)
	tcp := strings.HasPrefix(socket.proto, "TCP") || strings.HasPrefix(socket.proto, "MPTCP")
	if known, ours := s.given[socket.inode]; ours {
		if known.At == at {
			n.answer(s.listener, 0) // a signal has interrupted the call that was answered
			return true
		}
		return false // EINVAL: it is bound
	}
	if ip && at.Addr().Is6() != strings.HasSuffix(socket.proto, "v6") {
		return false // EAFNOSUPPORT or EINVAL: not the socket's family
	}
	o := s.note(socket.inode)
	b := Bind{Pid: t.pid, FD: t.fd, At: at, Reuse: o.option(unix.SOL_SOCKET, unix.SO_REUSEPORT) != 0, Only6: o.option(unix.SOL_IPV6, unix.IPV6_V6ONLY) != 0}
	switch {
	case tcp && ip && at.Port() != 0:
		why, errno := "", unix.Errno(0)
		if answered, errno, why = s.adopt(n, t, b, &socket); answered {
			delete(s.own, socket.inode)
		} else if errno != 0 {
			n.answer(s.listener, errno)
			return true
		}
		o.address, o.why = "tcp://"+at.String(), why
	case tcp && ip: // port 0: nobody can know it before
	case ip && at.Port() != 0 && strings.HasPrefix(socket.proto, "UDP"):
		s.broker.Passed("udp://"+at.String(), "UDP is not adopted", !b.Reuse)
	case strings.HasPrefix(socket.proto, "UNIX") && len(data) > 3 && data[2] == 0:
		o.address, o.why = abstract+string(data[3:]), "Unix names are not adopted"
	case strings.HasPrefix(socket.proto, "UNIX") && len(data) > 3:
		path, _, _ := strings.Cut(string(data[2:]), "\x00")
		o.address, o.why = "unix://"+path, "Unix paths are not adopted"
	}
	return answered
}

// NoEndpoint is why a broker has not wanted an address.
const NoEndpoint = "it is no endpoint"

// adopt puts a socket of the broker's in the place of the server's. If it could not,
// errno is what the bind is to return, or why says why the kernel is to decide.
func (s *supervisor) adopt(n *notification, t *task, b Bind, socket *socket) (done bool, errno unix.Errno, why string) {
	if !s.broker.Wants(b.At) {
		return false, 0, NoEndpoint
	}
	same, err := t.namespace()
	switch {
	case err != nil:
		return false, 0, unreadable(err)
	case !same:
		return false, 0, "its process is in another network namespace"
	case t.polled(socket.inode):
		return false, 0, "the server had given the socket to epoll before it was bound"
	}
	fd, errno := s.broker.Bind(b)
	if fd < 0 {
		return false, errno, "no socket of swapinit's fits"
	}
	defer syscall.Close(fd)
	inode, err := procnet.Inode(fd)
	if err != nil {
		return false, 0, err.Error()
	}
	if first, taken := s.given[inode]; taken && !(first.Reuse && b.Reuse) && s.broker.Held(inode) {
		return false, unix.EADDRINUSE, ""
	}
	for _, set := range s.note(socket.inode).settings {
		if set.option != (option{unix.SOL_SOCKET, unix.SO_REUSEPORT}) && set.level != unix.SOL_IPV6 {
			_ = unix.SetsockoptInt(fd, set.level, set.name, int(set.value))
		}
	}
	if socket.flags&unix.O_NONBLOCK != 0 {
		// All who have the socket share it: it is never taken away.
		_ = unix.SetNonblock(fd, true)
	}
	if !t.holds(socket.inode) {
		return false, 0, "another thread has closed the descriptor"
	}
	if err := n.replace(s.listener, fd, uint32(t.fd), uint32(socket.flags)&unix.O_CLOEXEC); err != nil {
		return false, 0, "SECCOMP_IOCTL_NOTIF_ADDFD: " + err.Error()
	}
	if len(s.given) >= socketsMost {
		clear(s.given)
	}
	s.given[inode] = b
	s.broker.Bound(b, inode)
	n.answer(s.listener, 0)
	return true, 0, ""
}

func (s *supervisor) listen(n *notification, t *task) (answered bool) {
	socket, err := t.socket()
	who := t.process()
	if !n.valid(s.listener) {
		return false
	}
	if denied(err) && s.blind[who] {
		s.broker.Passed("an address that cannot be read", unreadable(err), true)
		delete(s.blind, who)
	}
	if err != nil {
		return false
	}
	if _, ours := s.given[socket.inode]; ours && s.broker.Listens(socket.inode, int(int32(n.args[1]))) {
		n.answer(s.listener, 0)
		return true
	}
	if o := s.own[socket.inode]; o != nil && o.address != "" {
		alone := o.option(unix.SOL_SOCKET, unix.SO_REUSEPORT) == 0
		if strings.HasPrefix(o.address, "unix") {
			// A path can be unlinked, and is by those who bind it.
			alone = strings.HasPrefix(o.address, abstract)
		}
		s.broker.Passed(o.address, o.why, alone)
		delete(s.own, socket.inode)
	}
	return false
}
