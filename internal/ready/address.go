package ready

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// parseHost reads host:port. There is no resolver in swapinit, and a probe
// must not depend on one.
func parseHost(s string, port uint64) (none netip.AddrPort, err error) {
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		host = s[:i]
		if port, err = strconv.ParseUint(s[i+1:], 10, 16); err != nil || port == 0 {
			return none, errors.New("port " + quote(s[i+1:]) + " is not a number from 1 to 65535")
		}
	}
	if port == 0 {
		return none, errors.New("the port is missing, write tcp://host:port")
	}
	bare, bracketed := host, false
	if host == "" || host == "localhost" {
		bare = "127.0.0.1"
	} else if host[0] == '[' && len(host) > 2 && host[len(host)-1] == ']' {
		bare, bracketed = host[1:len(host)-1], true
	}
	ip, err := netip.ParseAddr(bare)
	problem := ""
	switch {
	case err != nil:
		problem = " is not an address: names are not resolved, use an IP address, localhost or nothing (127.0.0.1)"
	case ip.Zone() != "":
		problem = " has a zone, use a global or loopback address"
	case bracketed != ip.Is6():
		problem = ": brackets belong around an IPv6 address, as in [::1]:80, and only there"
	}
	if problem != "" {
		return none, errors.New("host " + quote(host) + problem)
	}
	ip = ip.Unmap()
	// Connecting to the wildcard reaches the loopback address.
	switch ip {
	case netip.IPv4Unspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}
