package adopt

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// sockaddr is the reverse of address.
func sockaddr(at netip.AddrPort) []byte {
	if at.Addr().Is4() {
		b := make([]byte, unix.SizeofSockaddrInet4)
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], at.Port())
		copy(b[4:], at.Addr().AsSlice())
		return b
	}
	b := make([]byte, unix.SizeofSockaddrInet6)
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], at.Port())
	copy(b[8:], at.Addr().AsSlice())
	return b
}

// family changes that of a struct sockaddr.
func family(n uint16, b []byte) []byte {
	binary.NativeEndian.PutUint16(b, n)
	return b
}

// scope sets that of a struct sockaddr_in6.
func scope(n uint32, b []byte) []byte {
	binary.NativeEndian.PutUint32(b[24:], n)
	return b
}

func TestAddress(t *testing.T) {
	four, six := netip.MustParseAddrPort("127.1.2.3:8080"), netip.MustParseAddrPort("[2001:db8::7]:443")
	for name, c := range map[string]struct {
		b    []byte
		want netip.AddrPort // zero: none
	}{
		"IPv4":                  {sockaddr(four), four},
		"IPv4 and more":         {append(sockaddr(four), make([]byte, 112)...), four},
		"IPv4 too short":        {sockaddr(four)[:15], netip.AddrPort{}},
		"no family":             {family(unix.AF_UNSPEC, sockaddr(netip.MustParseAddrPort("0.0.0.0:80"))), netip.MustParseAddrPort("0.0.0.0:80")},
		"no family, an address": {family(unix.AF_UNSPEC, sockaddr(four)), netip.AddrPort{}},
		"no family, too short":  {make([]byte, 15), netip.AddrPort{}},
		"IPv6":                  {sockaddr(six), six},
		"IPv6 without scope":    {sockaddr(six)[:24], six},
		"IPv6 too short":        {sockaddr(six)[:23], netip.AddrPort{}},
		"IPv6, half a scope":    {append(sockaddr(six)[:24], 1, 1), six},
		"a scope without use":   {scope(7, sockaddr(six)), six},
		"link-local":            {scope(7, sockaddr(netip.MustParseAddrPort("[fe80::1]:80"))), netip.AddrPort{}},
		"IPv4-mapped":           {sockaddr(netip.MustParseAddrPort("[::ffff:127.0.0.1]:80")), netip.MustParseAddrPort("[::ffff:127.0.0.1]:80")},
		"Unix":                  {append(family(unix.AF_UNIX, make([]byte, 2)), "/tmp/very/long/path/of/a/socket"...), netip.AddrPort{}},
		"nothing":               {nil, netip.AddrPort{}},
		"one byte":              {[]byte{2}, netip.AddrPort{}},
	} {
		if at, ok := address(c.b); at != c.want || ok != c.want.IsValid() {
			t.Errorf("%s: %v, %v, want %v", name, at, ok, c.want)
		}
	}
}

// FuzzAddress: what the kernel binds is what was read. Free: also addresses that this
// host does not have.
func FuzzAddress(f *testing.F) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:8080", "192.0.2.1:80", "[::]:8080", "[::1]:0", "[::ffff:1.2.3.4]:9", "[fe80::1]:1"} {
		b := sockaddr(netip.MustParseAddrPort(at))
		f.Add(b)
		f.Add(append(b[:len(b)-4:len(b)-4], 9, 9, 9, 9))
		f.Add(append(b, b...))
		f.Add(family(unix.AF_UNSPEC, b))
	}
	f.Add([]byte("\x01\x00/path"))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, ok := address(b)
		if ok {
			if again, ok := address(sockaddr(at)); !ok || again != at {
				t.Fatalf("%x is %v, which is %v", b, at, again)
			}
		}
		if len(b) == 0 || len(b) > addressMost {
			return
		}
		for domain, level := range map[int]option{unix.AF_INET: {unix.SOL_IP, unix.IP_FREEBIND}, unix.AF_INET6: {unix.SOL_IPV6, unix.IPV6_FREEBIND}} {
			bound, errno := kernelBinds(domain, level, b)
			fits := ok && at.Addr().Is6() == (domain == unix.AF_INET6)
			switch {
			case errno == unix.EAFNOSUPPORT && fits && domain == unix.AF_INET6:
				t.Skip("no IPv6")
			case errno == 0 && !fits && !bound.Addr().IsLinkLocalUnicast() && !bound.Addr().IsMulticast():
				t.Fatalf("the kernel binds %x to %v, which is read as %v, %v", b, bound, at, ok)
			case errno == 0 && fits && (bound.Addr() != at.Addr() || at.Port() != 0 && bound.Port() != at.Port()):
				t.Fatalf("the kernel binds %x to %v, which is read as %v", b, bound, at)
			case fits && (errno == unix.EFAULT || errno == unix.EAFNOSUPPORT):
				t.Fatalf("the kernel refuses %x (%v), which is read as %v", b, errno, at)
			}
		}
	})
}

// kernelBinds tells what a TCP socket is bound to.
func kernelBinds(domain int, anywhere option, b []byte) (at netip.AddrPort, errno unix.Errno) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, unix.EAFNOSUPPORT
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptInt(fd, anywhere.level, anywhere.name, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if domain == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if _, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))); errno != 0 {
		return at, errno
	}
	switch sa, _ := unix.Getsockname(fd); sa := sa.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return at, 0
}
