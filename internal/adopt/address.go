package adopt

import (
	"encoding/binary"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// The length of what bind(2) may be given: the kernel takes at most
// sizeof(struct sockaddr_storage).
const (
	addressLeast = 2
	addressMost  = 128
)

// address reads a struct sockaddr of IPv4 or IPv6 as the kernel does: what lies
// behind the structure is passed over, an IPv6 one may lack its scope (SIN6_LEN_RFC2133),
// and one of no family is of IPv4 if it names no address (__inet_bind). ok is false
// for any other, and for one where the scope counts, which no endpoint has.
func address(b []byte) (at netip.AddrPort, ok bool) {
	if len(b) < addressLeast {
		return at, false
	}
	var ip netip.Addr
	switch family := binary.NativeEndian.Uint16(b); {
	case (family == unix.AF_INET || family == unix.AF_UNSPEC) && len(b) >= unix.SizeofSockaddrInet4:
		ip = netip.AddrFrom4([4]byte(b[4:]))
		if family == unix.AF_UNSPEC && ip != netip.IPv4Unspecified() {
			return at, false
		}
	case family == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6-4:
		ip = netip.AddrFrom16([16]byte(b[8:]))
		scoped := ip.IsLinkLocalUnicast() || ip.IsMulticast()
		if scoped && len(b) >= unix.SizeofSockaddrInet6 && binary.NativeEndian.Uint32(b[24:]) != 0 {
			return at, false
		}
	default:
		return at, false
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2:])), true
}
