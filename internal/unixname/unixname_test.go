package unixname

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func bind(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil && kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestRemoveStale(t *testing.T) {
	path := t.TempDir() + "/s"
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		if err := RemoveStale(path, kind); err != nil {
			t.Errorf("nothing there: %v", err)
		}
		fd := bind(t, path, kind)
		// The first connection takes the one place in the queue.
		for range 2 {
			if err := RemoveStale(path, kind); err != ErrLive {
				t.Errorf("a live one: %v", err)
			}
		}
		if err := RemoveStale(path, unix.SOCK_STREAM+unix.SOCK_DGRAM-kind); err != ErrLive {
			t.Errorf("a live one of another type: %v", err)
		}
		unix.Close(fd)
		if err := RemoveStale(path, kind); err != nil {
			t.Errorf("a stale one: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	if err := RemoveStale(path, unix.SOCK_STREAM); err != ErrNotSocket {
		t.Errorf("a symbolic link: %v", err)
	}
}
