// Package unixname is about the names of Unix sockets: what belongs to nobody any
// more at a path, and whose an abstract name is.
package unixname

import (
	"errors"
	"fmt"
	"os"
	"strings"

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
// or from which nobody receives. kind is its type, such as SOCK_STREAM.
func RemoveStale(path string, kind int) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return ErrNotSocket
	}
	if err == nil {
		err = RefuseLive(path, kind)
	}
	if err == nil {
		err = unix.Unlink(path)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// RefuseLive is ErrLive where somebody has the socket at path. It tries to connect:
// a full queue and a socket of another type are signs of life; only a refusal says
// that nobody is there.
func RefuseLive(path string, kind int) error {
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
	return fmt.Errorf("find out whether somebody listens on it: %w", err)
}

// PidNamespace is the inode of our own pid namespace (namespaces(7)), in digits.
// Abstract names are shared by a network namespace, which a container may share
// with others and with its host; the inode tells whose name it is.
func PidNamespace() (string, error) {
	link, err := os.Readlink("/proc/self/ns/pid")
	inode := strings.TrimSuffix(strings.TrimPrefix(link, "pid:["), "]")
	if err == nil && (inode == "" || strings.Trim(inode, "0123456789") != "") {
		err = fmt.Errorf("cannot read /proc/self/ns/pid: %q", link)
	}
	if err != nil {
		return "", err
	}
	return inode, nil
}
