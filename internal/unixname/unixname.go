// Package unixname tells whether the path of a Unix socket belongs to anybody.
package unixname

import (
	"errors"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// MaxPath is how long a path can be: sun_path less its NUL, unix(7).
const MaxPath = 107

// What keeps RemoveStale from removing a path.
var (
	ErrLive      = errors.New("somebody listens there")
	ErrNotSocket = errors.New("the path exists and is not a socket")
)

// RemoveStale removes the socket at path if there is one on which nobody listens,
// or from which nobody receives. kind is its type, such as SOCK_STREAM. One with a
// path that is too long was bound by another name, by which alone it can be asked.
func RemoveStale(path string, kind int) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return ErrNotSocket
	}
	if err == nil && len(path) <= MaxPath {
		err = refuseLive(path, kind)
	}
	if err == nil {
		err = unix.Unlink(path)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// refuseLive is ErrLive where somebody has the socket at path. It tries to connect:
// a full queue and a socket of another type are signs of life; only a refusal says
// that nobody is there.
func refuseLive(path string, kind int) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err {
	case nil, unix.EAGAIN, unix.EINPROGRESS, unix.EPROTOTYPE:
		return ErrLive
	case unix.ECONNREFUSED, unix.ENOENT:
		return nil
	}
	return text.Errorf("find out whether somebody listens on it: %w", err)
}
