package procnet

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// Connect begins to connect to a TCP address, with a socket that does not block and is
// the caller's. aim, where not nil, is told before from which of our own addresses it
// will come; to is one of ours then. Unless there is an error the caller calls end,
// which is aim's, when the connection stands or is given up.
func Connect(to netip.AddrPort, aim func(from netip.AddrPort) (end func(), err error)) (fd int, end func(), err error) {
	fd, err = unix.Socket(Family(to.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, nil, err
	}
	end = func() {}
	if aim != nil {
		var from netip.AddrPort
		if err = unix.Bind(fd, Sockaddr(netip.AddrPortFrom(to.Addr(), 0))); err == nil {
			from, err = Local(fd)
		}
		if err == nil {
			end, err = aim(from)
		}
		if err != nil {
			_ = syscall.Close(fd)
			return -1, nil, err
		}
	}
	// An interrupted connect goes on by itself, see connect(2).
	if err = unix.Connect(fd, Sockaddr(to)); err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		_ = syscall.Close(fd)
		end()
		return -1, nil, err
	}
	return fd, end, nil
}
