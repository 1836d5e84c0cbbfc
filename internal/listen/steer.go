package listen

import (
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Steered is a group: what has the sockets of an endpoint, one for each
// generation, and owns them. A Set calls it while it holds its own mutex, so it
// may call no method of the Set's but Watch and Unwatch. See steer.Group.
type Steered interface {
	Lend(n int) (fd int, inode uint64, err error)
	Inode(n int) uint64
	Mend() (line string, err error)
	Watch() error
	Close()
}

// TCP is the socket of an own TCP endpoint, by its index in Endpoints; a group can
// take it over by Steer. opener opens one more, the caller's: bound to the same
// address with the same options and SO_REUSEPORT, not listening. The endpoint was
// opened with prepare, or the address is in use. Its errors are like those of Open.
// It needs nothing of the Set. opener is nil for any other endpoint.
func (s *Set) TCP(endpoint int) (fd int, opener func() (fd int, err error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.at(endpoint)
	if l == nil || !l.IsTCP() || l.Inherited {
		return -1, nil
	}
	spec := l.Spec
	return l.fd, func() (int, error) {
		fd, err := Bind(&spec)
		if err != nil {
			return -1, text.Errorf("cannot open another socket for endpoint %q: %w", spec.Text, err)
		}
		return fd, nil
	}
}

// Unix is the socket of an own unix endpoint, nil for any other; a group can take
// it over by Steer. alone is why there can be no second one, if that is known.
func (s *Set) Unix(endpoint int) (first *UnixSocket, alone error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.at(endpoint)
	if l == nil || l.unix == nil {
		return nil, nil
	}
	return l.unix, l.unix.possible(2)
}

// at is the endpoint with that index, or nil. The caller holds the mutex.
func (s *Set) at(endpoint int) *listener {
	if endpoint < 0 || endpoint >= len(s.listeners) {
		return nil
	}
	return s.listeners[endpoint]
}

// Steer gives an endpoint to a group: from now on its sockets, the first one
// included, are g's, and the Set closes it. After Close it does nothing.
func (s *Set) Steer(endpoint int, g Steered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.at(endpoint); l != nil {
		l.group = g
		_ = g.Watch() // else it is looked at when a generation ends
	}
}

// Watch has the guard watch a socket of a group's; before Guard it does nothing, as
// Guard asks all groups for theirs. Groups call it under their own mutex, which the
// Set takes after its: so it does without that. Without a watch, harm is seen when a
// generation ends (Check).
func (s *Set) Watch(fd int) error {
	err := s.guard.Load().control(unix.EPOLL_CTL_ADD, fd, socketEvents)
	if err == unix.EEXIST { // it is watched already
		return nil
	}
	return err
}

// Unwatch is to be called before such a socket is closed: epoll watches the
// open file, which may live on in a child.
func (s *Set) Unwatch(fd int) { _ = s.guard.Load().control(unix.EPOLL_CTL_DEL, fd, 0) }
