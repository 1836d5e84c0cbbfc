package unixname

import (
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Made is the file of a socket that Listen has made; zero for an abstract name.
type Made struct {
	path string
	file unix.Stat_t
}

// Remove unlinks it, unless another one is there by now. It waits for the file system.
func (m Made) Remove() {
	var now unix.Stat_t
	if m.path != "" && unix.Lstat(m.path, &now) == nil && now.Dev == m.file.Dev && now.Ino == m.file.Ino {
		unix.Unlink(m.path)
	}
}

// Listen opens a stream socket, close-on-exec and non-blocking, that listens at address:
// a path, whose file gets mode, or @name. A stale socket at the path is replaced; where
// somebody listens the error is EADDRINUSE. After an error nothing is left.
func Listen(address string, mode uint32, backlog int) (fd int, made Made, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, Made{}, err
	}
	if err = claim(fd, address); err == nil && !strings.HasPrefix(address, "@") {
		// Before listen nobody can connect, so the mode needs no umask, which is the
		// whole process's.
		made, err = setMode(address, mode)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		made.Remove()
		return -1, Made{}, err
	}
	return fd, made, nil
}

func claim(fd int, address string) error {
	sa := &unix.SockaddrUnix{Name: address}
	err := unix.Bind(fd, sa)
	if err == unix.EADDRINUSE && !strings.HasPrefix(address, "@") {
		switch err = RemoveStale(address, unix.SOCK_STREAM); err {
		case nil:
			err = unix.Bind(fd, sa)
		case ErrLive:
			err = unix.EADDRINUSE
		}
	}
	if err == unix.EINVAL && len(address) > MaxPath {
		return text.Errorf("%d bytes are too many, accepted are up to %d", len(address), MaxPath)
	}
	return err
}

// setMode sets the mode of the socket at path, and of nothing that somebody puts there in
// this moment: the directory may be others' to write, and chmod(2) follows a link.
func setMode(path string, mode uint32) (Made, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Made{}, err
	}
	defer unix.Close(fd)
	made := Made{path: path}
	if err = unix.Fstat(fd, &made.file); err == nil && made.file.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return Made{}, ErrNotSocket
	}
	if err == nil {
		err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	}
	if err == unix.ENOENT { // there is no /proc
		err = unix.Chmod(path, mode)
	}
	return made, err
}

// Listener tells who listens at address (SO_PEERCRED of a client). EAGAIN: its queue is
// full.
func Listener(address string) (*unix.Ucred, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err = unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		return nil, err
	}
	return unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
}
