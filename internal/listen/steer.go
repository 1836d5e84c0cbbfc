package listen

import (
	"fmt"
)

// Steered is a group: an endpoint that has a socket for each generation. It
// owns all of them. A Set calls it while it holds its own mutex, so it may call
// no method of the Set's but Watch and Unwatch.
type Steered interface {
	// Socket is generation n's, lent, and its inode; ok is false if it has none.
	Socket(n int) (fd int, inode uint64, ok bool)
	// Mend looks at the sockets and repairs what a process has harmed. It
	// returns what it did, or why it could not; neither when all is well.
	Mend() (line string, err error)
	// FDs are those of all its sockets, the oldest first.
	FDs() []int
	// Close closes all.
	Close()
}

// First is the socket of an own TCP endpoint, of which the index is that in
// Endpoints; a group can take it over by Steer. opener opens one more: bound to
// the same address with the same options and SO_REUSEPORT, not listening,
// close-on-exec and above 2, the caller's. It takes an endpoint that was opened
// with Options.Prepare, or the address is in use. Its errors are one line like
// those of Open. It needs nothing of the Set, so a group may call it under its
// own mutex. opener is nil for any other endpoint.
func (s *Set) First(endpoint int) (fd int, opener func() (fd int, err error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.at(endpoint)
	if l == nil || !l.isTCP() || l.Inherited {
		return -1, nil
	}
	spec := l.Spec
	return l.fd, func() (int, error) {
		fd, err := bindInet(&spec, true)
		if err != nil {
			return -1, fmt.Errorf("cannot open another socket for endpoint %q: %w", spec.Text, inetHint(&spec, err))
		}
		return fd, nil
	}
}

// at is the endpoint with that index, or nil. The caller holds the mutex.
func (s *Set) at(endpoint int) *listener {
	if endpoint < 0 || endpoint >= len(s.listeners) {
		return nil
	}
	return s.listeners[endpoint]
}

// Steer gives an endpoint to a group: from now on its sockets, the first one
// included, are g's, and the Set closes it. After Close, which has closed the
// first one, it does nothing.
func (s *Set) Steer(endpoint int, g Steered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.at(endpoint)
	if l == nil {
		return
	}
	l.group = g
	for _, fd := range g.FDs() {
		s.Watch(fd)
	}
}

// Watch tells the guard of a socket that a group has added; before Guard it
// does nothing, as Guard asks all groups for theirs. Groups call it under their
// own mutex, which the Set takes after its: so it does without the Set's.
// Without a watch, harm is seen when a generation ends (Check).
func (s *Set) Watch(fd int) {
	if g := s.guard.Load(); g != nil {
		_ = g.add(fd)
	}
}

// Unwatch is to be called before such a socket is closed: epoll watches the
// open file, which may live on in a child.
func (s *Set) Unwatch(fd int) {
	if g := s.guard.Load(); g != nil {
		g.remove(fd)
	}
}

// Paths is the group of an own unix endpoint, nil for other endpoints and
// without Options.UnixGroups. The Set closes it.
func (s *Set) Paths(endpoint int) *Paths {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.at(endpoint); l != nil {
		if p, ok := l.group.(*Paths); ok && p.groups {
			return p
		}
	}
	return nil
}

// socket is what generation n gets. Where its group has none for it, it gets
// the oldest.
func (l *listener) socket(n int) (fd int, inode uint64) {
	if l.group == nil {
		return l.fd, l.Inode
	}
	fd, inode, ok := l.group.Socket(n)
	if list := l.group.FDs(); !ok && len(list) > 0 {
		fd = list[0]
		inode, _ = inodeOf(fd)
	}
	return fd, inode
}
