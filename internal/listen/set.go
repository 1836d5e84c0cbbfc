package listen

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Endpoint is an open endpoint.
type Endpoint struct {
	Spec
	Address   string // as status shows it: tcp://[::]:8080, unix:///run/a.sock
	Inode     uint64 // st_ino of the socket, the N of socket:[N] in /proc/PID/fd; 0 where each generation has its own
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
	fd       int
	unix     *UnixSocket // in place of fd: an own unix endpoint's
	group    Steered     // has taken over either of them; or nil
	spareErr error       // why unix could have no second link when it was opened
	guarded  bool        // it listened when we opened it, so it must go on listening
	apart    bool        // see Join
	repairs  repairs
}

// Open opens an endpoint for each spec, after the inherited ones, which it
// takes over: they are closed with the Set, or when Open fails. An error is
// one line with the endpoint, the system's reason and what to do; it wraps
// the errno.
//
// prepare, where not nil, is called with each own TCP socket between bind and
// listen. It is bound without SO_REUSEPORT, so that a port that somebody else
// listens on is refused, but has it then. An error of prepare's fails the Open.
func Open(specs []Spec, inherited []File, prepare func(fd int) error) (*Set, error) {
	s := &Set{}
	for _, file := range inherited {
		s.listeners = append(s.listeners, &listener{
			Endpoint: Endpoint{Spec: file.Spec, Inherited: true},
			fd:       file.FD,
			guarded:  file.isStream() && procnet.Listens(file.FD),
		})
	}
	var err error
	for i := 0; i < len(specs) && err == nil; i++ {
		err = s.open(&specs[i], prepare)
	}
	for i := 0; i < len(s.listeners) && err == nil; i++ {
		l := s.listeners[i]
		l.Address = l.address()
		if l.unix == nil {
			l.Inode, err = procnet.Inode(l.fd)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Lent is a Set of endpoints whose sockets somebody else has opened: each gets them of a
// group (Steer), before it is passed on. Nobody watches over them here.
func Lent(specs []Spec) *Set {
	s := &Set{}
	for _, spec := range specs {
		s.listeners = append(s.listeners, &listener{Endpoint: Endpoint{Spec: spec, Address: spec.address()}, fd: -1})
	}
	return s
}

func (s *Set) open(spec *Spec, prepare func(fd int) error) (err error) {
	l := &listener{Endpoint: Endpoint{Spec: *spec}, guarded: spec.isStream()}
	for _, other := range s.listeners {
		if other.Inherited && other.Name == l.Name {
			err = bad("its name ", l.Name, " is also that of inherited "+other.Text+": put another one in front, as in other=...")
		}
	}
	switch {
	case err != nil:
	case spec.Network == "unix":
		l.fd = -1
		if l.unix, err = openUnix(&l.Spec, s); err == nil {
			l.spareErr = l.unix.file.spareErr
		}
	default:
		l.fd, err = openInet(&l.Spec, prepare)
	}
	if err != nil {
		return text.Errorf("cannot open endpoint %q: %w", spec.Text, err)
	}
	s.listeners = append(s.listeners, l)
	return nil
}

// Endpoints lists the endpoints: inherited ones, then those of the settings
// in their order.
func (s *Set) Endpoints() []Endpoint { return s.Generation(0).Endpoints }

// Generation says what generation n gets, without the sockets themselves: those
// of groups (Steer) are its own, the others are the same for each.
func (s *Set) Generation(n int) Given {
	given, _ := s.given(n, false)
	return given
}

// Lend is Generation with the sockets: duplicates, which the caller closes
// (Given.Close) after the fork, and which outlive the generation until then.
func (s *Set) Lend(n int) (Given, error) {
	given, err := s.given(n, true)
	if err != nil {
		given.Close()
		return Given{}, text.Errorf("cannot pass on the endpoints: %w", err)
	}
	return given, nil
}

func (s *Set) given(n int, lend bool) (Given, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := Given{Stdin: NoFile}
	for _, l := range s.listeners {
		if l.apart {
			continue
		}
		e := l.Endpoint
		fd, inode, err := l.socket(n, lend)
		if err != nil {
			return given, err
		}
		e.Inode = inode
		given.Endpoints = append(given.Endpoints, e)
		switch {
		case !lend:
		case e.Stdin:
			given.Stdin = uintptr(fd)
		default:
			given.Files = append(given.Files, uintptr(fd))
		}
	}
	return given, nil
}

// socket is what generation n has; with lend fd is a duplicate.
func (l *listener) socket(n int, lend bool) (fd int, inode uint64, err error) {
	fd, inode = l.fd, l.Inode
	switch {
	case l.group != nil && lend:
		return l.group.Lend(n)
	case l.group != nil:
		return -1, l.group.Inode(n), nil
	case l.unix != nil:
		fd, inode, _ = l.unix.Socket()
	}
	if lend {
		fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
	}
	return fd, inode, err
}

// Close ends the guard and waits for it, unlinks the paths of own unix
// endpoints that still lead to our sockets, and closes all sockets. A
// generation that still holds one keeps it. Close may be called twice.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	g := s.guard.Swap(nil)
	s.mu.Unlock()
	g.stop() // not under the mutex, which it may want before it ends
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		switch {
		case l.group != nil:
			l.group.Close()
		case l.unix != nil:
			l.unix.Close()
		default:
			_ = syscall.Close(l.fd) // EINTR or not, Linux has released it
		}
	}
	s.listeners = nil
}

// newSocket returns a blocking, close-on-exec socket above 2. Protocol 0 is
// plain TCP, never MPTCP, which cannot be steered.
func newSocket(family, kind int) (int, error) {
	return aboveStreams(unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0))
}

// aboveStreams moves a new descriptor out of 0 to 2, where a swapinit that was
// started with closed standard streams gets its first ones.
func aboveStreams(fd int, err error) (int, error) {
	if err != nil || fd >= firstFD {
		return fd, err
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
	_ = syscall.Close(fd)
	return high, err
}
