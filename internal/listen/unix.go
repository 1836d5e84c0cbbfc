package listen

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// openUnix opens an own unix endpoint. Its path may be what a killed
// predecessor left behind (a socket that refuses connections); anything else
// that is in the way is an error.
func openUnix(spec *Spec) (fd int, file *path, err error) {
	file = &path{name: spec.Path, spare: spareName(spec.Path)}
	// The spare is looked at too: it is alive while another swapinit that has
	// just lost the path is about to take it back.
	if err = removeStale(file.name); err == nil {
		err = removeStale(file.spare)
	}
	if err == nil {
		fd, err = bindUnix(spec, file)
	}
	return fd, file, unixHint(spec, err)
}

// bindUnix makes a socket at the path, with the right mode before the first
// connect can succeed, and never a wider one.
//
// It binds the path itself. A temporary name moved into place would show in
// getsockname(2) for ever, and servers match inherited sockets by that. So
// the mode is given to the unbound socket: Linux makes the file with the
// socket's own mode less the umask (unix_bind), and what the umask took away
// is put back before listen(2), that is, while every connect is refused.
func bindUnix(spec *Spec, file *path) (int, error) {
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	if err = bindNarrow(fd, file.name, spec.Mode); err == nil {
		if err = file.settle(spec.Mode); err == nil {
			err = unix.Listen(fd, spec.Backlog)
		}
		if err != nil {
			_ = syscall.Unlink(file.name) // bound by us a moment ago
		}
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	file.back()
	return fd, nil
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

// settle notes which inode the path leads to and completes its mode. Both go
// through one O_PATH descriptor, so that a symbolic link that is put there
// in between is neither followed nor changed.
func (p *path) settle(mode os.FileMode) error {
	fd, err := syscall.Open(p.name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
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
	if mode == 0 || stat.Mode&0o7777 == uint32(mode) {
		return nil
	}
	// chmod(2) of the link in /proc is the one way that works on O_PATH
	// everywhere: fchmodat2 is younger than many kernels and seccomp profiles.
	if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), uint32(mode)); err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	return nil
}

// errLive: the path belongs to somebody who listens.
var errLive = errors.New("somebody listens there: end its process or choose another path")

// noSocket: the path is taken by something that is not ours to remove.
func noSocket(name, what string) error {
	return errors.New(name + " exists and is a " + what + ", not a socket: remove it or choose another path")
}

// removeStale removes a socket that nobody listens on.
func removeStale(name string) error {
	var stat syscall.Stat_t
	err := syscall.Lstat(name, &stat)
	if err == nil {
		if what := kindOf(stat.Mode); what != "socket" {
			return noSocket(name, what)
		}
		if err = refuseLive(name); err == nil {
			err = syscall.Unlink(name)
		}
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// refuseLive returns nil when nobody listens. It tries to connect: a full queue and
// a socket of another type are signs of life; only a refusal says that nobody
// is there.
func refuseLive(name string) error {
	if len(name) > maxPath {
		return nil // a spare of a long path: cannot be asked
	}
	fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
	switch errno, _ := err.(unix.Errno); errno {
	case 0, unix.EAGAIN, unix.EINPROGRESS, unix.EPROTOTYPE:
		return errLive
	case unix.ECONNREFUSED, unix.ENOENT:
		return nil
	default:
		return fmt.Errorf("find out whether somebody listens on it: %w", err)
	}
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFREG:
		return "regular file"
	}
	return "special file"
}

// unixHint adds what to do to what the kernel said.
func unixHint(spec *Spec, err error) error {
	directory := strings.TrimSuffix(spec.Path, lastPart(spec.Path))
	text := ""
	switch {
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
