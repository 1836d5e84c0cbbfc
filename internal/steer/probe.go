package steer

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// probeWait bounds each wait of the probe; on loopback none is to be expected.
const probeWait = 1 // s

// Probe tries steering out: two sockets on a free port of the loopback
// interface, a program that picks the second, one connection, and its tag. nil:
// it works here. The error is why it does not, in one line. It needs no
// privilege, takes some hundred microseconds, and leaves nothing behind.
func Probe() error {
	var err error
	for _, at := range [2]bound{
		{family: unix.AF_INET, addr: [16]byte{127, 0, 0, 1}},
		{family: unix.AF_INET6, addr: [16]byte{15: 1}},
	} {
		if err = probe(at); !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	return err
}

func probe(at bound) error {
	fds := [3]int{-1, -1, -1} // first, second, client
	err := try(at, &fds)
	for _, fd := range fds {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
	}
	return err
}

// step gives the first error of several calls the name of its call.
type step struct{ err error }

func (s *step) do(what string, err error) bool {
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("%s: %w", what, err)
	}
	return s.err == nil
}

func try(at bound, fds *[3]int) error {
	var s step
	for i := range fds {
		fd, err := unix.Socket(int(at.family), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if !s.do("socket", err) {
			return s.err
		}
		fds[i] = fd
	}
	first, second, client := fds[0], fds[1], fds[2]
	// The first one as endpoints are opened, see the package's documentation.
	s.do("bind", unix.Bind(first, at.sockaddr()))
	s.do("SO_REUSEPORT", unix.SetsockoptInt(first, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	s.do("tag", Prepare(first))
	if !s.do("listen", unix.Listen(first, 8)) {
		return s.err
	}
	at, err := boundTo(first)
	s.do("getsockname", err)
	s.do("SO_REUSEPORT", unix.SetsockoptInt(second, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	s.do("bind with SO_REUSEPORT", unix.Bind(second, at.sockaddr()))
	const tag = tagFirst + 1
	s.do("tag", setTag(second, tag))
	s.do("listen", unix.Listen(second, 8))
	var p program
	p.answer(1)
	if s.err == nil {
		s.do("SO_ATTACH_REUSEPORT_CBPF", p.attach(first))
	}
	s.do("SO_SNDTIMEO", unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: probeWait}))
	if s.err != nil {
		return s.err
	}
	err = unix.Connect(client, at.sockaddr())
	if err == unix.EINTR { // it goes on by itself, see connect(2)
		err = nil
	}
	s.do("connect", err)
	if s.err == nil && !readable(second) {
		return errors.New("SO_ATTACH_REUSEPORT_CBPF: the program is not obeyed")
	}
	from, err := boundTo(client)
	s.do("getsockname", err)
	if s.err != nil {
		return s.err
	}
	seen := false
	q := question{bound: at, states: ^uint32(0), peer: from.port}
	err = q.ask(func(c *socket) { seen = c.peerPort == from.port && c.tagged && c.tag == tag })
	if err == nil && !seen {
		err = errors.New("inet_diag: connections do not show INET_DIAG_SOCKOPT (Linux 5.10)")
	}
	return err
}

func (b *bound) sockaddr() unix.Sockaddr {
	if b.family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(b.port), Addr: [4]byte(b.addr[:])}
	}
	return &unix.SockaddrInet6{Port: int(b.port), Addr: b.addr}
}

// readable waits for a connection.
func readable(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for range 1000 { // an interrupted wait begins anew, but not for ever
		n, err := unix.Poll(poll, probeWait*1000)
		if err != unix.EINTR {
			return n == 1 && poll[0].Revents&unix.POLLIN != 0
		}
	}
	return false
}
