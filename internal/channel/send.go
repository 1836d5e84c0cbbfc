package channel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// queueMax bounds what waits for a child that does not read, in bytes.
const queueMax = 256 << 10

// Send sends a Go, Takedown or Deliver, and never waits. It is false when the
// child is not on the channel any more, when it has left more than 256 KiB
// unread besides what its socket holds, or when m is not fit to be sent: a
// resource that is none, data that is not JSON. True does not mean that the
// child has read it.
func (c *Channel) Send(m Message) bool {
	line := encode(m, c.node)
	c.mu.Lock()
	defer c.mu.Unlock()
	if line == nil || c.gone || len(c.queue)+len(line) > queueMax {
		return false
	}
	c.queue = append(c.queue, line...)
	if c.writing {
		return true
	}
	if c.conn.Control(func(fd uintptr) { c.push(fd) }) != nil {
		c.drop()
	}
	if len(c.queue) > 0 {
		c.writing = true
		go c.flush()
	}
	return !c.gone
}

// flush writes what is queued as soon as there is room, until nothing is left.
func (c *Channel) flush() {
	err := c.conn.Write(func(fd uintptr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.push(fd); len(c.queue) > 0 {
			return false
		}
		c.writing = false
		return true
	})
	if err != nil { // closed
		c.mu.Lock()
		c.drop()
		c.writing = false
		c.mu.Unlock()
	}
}

// push writes as much of the queue as the socket takes. With mu held.
func (c *Channel) push(fd uintptr) {
	for len(c.queue) > 0 {
		// With write(2) a child that is gone would be a SIGPIPE.
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&c.queue[0])), uintptr(len(c.queue)),
			unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			c.queue = c.queue[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return
		default:
			c.drop()
		}
	}
	c.queue = nil
}

// drop gives up sending. With mu held.
func (c *Channel) drop() {
	c.gone, c.queue = true, nil
}
