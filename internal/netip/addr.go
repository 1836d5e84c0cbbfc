// Package netip is what swapinit needs of net/netip, with the same names, values and texts,
// but for zones, which it refuses. That package keeps the zones of all addresses in a table
// that collects its own garbage: 70 KB of the binary.
package netip

// Addr is an IPv4 or IPv6 address. It can be compared. The zero value is none.
type Addr struct {
	ip     [16]byte // IPv4 is IPv4-mapped
	family uint8    // 4, 6, or 0: none
}

var mapped = [12]byte{10: 0xff, 11: 0xff}

// AddrFrom4 is the IPv4 address of these bytes.
func AddrFrom4(b [4]byte) Addr {
	a := Addr{family: 4}
	copy(a.ip[:], mapped[:])
	copy(a.ip[12:], b[:])
	return a
}

// AddrFrom16 is the IPv6 address of these bytes, IPv4-mapped ones too.
func AddrFrom16(b [16]byte) Addr { return Addr{b, 6} }

// IPv4Unspecified is 0.0.0.0.
func IPv4Unspecified() Addr { return AddrFrom4([4]byte{}) }

// IPv6Unspecified is [::].
func IPv6Unspecified() Addr { return Addr{family: 6} }

// IPv6Loopback is [::1].
func IPv6Loopback() Addr { return Addr{[16]byte{15: 1}, 6} }

// IsValid reports whether it is an address.
func (a Addr) IsValid() bool { return a.family != 0 }

// Is4 reports whether it is IPv4, not IPv4-mapped.
func (a Addr) Is4() bool { return a.family == 4 }

// Is6 reports whether it is IPv6, IPv4-mapped or not.
func (a Addr) Is6() bool { return a.family == 6 }

// Is4In6 reports whether it is IPv4-mapped.
func (a Addr) Is4In6() bool { return a.family == 6 && [12]byte(a.ip[:]) == mapped }

// Unmap is the IPv4 address in an IPv4-mapped one, and any other address itself.
func (a Addr) Unmap() Addr {
	if a.Is4In6() {
		a.family = 4
	}
	return a
}

// IsUnspecified reports whether it is 0.0.0.0 or [::].
func (a Addr) IsUnspecified() bool { return a == IPv4Unspecified() || a == IPv6Unspecified() }

// IsLoopback reports whether it is of 127.0.0.0/8, mapped or not, or ::1.
func (a Addr) IsLoopback() bool {
	return [12]byte(a.ip[:]) == mapped && a.ip[12] == 127 || a == IPv6Loopback()
}

// IsLinkLocalUnicast reports whether it is of 169.254.0.0/16, mapped or not, or fe80::/10.
func (a Addr) IsLinkLocalUnicast() bool {
	if a = a.Unmap(); a.Is4() {
		return a.ip[12] == 169 && a.ip[13] == 254
	}
	return a.ip[0] == 0xfe && a.ip[1]&0xc0 == 0x80
}

// IsMulticast reports whether it is of 224.0.0.0/4, mapped or not, or ff00::/8.
func (a Addr) IsMulticast() bool {
	if a = a.Unmap(); a.Is4() {
		return a.ip[12]&0xf0 == 0xe0
	}
	return a.ip[0] == 0xff
}

// As4 is the address in 4 bytes, which only IPv4 has, mapped or not.
func (a Addr) As4() [4]byte { return [4]byte(a.ip[12:]) }

// As16 is the address in 16 bytes, IPv4 mapped.
func (a Addr) As16() [16]byte { return a.ip }

// AsSlice is the address in 4 or 16 bytes.
func (a Addr) AsSlice() []byte {
	if a.Is4() {
		return a.ip[12:]
	}
	return a.ip[:]
}

// AddrPort is an address and a port. It can be compared. The zero value is none.
type AddrPort struct {
	addr Addr
	port uint16
}

// AddrPortFrom puts the two together.
func AddrPortFrom(a Addr, port uint16) AddrPort { return AddrPort{a, port} }

// Addr is the address.
func (p AddrPort) Addr() Addr { return p.addr }

// Port is the port.
func (p AddrPort) Port() uint16 { return p.port }

// IsValid reports whether it has an address.
func (p AddrPort) IsValid() bool { return p.addr.IsValid() }
