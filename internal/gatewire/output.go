package gatewire

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// What a peer may leave unread, beside what the kernel has room for, before it is
// disconnected: that much, or anything for that long.
const (
	queueBytes = 4 * MaxLine
	queueLines = 256
	unreadTime = 10 * time.Second
)

// ErrSlow is of a peer that does not read.
const ErrSlow = text.Fault("the other side does not read what it is sent")

// output is what the kernel had no room for. While there is some a goroutine writes it.
type output struct {
	mu    sync.Mutex
	queue []packet
	bytes int
	err   error // the end
}

// packet is a line, or what is left of one. Its fds are duplicates of its own.
type packet struct {
	data []byte
	fds  []int
}

// Send sends m with fds, which stay the caller's; m.FDs counts for nothing. Any goroutine
// may call it, and none waits for the peer: one that does not read is disconnected. Its
// error is the end of the connection, or ErrTooLarge: then nothing was sent.
func (c *Conn) Send(m *Message, fds []int) error {
	if len(fds) > MaxFDs {
		return text.Errorf("%w: %d descriptors, accepted are up to %d", ErrTooLarge, len(fds), MaxFDs)
	}
	numbered := *m
	numbered.FDs = len(fds)
	line, err := encode(&numbered)
	if err != nil {
		return err
	}
	c.out.mu.Lock()
	err = c.pass(line, fds)
	c.out.mu.Unlock()
	return err
}

// pass sends a line or queues it; the caller holds the mutex.
func (c *Conn) pass(line []byte, fds []int) (err error) {
	o := &c.out
	if o.err != nil {
		return o.err
	}
	idle := len(o.queue) == 0
	if idle {
		n := 0
		n, err = c.try(line, fds)
		switch {
		case n == len(line):
			return nil
		case n > 0:
			line, fds, err = line[n:], nil, nil
		case err == syscall.EAGAIN:
			err = nil
		}
	}
	if err == nil {
		err = o.push(line, fds)
	}
	if err != nil {
		return c.broken(err)
	}
	if idle {
		go c.write()
	}
	return nil
}

// try sends what there is room for.
func (c *Conn) try(line []byte, fds []int) (n int, err error) {
	if c.raw.Control(func(fd uintptr) { n, err = send(fd, line, fds) }) != nil {
		err = os.ErrClosed
	}
	return n, err
}

// push adds a packet; the caller holds the mutex.
func (o *output) push(data []byte, fds []int) error {
	if o.bytes+len(data) > queueBytes || len(o.queue) >= queueLines {
		return ErrSlow
	}
	p := packet{data: data}
	for _, fd := range fds {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			closeAll(p.fds)
			return text.Errorf("cannot send: %w", err)
		}
		p.fds = append(p.fds, own)
	}
	o.queue, o.bytes = append(o.queue, p), o.bytes+len(data)
	return nil
}

// write writes the queue until it is empty, or the connection has ended.
func (c *Conn) write() {
	o := &c.out
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.err != nil {
			for _, p := range o.queue {
				closeAll(p.fds)
			}
			o.queue, o.bytes = nil, 0
			o.mu.Unlock()
			return
		}
		p := o.queue[0] // stays there: it tells that somebody writes
		o.mu.Unlock()
		n, err := c.wait(p)
		o.mu.Lock()
		if n > 0 {
			closeAll(p.fds)
			o.queue[0] = packet{data: p.data[n:]}
			o.bytes -= n
			if n == len(p.data) {
				o.queue = o.queue[1:]
			}
		}
		if err != nil {
			_ = c.broken(err)
		}
		o.mu.Unlock()
	}
}

// wait sends some of p, for which it waits.
func (c *Conn) wait(p packet) (n int, err error) {
	_ = c.file.SetWriteDeadline(time.Now().Add(unreadTime))
	failed := c.raw.Write(func(fd uintptr) bool {
		n, err = send(fd, p.data, p.fds)
		return err != syscall.EAGAIN
	})
	switch {
	case errors.Is(failed, os.ErrDeadlineExceeded):
		return 0, ErrSlow
	case failed != nil:
		return 0, os.ErrClosed
	case err != nil:
		return 0, err
	}
	return n, nil
}

// send sends what there is room for; the descriptors go with the first byte.
func send(fd uintptr, data []byte, fds []int) (n int, err error) {
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	for {
		n, err = syscall.SendmsgN(int(fd), data, rights, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// broken ends the connection, for both sides; what the peer has said before can still be
// received. The caller holds the mutex.
func (c *Conn) broken(err error) error {
	if err != ErrSlow && err != os.ErrClosed {
		err = text.Errorf("cannot send: %w", err)
	}
	if c.out.err == nil {
		c.out.err = err
	}
	_ = c.raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	return err
}

func (o *output) fail(err error) {
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	o.mu.Unlock()
}

func (o *output) failed() error {
	o.mu.Lock()
	err := o.err
	o.mu.Unlock()
	return err
}
