package listen

import (
	"fmt"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Endpoint is an open endpoint.
type Endpoint struct {
	Spec
	Address   string // as status shows it: tcp://[::]:8080, unix:///run/a.sock
	Inode     uint64 // st_ino of the socket, the N of socket:[N] in /proc/PID/fd
	Inherited bool   // given by whoever started swapinit
}

// Set is all endpoints of this init, open. It owns their descriptors. Its
// methods may be called from any goroutine.
type Set struct {
	mu        sync.Mutex
	listeners []*listener
	guard     *guard // nil before Guard and after Close
	report    func(line string)
	closed    bool
}

// listener is one endpoint and its socket. Its fd never changes: a socket
// that must be replaced gets the number of the old one (dup3), because that
// number may just be on its way into a child.
type listener struct {
	Endpoint
	fd      int
	guarded bool  // it listened when we opened it, so it must go on listening
	dead    bool  // an inherited unix socket that was shut down: beyond repair
	file    *path // own unix endpoints
	repairs repairs
}

// Open opens an endpoint for each spec, after the inherited ones, which it
// takes over: they are closed with the Set, or when Open fails. An error is
// one line with the endpoint, the system's reason and what to do; it wraps
// the errno.
func Open(specs []Spec, inherited []File) (*Set, error) {
	s := &Set{}
	for i := range inherited {
		file := &inherited[i]
		l := &listener{fd: file.FD}
		l.Inherited = true
		l.Text = "fd " + strconv.Itoa(file.FD)
		l.Name, l.Network, l.Addr, l.Path, l.Backlog = file.Name, file.Network, file.Addr, file.Path, DefaultBacklog
		l.guarded = l.isStream() && accepting(l.fd)
		s.listeners = append(s.listeners, l)
	}
	var err error
	for i := 0; i < len(specs) && err == nil; i++ {
		err = s.open(&specs[i])
	}
	for i := 0; i < len(s.listeners) && err == nil; i++ {
		l := s.listeners[i]
		l.Address = l.address()
		err = l.identify()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) open(spec *Spec) (err error) {
	l := &listener{Endpoint: Endpoint{Spec: *spec}, guarded: spec.isStream()}
	for _, other := range s.listeners {
		if other.Inherited && other.Name == l.Name {
			err = bad("its name ", l.Name, " is also that of inherited "+other.Text+": put another one in front, as in other=...")
		}
	}
	switch {
	case err != nil:
	case spec.Network == "unix":
		l.fd, l.file, err = openUnix(spec)
	default:
		l.fd, err = openInet(&l.Spec)
	}
	if err != nil {
		return fmt.Errorf("cannot open endpoint %q: %w", spec.Text, err)
	}
	s.listeners = append(s.listeners, l)
	return nil
}

// identify notes the socket's inode, by which the holders of it are found.
func (l *listener) identify() error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(l.fd, &stat); err != nil {
		return err
	}
	l.Inode = stat.Ino
	return nil
}

// Endpoints lists the endpoints: inherited ones, then those of the settings
// in their order.
func (s *Set) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endpoints()
}

// endpoints copies them. The caller holds the mutex.
func (s *Set) endpoints() []Endpoint {
	list := make([]Endpoint, len(s.listeners))
	for i, l := range s.listeners {
		list[i] = l.Endpoint
	}
	return list
}

// Generation says what generation n gets. Today these are the same sockets
// for each.
func (s *Set) Generation(n int) Given {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := Given{Stdin: NoFile, Endpoints: s.endpoints()}
	for _, l := range s.listeners {
		given.Inodes = append(given.Inodes, l.Inode)
		if l.Stdin {
			given.Stdin = uintptr(l.fd)
		} else {
			given.Files = append(given.Files, uintptr(l.fd))
		}
	}
	return given
}

// Close ends the guard and waits for it, unlinks the paths of own unix
// endpoints that still lead to our sockets, and closes all sockets. A
// generation that still holds one keeps it. Close may be called twice.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	g := s.guard
	s.guard = nil
	if g != nil {
		g.stop()
	}
	s.mu.Unlock()
	if g != nil {
		g.wait() // not under the mutex, which it may want before it ends
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.file != nil {
			l.file.remove()
		}
		_ = syscall.Close(l.fd) // EINTR or not, Linux has released it
	}
	s.listeners = nil
}

// newSocket returns a blocking, close-on-exec socket above 2. Protocol 0 is
// plain TCP, never MPTCP, which cannot be steered.
func newSocket(family, kind int) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return aboveStreams(fd)
}

// aboveStreams moves fd out of 0 to 2, where a swapinit that was started
// with closed standard streams gets its first descriptors.
func aboveStreams(fd int) (int, error) {
	if fd >= firstFD {
		return fd, nil
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
	_ = syscall.Close(fd)
	return high, err
}

// accepting: the kernel has the socket in state LISTEN. For TCP that ends
// with shutdown(2), for unix sockets it never ends.
func accepting(fd int) bool {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listening == 1
}
