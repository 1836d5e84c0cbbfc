package steer

import (
	"errors"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// probeWait bounds each wait of the probe; on loopback none is to be expected.
const probeWait = 1 // s

// ErrUnseen is Probe's where connections are steered, but cannot be counted.
var ErrUnseen = text.Errorf("connections cannot be counted, a drain waits until none was queued for %v", unseenRest)

// Probe tries steering out: two sockets on a free port of the loopback
// interface, a program that picks the second, one connection, and its tag. nil:
// it works here. The error is why it does not, in one line. It needs no
// privilege, takes some hundred microseconds, and leaves nothing behind.
func Probe() error {
	var err error
	for _, at := range [2]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
		if err = probe(netip.AddrPortFrom(at, 0)); !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	return err
}

func probe(at netip.AddrPort) (err error) {
	do := func(what string, failed error) bool {
		if err == nil && failed != nil {
			err = text.Errorf("%s: %w", what, failed)
		}
		return err == nil
	}
	var fds []int // first, second, client
	defer func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}()
	for range 3 {
		fd, failed := unix.Socket(procnet.Family(at.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if !do("socket", failed) {
			return err
		}
		fds = append(fds, fd)
	}
	first, second, client := fds[0], fds[1], fds[2]
	// The first one as endpoints are opened, see the package's documentation.
	do("bind", unix.Bind(first, procnet.Sockaddr(at)))
	do("SO_REUSEPORT", unix.SetsockoptInt(first, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	do("tag", Prepare(first))
	if !do("listen", unix.Listen(first, 8)) {
		return err
	}
	at, failed := procnet.Local(first)
	do("getsockname", failed)
	do("SO_REUSEPORT", unix.SetsockoptInt(second, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	do("bind with SO_REUSEPORT", unix.Bind(second, procnet.Sockaddr(at)))
	const tag = tagFirst + 1
	do("tag", setTag(second, tag))
	do("listen", unix.Listen(second, 8))
	var p program
	if p.answer(1); err == nil {
		do("SO_ATTACH_REUSEPORT_CBPF", p.attach(first))
	}
	if !do("SO_SNDTIMEO", unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: probeWait})) {
		return err
	}
	failed = unix.Connect(client, procnet.Sockaddr(at))
	if failed == unix.EINTR { // it goes on by itself, see connect(2)
		failed = nil
	}
	if do("connect", failed) {
		if happened, err := procnet.Poll(second, unix.POLLIN, probeWait*1000); err != nil || happened&unix.POLLIN == 0 {
			return errors.New("SO_ATTACH_REUSEPORT_CBPF: the program is not obeyed")
		}
	}
	from, failed := procnet.Local(client)
	if !do("getsockname", failed) {
		return err
	}
	seen := false
	q := question{at: at, states: ^uint32(0), peer: from.Port()}
	err = q.ask(func(c *socket) { seen = c.peer.Port() == from.Port() && c.tagged && c.tag == tag })
	if err == nil && !seen {
		err = errors.New("inet_diag: connections do not show INET_DIAG_SOCKOPT (Linux 5.10)")
	}
	if err != nil {
		err = text.Errorf("%w: %w", ErrUnseen, err)
	}
	return err
}
