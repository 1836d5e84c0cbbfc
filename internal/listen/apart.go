package listen

import (
	"slices"
	"strconv"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// Twin is the endpoint of the other address family that has s's connections, or those
// of IPv4: for a server that binds a socket of that family itself. A socket of IPv4
// beside one of all addresses takes the IPv4 connections from it; one of IPv6 with an
// IPv4-mapped address has none for as long as one of IPv4 listens (compute_score in
// net/ipv4/inet_hashtables.c). ok is false where there is none.
func (s *Spec) Twin() (twin Spec, ok bool) {
	twin = *s
	port := s.Addr.Port()
	switch ip := s.Addr.Addr(); {
	case !s.IsTCP():
		return twin, false
	case s.dualStack():
		twin.Network, twin.Addr = "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	case ip.Is4():
		twin.Network, twin.Addr = "tcp6", netip.AddrPortFrom(netip.AddrFrom16(ip.As16()), port)
	default:
		return twin, false
	}
	return twin, true
}

// Of is the endpoint that a server has named by its bind(2): at is in an IPv6 socket
// unless it is an IPv4 address; only6: IPV6_V6ONLY.
func Of(at netip.AddrPort, only6 bool) Spec {
	s := Spec{Name: strconv.Itoa(int(at.Port())), Network: "tcp6", Addr: at, Backlog: DefaultBacklog}
	switch {
	case at.Addr().Is4():
		s.Network = "tcp4"
	case at.Addr().IsUnspecified() && !only6:
		s.Network = "tcp"
	}
	return s
}

// Bind returns a further socket for the address of a TCP endpoint, bound with
// SO_REUSEPORT and not listening, the caller's. The errors are those of Open.
func Bind(spec *Spec) (fd int, err error) {
	fd, err = bindInet(spec, true)
	return fd, inetHint(spec, err)
}

// BindFirst is Bind for the first socket of an address, which nobody else may have;
// with prepare as in Open.
func BindFirst(spec *Spec, prepare func(fd int) error) (fd int, err error) {
	return bindFirst(spec, prepare)
}

// Join has the Set watch over the sockets of an endpoint that is not passed on, whose
// group is g, until Part or Close. It closes g at Close.
func (s *Set) Join(spec Spec, g Steered) Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := Endpoint{Spec: spec, Address: spec.address()}
	if s.closed {
		return e
	}
	s.listeners = append(s.listeners, &listener{Endpoint: e, fd: -1, group: g, guarded: true, apart: true})
	_ = s.startGuard() // else it is looked at when a generation ends
	_ = g.Watch()
	return e
}

// Part ends Join. The group is the caller's again.
func (s *Set) Part(g Steered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(s.listeners, func(l *listener) bool { return l.apart && l.group == g })
}

// Another duplicates the one socket of an endpoint that has no group, above 2 and the
// caller's.
func (s *Set) Another(endpoint int) (fd int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.at(endpoint)
	if l == nil || l.group != nil || l.fd < 0 {
		return -1, unix.EBADF
	}
	return unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, firstFD)
}
