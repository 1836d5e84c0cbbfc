package listen

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// UnixSocket is a listening socket of an own unix endpoint, and the names of its
// file. It belongs to the Set, or to a group that took it over (Set.Steer): who
// has it calls one method of all sockets of an endpoint at a time.
type UnixSocket struct {
	spec  *Spec
	set   *Set // for its guard only, which needs no lock of the Set's
	fd    int
	inode uint64 // of the socket
	bound string // the name that getsockname(2), accepted connections too, and /proc/net/unix show for ever
	file  path
}

// openUnix opens an own unix endpoint. Its path may be what a killed
// predecessor left behind (a socket that refuses connections); anything else
// that is in the way is an error.
func openUnix(spec *Spec, set *Set) (*UnixSocket, error) {
	spare := spareName(spec.Path)
	if spec.Replace {
		s, err := replaceUnix(spec, set, spare)
		return s, unixHint(spec, err)
	}
	err := removeStale(spec.Path)
	if err == nil {
		// The spare is looked at too: it is alive while another swapinit that has
		// just lost the path is about to take it back.
		err = removeStale(spare)
	}
	if err == nil {
		err = clearHidden(spare, removeStale)
	}
	var s *UnixSocket
	if err == nil {
		s, err = newUnix(spec, set, spec.Path, spare, nil)
	}
	return s, unixHint(spec, err)
}

// replaceUnix is openUnix where the path, and the hidden names beside it, may lead to
// sockets of our own former life in which processes still listen. Whoever connects finds
// one of these or the new one.
func replaceUnix(spec *Spec, set *Set, spare string) (*UnixSocket, error) {
	err := replaceable(spec.Path, "socket")
	if err == nil {
		err = clearHidden(spare, func(name string) error {
			if err := replaceable(name, "socket"); err != nil {
				return err
			}
			return syscall.Unlink(name)
		})
	}
	if err != nil {
		return nil, err
	}
	s, err := newUnix(spec, set, spare, spare, nil)
	if err != nil {
		return nil, err
	}
	if err = s.file.put(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// newUnix makes a socket at the bound name, which is the path or the spare,
// with the right mode before the first connect can succeed, and never a wider
// one. like, where not nil, has the owner and the mode instead of spec.
//
// It binds the name itself. A temporary name moved into place would show in
// getsockname(2) for ever, and servers match inherited sockets by that. So
// the mode is given to the unbound socket: Linux makes the file with the
// socket's own mode less the umask (unix_bind), and what the umask took away
// is put back before listen(2), that is, while every connect is refused.
func newUnix(spec *Spec, set *Set, bound, spare string, like *syscall.Stat_t) (*UnixSocket, error) {
	mode := spec.Mode
	if like != nil {
		mode = os.FileMode(like.Mode)
	}
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	s := &UnixSocket{spec: spec, set: set, fd: fd, bound: bound, file: path{name: spec.Path, spare: spare}}
	if err = bindNarrow(fd, bound, mode); err == nil {
		if err = s.file.settle(bound, mode, like); err == nil {
			err = unix.Listen(fd, spec.Backlog)
		}
		if err == nil {
			s.inode, err = procnet.Inode(fd)
		}
		if err != nil {
			_ = syscall.Unlink(bound) // bound by us a moment ago
		}
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	if bound != spare {
		s.file.back()
	}
	return s, nil
}

// bindNarrow makes the file with no more permissions than mode.
func bindNarrow(fd int, name string, mode os.FileMode) error {
	if err := syscall.Fchmod(fd, uint32(mode)); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrUnix{Name: name})
}

// settle notes which inode the bound name leads to, gives it the owner of like
// (where not nil) and completes its mode. All goes through one O_PATH
// descriptor, so that a symbolic link that is put there in between is neither
// followed nor changed.
func (p *path) settle(bound string, mode os.FileMode, like *syscall.Stat_t) error {
	fd, err := syscall.Open(bound, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return err
	}
	if kindOf(stat.Mode) != "socket" {
		return unix.EEXIST
	}
	p.dev, p.ino = uint64(stat.Dev), stat.Ino
	// chmod(2) of the link in /proc is the one way that works on O_PATH
	// everywhere: fchmodat2 is younger than many kernels and seccomp profiles.
	link := "/proc/self/fd/" + strconv.Itoa(fd)
	if like != nil && (like.Uid != stat.Uid || like.Gid != stat.Gid) {
		if err := unix.Chown(link, int(like.Uid), int(like.Gid)); err != nil {
			return text.Errorf("set its owner: %w", err)
		}
	}
	if stat.Mode&0o7777 == uint32(mode)&0o7777 {
		return nil
	}
	if err := unix.Chmod(link, uint32(mode)); err != nil {
		return text.Errorf("set its mode: %w", err)
	}
	return nil
}

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
		return text.Errorf("its path can have no second link: %w", s.file.spareErr)
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

// Mend repairs what a process has harmed, and returns what it did, or why it could
// not. renewed: running generations keep the dead socket.
func (s *UnixSocket) Mend() (line string, renewed bool, err error) {
	if isShut(s.fd) {
		return s.renew("a process shut it down")
	}
	did, err := s.file.restore()
	switch {
	case err == errGone:
		return s.renew("its path was removed with all links")
	case err != nil:
		return "", false, text.Errorf("cannot restore its path: %w", err)
	case did:
		line = "a process removed or replaced its path, restored"
	}
	return line, false, nil
}

// renew puts a new socket in the place of a dead one.
func (s *UnixSocket) renew(cause string) (line string, renewed bool, err error) {
	fresh, err := s.fresh()
	if err != nil {
		return "", false, text.Errorf("%s, cannot make a new socket: %w", cause, unixHint(s.spec, err))
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
	s.file.remove(s.file.spare)
	// A stray process may hold it, and then the queue would outlive our close.
	// Once it is shut down nothing joins the queue, and accept(2) never waits.
	s.set.Unwatch(s.fd) // or it would be seen as harmed
	_ = unix.Shutdown(s.fd, unix.SHUT_RD)
	for range s.spec.Backlog {
		conn, _, err := syscall.Accept4(s.fd, unix.SOCK_CLOEXEC)
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
	s.file.remove(s.file.name, s.file.spare)
	s.close()
}

// close also ends the guard's watch: epoll watches the open file, which may live
// on in a child.
func (s *UnixSocket) close() {
	s.set.Unwatch(s.fd)
	_ = syscall.Close(s.fd) // EINTR or not, Linux has released it
}

// unixHint adds what to do to what the kernel said.
func unixHint(spec *Spec, err error) error {
	directory := strings.TrimSuffix(spec.Path, lastPart(spec.Path))
	text := ""
	switch {
	case errors.Is(err, unixname.ErrLive):
		text = "end its process or choose another path"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		text = "directory " + directory + " does not exist: make it in the image or mount it"
	case errors.Is(err, os.ErrPermission):
		text = "uid " + strconv.Itoa(os.Geteuid()) + " may not do this in " + directory
	case errors.Is(err, unix.EROFS):
		text = directory + " is read-only: mount a tmpfs there"
	case errors.Is(err, unix.EADDRINUSE):
		text = "somebody else made it at the same moment"
	}
	return hint(err, text)
}
