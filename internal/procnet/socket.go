package procnet

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// Inode is the inode of an open file: for a socket, the N of socket:[N] in
// /proc/PID/fd.
func Inode(fd int) (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Fstat(fd, &stat)
	return stat.Ino, err
}

// Listens: the kernel has the socket in state LISTEN. For TCP that ends with
// shutdown(2), for Unix sockets it never ends.
func Listens(fd int) bool {
	yes, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && yes == 1
}

// Poll is poll(2) for one descriptor; ms are of a wait that no signal interrupts.
func Poll(fd int, events int16, ms int) (happened int16, err error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		if _, err = unix.Poll(poll, ms); err != unix.EINTR {
			return poll[0].Revents, err
		}
	}
}

// Family is the one that a socket for an IP address needs.
func Family(addr netip.Addr) int {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Sockaddr is an IP address and port for bind(2) and connect(2).
func Sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

// AddrPort is Sockaddr's inverse, the zero AddrPort for other families.
func AddrPort(addr syscall.Sockaddr) netip.AddrPort {
	switch a := addr.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// Local is the IP address and port that a socket is bound to.
func Local(fd int) (netip.AddrPort, error) {
	name, err := syscall.Getsockname(fd)
	return AddrPort(name), err
}
