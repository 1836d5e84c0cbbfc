package steer

import (
	"golang.org/x/sys/unix"
)

// Prepare readies the first socket of an endpoint, between bind(2) and
// listen(2): its connections get the first tag. The caller has set
// SO_REUSEPORT. The error is a bare errno.
func Prepare(fd int) error { return setTag(fd, tagFirst) }

// listens: the kernel has it in state LISTEN, so it is in the group.
func listens(fd int) bool {
	yes, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && yes == 1
}

// queueOf is how many connections wait to be accepted.
func queueOf(fd int) (int, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return int(info.Unacked), nil // what this field means for a listener
}

// bound is the local address of a socket, as inet_diag shows it.
type bound struct {
	family uint8
	port   uint16
	addr   [16]byte // IPv4: the first four bytes
}

func boundTo(fd int) (bound, error) {
	name, err := unix.Getsockname(fd)
	b := bound{}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		b.family, b.port = unix.AF_INET, uint16(name.Port)
		copy(b.addr[:], name.Addr[:])
	case *unix.SockaddrInet6:
		b = bound{unix.AF_INET6, uint16(name.Port), name.Addr}
	default:
		if err == nil {
			err = unix.EAFNOSUPPORT
		}
	}
	return b, err
}
