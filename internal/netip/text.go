package netip

import (
	"errors"
	"strconv"
	"strings"
)

// ErrZone is of an address that has a zone and is one without it.
var ErrZone = errors.New("the address has a zone")

var (
	errAddr = errors.New("not an IP address")
	errPort = errors.New("not an IP address and a port")
)

// ParseAddr reads an address, IPv6 without brackets.
func ParseAddr(s string) (Addr, error) {
	if !strings.Contains(s, ":") {
		if b, ok := parse4(s); ok {
			return AddrFrom4(b), nil
		}
		return Addr{}, errAddr
	}
	s, zone, zoned := strings.Cut(s, "%")
	b, ok := parse6(s)
	switch {
	case !ok || zoned && zone == "":
		return Addr{}, errAddr
	case zoned:
		return Addr{}, ErrZone
	}
	return AddrFrom16(b), nil
}

// ParseAddrPort reads an address and a port, an address of IPv6 in brackets.
func ParseAddrPort(s string) (AddrPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return AddrPort{}, errPort
	}
	host, digits := s[:i], s[i+1:]
	port, err := strconv.ParseUint(digits, 10, 16)
	bare, open := strings.CutPrefix(host, "[")
	bare, closed := strings.CutSuffix(bare, "]")
	a, wrong := ParseAddr(bare)
	switch {
	case wrong != nil:
		return AddrPort{}, wrong
	case err != nil || open != a.Is6() || open != closed:
		return AddrPort{}, errPort
	}
	return AddrPortFrom(a, uint16(port)), nil
}

func parse4(s string) (b [4]byte, ok bool) {
	for i := range b {
		digits, rest, dot := strings.Cut(s, ".")
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil || dot != (i < len(b)-1) || len(digits) > 1 && digits[0] == '0' {
			return b, false
		}
		b[i], s = byte(n), rest
	}
	return b, true
}

func parse6(s string) (b [16]byte, ok bool) {
	head, tail, gap := strings.Cut(s, "::")
	front, ok := groups(head, !gap)
	back, well := groups(tail, true)
	n := len(front) + len(back)
	if !ok || !well || gap && n > len(b)-2 || !gap && n != len(b) {
		return b, false
	}
	copy(b[:], front)
	copy(b[len(b)-len(back):], back)
	return b, true
}

// groups reads groups of 16 bits; last: the last one can be an IPv4 address.
func groups(s string, last bool) (b []byte, ok bool) {
	for more := s != ""; more; {
		var digits string
		digits, s, more = strings.Cut(s, ":")
		if four, ok := parse4(digits); ok && last && !more {
			return append(b, four[:]...), true
		}
		n, err := strconv.ParseUint(digits, 16, 16)
		if err != nil || len(digits) > 4 {
			return nil, false
		}
		b = append(b, byte(n>>8), byte(n))
	}
	return b, true
}

// String is the address as RFC 5952 has it.
func (a Addr) String() string {
	switch {
	case !a.IsValid():
		return "invalid IP"
	case a.Is4():
		return a.dotted()
	case a.Is4In6():
		return "::ffff:" + a.dotted()
	}
	group := func(i int) uint64 { return uint64(a.ip[2*i])<<8 | uint64(a.ip[2*i+1]) }
	// The longest run of zeros, the first of several, is left out; a single one is not.
	from, to := -1, -1
	for i := range 8 {
		end := i
		for end < 8 && group(end) == 0 {
			end++
		}
		if end-i > max(1, to-from) {
			from, to = i, end
		}
	}
	s := ""
	for i := 0; i < 8; i++ {
		if i == from {
			s += "::"
			i = to
			if i == 8 {
				break
			}
		} else if i > 0 {
			s += ":"
		}
		s += strconv.FormatUint(group(i), 16)
	}
	return s
}

func (a Addr) dotted() string {
	s := ""
	for _, b := range a.ip[12:] {
		s += "." + strconv.Itoa(int(b))
	}
	return s[1:]
}

// String is both as ParseAddrPort reads them.
func (p AddrPort) String() string {
	host := p.addr.String()
	switch {
	case !p.IsValid():
		return "invalid AddrPort"
	case p.addr.Is6():
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(p.port))
}

// MustParseAddr is for texts that stand in the source.
func MustParseAddr(s string) Addr { return must(ParseAddr(s)) }

// MustParseAddrPort is for texts that stand in the source.
func MustParseAddrPort(s string) AddrPort { return must(ParseAddrPort(s)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
