package main

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// gated is a listener that accepts nothing before a file exists: until then
// connections wait in its queue.
type gated struct {
	net.Listener
	gate string
}

func (l gated) Accept() (net.Conn, error) {
	awaitFile(l.gate)
	return l.Listener.Accept()
}

// ownSockets opens two listening sockets on an address that others listen on
// as well, the way a server with a socket for each worker does (SO_REUSEPORT).
func ownSockets(address string) ([]net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	config.SetMultipathTCP(false) // such a socket is in no group
	var all []net.Listener
	for range 2 {
		l, err := config.Listen(context.Background(), "tcp", address)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}
