package listen

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// Socket returns the descriptor, lent until the next call, the inode of the
// socket, and the name that it was bound to.
func (s *UnixSocket) Socket() (fd int, inode uint64, bound string) { return s.fd, s.inode, s.bound }

// Another makes a socket for generation n at a hidden name, with the owner and the
// mode that the path, which leads to s, has now: a server may have changed them.
func (s *UnixSocket) Another(n int) (*UnixSocket, error) {
	if err := s.possible(n); err != nil {
		return nil, err
	}
	hidden := s.hidden(n)
	var like *syscall.Stat_t
	var stat syscall.Stat_t
	if syscall.Lstat(s.file.spare, &stat) == nil && stat.Ino == s.file.ino {
		like = &stat
	}
	err := removeStale(hidden)
	var other *UnixSocket
	if err == nil {
		other, err = newUnix(s.spec, s.set, hidden, hidden, like)
	}
	return other, unixHint(s.spec, err)
}

func (s *UnixSocket) hidden(n int) string { return spareName(s.spec.Path) + "." + strconv.Itoa(n) }

// possible says why generation n can have no socket of its own, if the path
// or its directory is the reason.
func (s *UnixSocket) possible(n int) error {
	if size := len(s.hidden(n)); size > unixname.MaxPath {
		return errors.New("the hidden name " + s.hidden(n) + " would have " + strconv.Itoa(size) + " bytes, the kernel accepts 107: use a shorter path")
	}
	if s.file.spareErr != nil {
		s.file.back() // it may have been a passing trouble
	}
	if s.file.spareErr != nil {
		return fmt.Errorf("its path can have no second link: %w", s.file.spareErr)
	}
	return nil
}

// Lead makes the path lead to s, atomically.
func (s *UnixSocket) Lead() error {
	switch {
	case isShut(s.fd):
		return errors.New("a process shut its socket down, and it cannot listen again: start another generation")
	case !s.file.leads(s.file.spare):
		return errors.New("a process removed " + s.file.spare + ": start another generation")
	}
	return unixHint(s.spec, s.file.put())
}

// Watch has the guard watch it and its file. Without a guard it does nothing, as
// Guard asks for all.
func (s *UnixSocket) Watch() error {
	if err := s.set.Watch(s.fd); err != nil {
		return err
	}
	name := s.file.spare
	if s.file.spareErr != nil {
		name = s.file.name
	}
	return s.set.guard.Load().addPath(name)
}

// Mend repairs what a process has harmed: a lost path comes back to s, a socket that
// was shut down is replaced, as it cannot be revived. It returns what it did, or why
// it could not. renewed: running generations keep the dead socket.
func (s *UnixSocket) Mend() (line string, renewed bool, err error) {
	if isShut(s.fd) {
		return s.renew("a process shut it down")
	}
	did, err := s.file.restore()
	switch {
	case err == errGone:
		return s.renew("its path was removed with all links")
	case err != nil:
		return "", false, fmt.Errorf("cannot restore its path: %w", err)
	case did:
		line = "a process removed or replaced its path, restored"
	}
	return line, false, nil
}

// renew puts a new socket in the place of a dead one.
func (s *UnixSocket) renew(cause string) (line string, renewed bool, err error) {
	fresh, err := s.fresh()
	if err != nil {
		return "", false, fmt.Errorf("%s, cannot make a new socket: %w", cause, unixHint(s.spec, err))
	}
	s.close()
	*s = *fresh
	line = cause + ", made a new socket, which only the next generation gets: connections wait until a swap"
	if err := s.Watch(); err != nil {
		line += " (cannot watch it: " + err.Error() + ")"
	}
	return line, true, nil
}

// fresh makes a socket that is bound as the dead one, and at the path.
func (s *UnixSocket) fresh() (*UnixSocket, error) {
	if err := replaceable(s.file.name, "socket", "symbolic link"); err != nil {
		return nil, err
	}
	_ = syscall.Unlink(s.bound) // ours, or one that took our path; bind tells if it is still there
	fresh, err := newUnix(s.spec, s.set, s.bound, s.file.spare, nil)
	if err != nil || s.bound == s.file.name {
		return fresh, err
	}
	if err = fresh.file.put(); err != nil {
		_ = syscall.Unlink(s.bound)
		_ = syscall.Close(fresh.fd)
		return nil, err
	}
	return fresh, nil
}

// Drop ends a socket that the path does not lead to. What waits in it is reset.
func (s *UnixSocket) Drop() {
	if s.file.leads(s.file.spare) {
		_ = syscall.Unlink(s.file.spare)
	}
	// A stray process may hold it, and then the queue would outlive our close.
	// Once it is shut down nothing joins the queue, and accept(2) never waits.
	s.set.Unwatch(s.fd) // or it would be seen as harmed
	_ = unix.Shutdown(s.fd, unix.SHUT_RD)
	for range s.spec.Backlog {
		conn, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
		if err != nil {
			break
		}
		_ = syscall.Close(conn)
	}
	_ = syscall.Close(s.fd)
}

// Close unlinks what is ours and closes the socket. A generation that still
// holds it keeps it.
func (s *UnixSocket) Close() {
	s.file.remove()
	s.close()
}

// close also ends the guard's watch: epoll watches the open file, which may live
// on in a child.
func (s *UnixSocket) close() {
	s.set.Unwatch(s.fd)
	_ = syscall.Close(s.fd) // EINTR or not, Linux has released it
}
