package steer

import "golang.org/x/sys/unix"

// A tag is four socket options that mean nothing to a bound TCP listener,
// need no privilege, are inherited by every connection in the moment in which
// its handshake ends (so before anybody accepts it), and are reported by
// inet_diag unasked. So a connection shows the generation that it belongs to.
const (
	tagMax     = 15
	tagDefault = 12 // what a socket has that nobody tagged
	tagFirst   = 1

	maxSockets = tagMax - 1 // that a group can have: 0 and tagDefault are nobody's
)

var tagOptions = [4]int{unix.IP_FREEBIND, unix.IP_BIND_ADDRESS_NO_PORT, unix.IP_MULTICAST_LOOP, unix.IP_MULTICAST_ALL}

func setTag(fd int, tag uint8) error {
	for i, option := range tagOptions {
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, option, int(tag>>i&1)); err != nil {
			return err
		}
	}
	return nil
}

// Prepare readies the first socket of an endpoint, between bind(2) and
// listen(2): its connections get the first tag. The caller has set
// SO_REUSEPORT. The error is a bare errno.
func Prepare(fd int) error { return setTag(fd, tagFirst) }

// tagIn reads it from the first two bytes of struct inet_diag_sockopt, which
// are bit fields (linux/inet_diag.h).
func tagIn(flags [2]byte) uint8 {
	return flags[0]>>2&1 | flags[1]&1<<1 | flags[0]>>4&1<<2 | flags[0]>>6&1<<3
}

// tagOf is the tag that a socket has.
func tagOf(fd int) (tag uint8, err error) {
	for i, option := range tagOptions {
		bit, err := unix.GetsockoptInt(fd, unix.SOL_IP, option)
		if err != nil {
			return 0, err
		}
		tag |= uint8(bit) << i
	}
	return tag, nil
}
