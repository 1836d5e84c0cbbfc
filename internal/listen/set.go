package listen

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Endpoint is an open endpoint.
type Endpoint struct {
	Spec
	Address   string // as status shows it: tcp://[::]:8080, unix:///run/a.sock
	Inode     uint64 // st_ino of the socket, the N of socket:[N] in /proc/PID/fd; of the oldest, where each generation has its own
	Inherited bool   // given by whoever started swapinit
}

// Set is all endpoints of this init, open. It owns their descriptors. Its
// methods may be called from any goroutine.
type Set struct {
	mu        sync.Mutex
	listeners []*listener
	guard     atomic.Pointer[guard] // nil before Guard and after Close; changed under mu
	report    func(line string)
	closed    bool
}

// listener is one endpoint and its socket, or the group that has its sockets.
type listener struct {
	Endpoint
	fd      int
	guarded bool    // it listened when we opened it, so it must go on listening
	dead    bool    // an inherited unix socket that was shut down: beyond repair
	group   Steered // has the sockets, in place of fd: Paths for own unix endpoints, else from Steer; or nil
	repairs repairs
}

// Options are what Open does not do by itself.
type Options struct {
	// Prepare, where not nil, is called with each own TCP socket between bind
	// and listen. It is bound without SO_REUSEPORT, so that a port that
	// somebody else listens on is refused, but has it when Prepare is called.
	// An error of Prepare's fails the Open.
	Prepare func(fd int) error
	// UnixGroups gives own unix endpoints a socket for each generation (Paths).
	UnixGroups bool
}

// Open opens an endpoint for each spec, after the inherited ones, which it
// takes over: they are closed with the Set, or when Open fails. An error is
// one line with the endpoint, the system's reason and what to do; it wraps
// the errno.
func Open(specs []Spec, inherited []File) (*Set, error) {
	return OpenWith(specs, inherited, Options{})
}

// OpenWith is Open with options.
func OpenWith(specs []Spec, inherited []File, options Options) (*Set, error) {
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
		err = s.open(&specs[i], &options)
	}
	for i := 0; i < len(s.listeners) && err == nil; i++ {
		l := s.listeners[i]
		l.Address = l.address()
		if l.group == nil {
			l.Inode, err = inodeOf(l.fd)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) open(spec *Spec, options *Options) (err error) {
	l := &listener{Endpoint: Endpoint{Spec: *spec}, guarded: spec.isStream()}
	for _, other := range s.listeners {
		if other.Inherited && other.Name == l.Name {
			err = bad("its name ", l.Name, " is also that of inherited "+other.Text+": put another one in front, as in other=...")
		}
	}
	switch {
	case err != nil:
	case spec.Network == "unix":
		var paths *Paths
		if paths, err = openPaths(&l.Spec, s, options.UnixGroups); err == nil {
			l.fd, l.group = -1, paths
		}
	default:
		l.fd, err = openInet(&l.Spec, options.Prepare)
	}
	if err != nil {
		return fmt.Errorf("cannot open endpoint %q: %w", spec.Text, err)
	}
	s.listeners = append(s.listeners, l)
	return nil
}

// inodeOf is a socket's inode, by which the holders of it are found.
func inodeOf(fd int) (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Fstat(fd, &stat)
	return stat.Ino, err
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
		_, list[i].Inode = l.socket(0)
	}
	return list
}

// Generation says what generation n gets: the sockets of groups (Steer) are
// its own, the others are the same for each.
func (s *Set) Generation(n int) Given {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := Given{Stdin: NoFile, Endpoints: s.endpoints()}
	for i, l := range s.listeners {
		fd, inode := l.socket(n)
		given.Endpoints[i].Inode = inode
		given.Inodes = append(given.Inodes, inode)
		if l.Stdin {
			given.Stdin = uintptr(fd)
		} else {
			given.Files = append(given.Files, uintptr(fd))
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
	g := s.guard.Swap(nil)
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
		if l.group != nil {
			l.group.Close()
			continue
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
