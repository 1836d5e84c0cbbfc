package channel

import (
	"os"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/lines"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Channel is the channel of one child. It owns both ends; only a duplicate of
// the child's reaches the child.
type Channel struct {
	node  bool
	file  *os.File // our end, nonblocking
	conn  syscall.RawConn
	child int           // -1 once closed; blocking, the child expects a plain socket
	done  chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	queue   []byte // what the socket did not take yet
	writing bool   // flush is under way, and nobody else writes
	gone    bool   // nothing can be sent any more
	closed  bool
}

// New makes the socketpair. node chooses the dialect of Node IPC.
func New(node bool) (*Channel, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, text.Errorf("cannot create channel: %w", err)
	}
	for i, fd := range fds {
		if fd <= 2 && err == nil {
			fds[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) // -1 after an error
			unix.Close(fd)
		}
	}
	// Each end has a file description of its own, so this leaves the child's
	// end blocking. os.NewFile uses the poller for a nonblocking fd only. On a
	// new socket it cannot fail.
	_ = unix.SetNonblock(fds[0], true)
	c := &Channel{node: node, file: os.NewFile(uintptr(fds[0]), "channel"), child: fds[1]}
	if err == nil {
		c.conn, err = c.file.SyscallConn()
	}
	if err != nil {
		c.Close()
		return nil, text.Errorf("cannot create channel: %w", err)
	}
	return c, nil
}

// ChildEnd returns the fd to duplicate into the child. Channel keeps owning it;
// it is valid until CloseChildEnd.
func (c *Channel) ChildEnd() uintptr { return uintptr(c.child) }

// CloseChildEnd closes swapinit's copy of the child's end. Without it the end
// of the channel would never be seen. Call it as soon as the child is forked.
func (c *Channel) CloseChildEnd() {
	if c.child >= 0 {
		unix.Close(c.child)
		c.child = -1
	}
}

// Watch starts the reader; call it once. said gets what the child sends, one
// message at a time and in order, from the reader's goroutine; while it waits
// the child does, once the socket is full. Of the lines that are Garbage it
// gets the first, second, fourth, eighth and so on. The last message is Gone,
// when the child and whoever inherited its end have closed it (or shut it down
// for writing); after Close there is none, but a call that has begun may end
// later. said may call Send and Close.
func (c *Channel) Watch(said func(Message)) {
	c.done = make(chan struct{})
	go c.read(said)
}

func (c *Channel) read(said func(Message)) {
	defer close(c.done)
	// Descriptors that come along are none of ours: a plain read, without room
	// for them, makes the kernel close them.
	l := lines.Reader{From: c.file, Max: lineMax}
	p := parser{node: c.node}
	for refused := 0; ; {
		line, err := l.Next()
		var m Message
		switch err {
		case nil:
			m = p.parse(line)
		case lines.ErrTooLong:
			m = garbage("a line is longer than 64 KiB")
		default:
			m.Kind = Gone
		}
		if m.Kind == Garbage {
			// A child that goes on like this must not fill the log.
			if refused++; refused&(refused-1) != 0 {
				continue
			}
		}
		if m.Kind == 0 {
			continue
		}
		if c.ended(m.Kind == Gone) {
			return
		}
		said(m)
		if m.Kind == Gone {
			return
		}
	}
}

// ended is true after Close. gone is noted.
func (c *Channel) ended(gone bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone {
		c.drop()
	}
	return c.closed
}

// Close closes both ends and ends the reader; what is still queued is lost. It
// waits for nothing. It may be called more than once, but not at the same time
// as CloseChildEnd.
func (c *Channel) Close() {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.drop()
	c.mu.Unlock()
	if first {
		c.file.Close()
		c.CloseChildEnd()
	}
}
