package gatewire

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// Conn is a connection, of either side. It owns its socket, what it has received and
// nobody has taken yet, and duplicates of what it has still to send.
type Conn struct {
	file *os.File
	raw  syscall.RawConn
	in   input
	out  output
	once sync.Once // Close
}

// NewConn takes over fd, a connected Unix stream socket.
func NewConn(fd int) *Conn {
	_ = syscall.SetNonblock(fd, true)
	c := &Conn{file: os.NewFile(uintptr(fd), "gate connection")}
	c.raw, _ = c.file.SyscallConn() // no error: the file is open
	return c
}

// Dial connects to whoever listens at address, a path or @name. It never waits: a full
// queue is EAGAIN. Its errors tell what connect(2) said.
func Dial(address string) (*Conn, error) {
	if len(address) > unixname.MaxPath && !strings.HasPrefix(address, "@") {
		return nil, unix.ENAMETOOLONG
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err = unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return NewConn(fd), nil
}

// Peer tells who is at the other end: who has called connect or, seen by that one,
// listen. In another pid namespace the pid is 0.
func (c *Conn) Peer() (cred *unix.Ucred, err error) {
	if failed := c.raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); failed != nil {
		return nil, failed
	}
	return cred, err
}

// SetReadDeadline is when Recv fails with os.ErrDeadlineExceeded; the zero time: never.
// It may be called while Recv waits.
func (c *Conn) SetReadDeadline(t time.Time) { _ = c.file.SetReadDeadline(t) }

// Recv waits for the next message. fds came with it, are close-on-exec and above 2, and
// are the caller's. One goroutine at a time may call it. After an error it only fails:
// io.EOF is the end that the peer has made, any other one means that the peer breaks the
// rules, or that the connection was closed here.
func (c *Conn) Recv() (m *Message, fds []int, err error) {
	if c.in.err == nil {
		m, fds, c.in.err = c.recv()
	}
	if c.in.err != nil {
		c.in.close()
		if why := c.out.failed(); why != nil {
			return nil, nil, why
		}
		return nil, nil, c.in.err
	}
	return m, fds, nil
}

func (c *Conn) recv() (*Message, []int, error) {
	line, start, err := c.in.line(c.receive)
	if err != nil {
		return nil, nil, err
	}
	m, err := decode(line)
	if err != nil {
		return nil, nil, err
	}
	fds, err := c.in.take(start, m.FDs)
	return m, fds, err
}

// receive is one recvmsg(2), for which it waits. The kernel ends it after the first
// part of the stream that has descriptors.
func (c *Conn) receive(p, control []byte) (n, controls int, err error) {
	flags := 0
	failed := c.raw.Read(func(fd uintptr) bool {
		for {
			n, controls, flags, _, err = syscall.Recvmsg(int(fd), p, control, syscall.MSG_CMSG_CLOEXEC)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	switch {
	case failed != nil:
		return 0, 0, failed
	case err != nil:
		return 0, 0, text.Errorf("cannot receive: %w", err)
	case flags&syscall.MSG_CTRUNC != 0:
		// Too many, or no room for them among our own: some are here, none is usable.
		err = errors.New("cannot receive the descriptors of a message: there are more than " + strconv.Itoa(MaxFDs) + ", or more than this process may have")
	}
	return n, controls, err
}

// Close ends the connection. What Send has passed on to the kernel arrives.
func (c *Conn) Close() {
	c.once.Do(func() {
		c.out.fail(os.ErrClosed)
		_ = c.file.Close() // ends Recv and the writer, who clean up behind them
		c.in.close()
	})
}
