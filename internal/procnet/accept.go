package procnet

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Accept waits, in the poller, for a connection to the listening socket that listener is of.
// fd is the caller's, does not block, and is close-on-exec. os.ErrClosed: the socket was
// closed. After any other error (no descriptor is left, say) the connection waits on.
func Accept(listener syscall.RawConn) (fd int, err error) {
	for {
		closed := listener.Read(func(l uintptr) bool {
			fd, _, err = syscall.Accept4(int(l), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err != unix.EAGAIN
		})
		switch {
		case closed != nil:
			return -1, os.ErrClosed
		case err != unix.EINTR && err != unix.ECONNABORTED: // else it has gone again
			return fd, err
		}
	}
}
