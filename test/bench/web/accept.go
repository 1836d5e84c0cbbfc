package main

import (
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// handshakes is how many connections are made for one order of the bench.
const handshakes = 1000

// accept measures, each time that the bench writes a byte, connections from
// here to the socket that was given to it: connect, accept, close, all in one
// thread. It answers A and the time in nanoseconds, 8 bytes, little endian.
func accept() error {
	fd, err := given()
	if err != nil {
		return err
	}
	orders, err := report()
	if err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		var order [1]byte
		if _, err := orders.Read(order[:]); err != nil {
			return err
		}
		begin := time.Now()
		for range handshakes {
			if err := shake(fd); err != nil {
				return err
			}
		}
		if _, err := orders.Write(binary.LittleEndian.AppendUint64([]byte{'A'}, uint64(time.Since(begin)))); err != nil {
			return err
		}
	}
}

// shake makes one connection. It is reset at the end, or TIME_WAIT would use up
// the ports.
func shake(listener int) error {
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(c)
	if err := unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	if err := unix.Connect(c, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return err
	}
	for {
		got, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return unix.Close(got)
		case unix.EINTR:
		case unix.EAGAIN: // the last packet of the handshake is still on its way
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}, 10_000); err != nil && err != unix.EINTR {
				return err
			}
		default:
			return err
		}
	}
}
