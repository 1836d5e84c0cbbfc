package listen

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
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
	err := removeStale(spec.Path)
	if err == nil {
		// The spare is looked at too: it is alive while another swapinit that has
		// just lost the path is about to take it back.
		err = removeStale(spare)
	}
	if err == nil {
		err = clearHidden(spare)
	}
	var s *UnixSocket
	if err == nil {
		s, err = newUnix(spec, set, spec.Path, spare, nil)
	}
	return s, unixHint(spec, err)
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
		mode = os.FileMode(like.Mode) // with the bits for a socket: never 0, which would mean the umask's
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
	if mode != 0 {
		if err := syscall.Fchmod(fd, uint32(mode)); err != nil {
			return err
		}
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
			return fmt.Errorf("set its owner: %w", err)
		}
	}
	if mode == 0 || stat.Mode&0o7777 == uint32(mode)&0o7777 {
		return nil
	}
	if err := unix.Chmod(link, uint32(mode)); err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	return nil
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
