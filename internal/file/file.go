// Package file reads files and resolves paths. Package os can do both, but what it says of
// a file has a time in it, and with that the formats and time zones of package time: 50 KB
// that nobody here asks for.
package file

import (
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// Read is os.ReadFile.
func Read(name string) ([]byte, error) {
	fd, err := open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 512)
	for {
		n, err := unix.Read(fd, data[len(data):cap(data)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return data, &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return data, nil
		default:
			data = data[:len(data)+n]
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// Real is filepath.EvalSymlinks for an absolute path, or name where /proc cannot tell. What
// is there is not opened for reading: a FIFO without a writer is no wait.
func Real(name string) (string, error) {
	fd, err := open(name, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var path [unix.PathMax]byte
	n, err := unix.Readlink(link(fd), path[:])
	if err != nil || n == len(path) {
		return name, nil
	}
	return string(path[:n]), nil
}

func open(name string, how int) (fd int, err error) {
	for {
		if fd, err = unix.Open(name, how|unix.O_CLOEXEC, 0); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// link is where /proc has the path of a descriptor.
func link(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
