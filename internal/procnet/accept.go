package procnet

import (
	"os"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
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

const servePause = 100 * time.Millisecond

// Serve accepts until listener, a listening socket that does not block, is closed. handle is
// called for each connection in a goroutine of its own, for so many at most at a time; others
// wait. The connection is closed when it returns.
func Serve(listener *os.File, most int, handle func(conn *os.File)) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return // closed already
	}
	room := make(chan struct{}, most)
	for {
		room <- struct{}{}
		fd, err := Accept(raw)
		switch {
		case err == os.ErrClosed:
			return
		case err != nil: // descriptors are short
			<-room
			<-clock.After(servePause)
			continue
		}
		conn := os.NewFile(uintptr(fd), "connection")
		go func() {
			defer func() { <-room }()
			defer conn.Close()
			handle(conn)
		}()
	}
}
