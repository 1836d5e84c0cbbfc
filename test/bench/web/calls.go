package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// calls times system calls, in one thread, with and without a filter. Each byte
// that the bench writes is an order, answered by A and a time in nanoseconds, 8
// bytes, little endian:
//
//	4  bind() of a new socket of IPv4 to all addresses; afterwards it listens
//	6  the same of one of IPv6, which takes IPv4 as well
//	l  the listen() that followed
//	p  getppid(), which no filter cares for
//	n  setsockopt() of an option that adoption notes, on a connection
//	o  setsockopt() of another one
//
// The last three are the time of a thousand calls. For p and o, which are over
// sooner than the scheduler's turns, it is the fastest thousand of many: in the
// others something else has run.
func calls() error {
	runtime.LockOSThread()
	orders, err := report()
	if err != nil {
		return err
	}
	var c caller
	for {
		var order [1]byte
		if _, err := orders.Read(order[:]); err != nil {
			return err
		}
		took, err := c.obey(order[0])
		if err != nil {
			return fmt.Errorf("order %q: %w", order[0], err)
		}
		if _, err := orders.Write(binary.LittleEndian.AppendUint64([]byte{'A'}, uint64(took))); err != nil {
			return err
		}
	}
}

// A round of calls, and how many of them the fastest is of.
const (
	many    = 1000
	batches = 100
)

type caller struct {
	listener   int
	listening  time.Duration
	connection int // accepted from the listener; 0: not yet
}

func (c *caller) obey(order byte) (time.Duration, error) {
	switch order {
	case '4':
		return c.bind(unix.AF_INET)
	case '6':
		return c.bind(unix.AF_INET6)
	case 'l':
		return c.listening, nil
	case 'p':
		return fastest(batches, func() error { unix.Getppid(); return nil })
	case 'n':
		return c.set(1, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16)
	case 'o':
		return c.set(batches, unix.SOL_TCP, unix.TCP_NODELAY, 1)
	}
	return 0, unix.EINVAL
}

// bind does what servers do: a new socket, its address, its queue.
func (c *caller) bind(family int) (time.Duration, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: n}
	if family == unix.AF_INET6 {
		to = &unix.SockaddrInet6{Port: n}
	}
	begin := time.Now()
	if err := unix.Bind(fd, to); err != nil {
		return 0, err
	}
	bound := time.Now()
	if err := unix.Listen(fd, 511); err != nil {
		return 0, err
	}
	c.listener, c.listening = fd, time.Since(bound)
	return bound.Sub(begin), ready()
}

// fastest makes a call a thousand times, n times over.
func fastest(n int, call func() error) (least time.Duration, err error) {
	for i := range n {
		begin := time.Now()
		for range many {
			if err := call(); err != nil {
				return 0, err
			}
		}
		if took := time.Since(begin); i == 0 || took < least {
			least = took
		}
	}
	return least, nil
}

// set sets an option of an accepted connection.
func (c *caller) set(n, level, name, value int) (time.Duration, error) {
	if c.connection == 0 {
		if err := c.connect(); err != nil {
			return 0, err
		}
	}
	return fastest(n, func() error { return unix.SetsockoptInt(c.connection, level, name, value) })
}

// connect makes a connection from here to the listener. Its other end stays open.
func (c *caller) connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: n, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	c.connection, _, err = unix.Accept4(c.listener, unix.SOCK_CLOEXEC)
	return err
}
