package listen

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// openInet opens a TCP or UDP endpoint. It changes the address in one case:
// where there is no IPv6, all addresses are all IPv4 addresses. That shows as
// EAFNOSUPPORT (kernel without it, ipv6.disable=1) or EADDRNOTAVAIL; with the
// sysctl disable_ipv6 alone, [::] still binds and accepts IPv4. prepare, where
// not nil, is called with a TCP socket that may have others beside it.
func openInet(spec *Spec, prepare func(fd int) error) (int, error) {
	fd, err := bindFirst(spec, prepare)
	if err != nil || !spec.IsTCP() {
		return fd, err
	}
	// Two sockets with SO_REUSEADDR clash only here.
	if err = Listen(spec, fd); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Listen makes a socket of BindFirst's listen. The errors are those of Open.
func Listen(spec *Spec, fd int) error { return inetHint(spec, unix.Listen(fd, spec.Backlog)) }

// bindFirst is openInet without the listen.
func bindFirst(spec *Spec, prepare func(fd int) error) (int, error) {
	fd, err := bindInet(spec, false)
	if spec.dualStack() && (err == unix.EAFNOSUPPORT || err == unix.EADDRNOTAVAIL) {
		spec.Addr = netip.AddrPortFrom(netip.IPv4Unspecified(), spec.Addr.Port())
		fd, err = bindInet(spec, false)
	}
	if err != nil {
		return -1, inetHint(spec, err)
	}
	if spec.IsTCP() && prepare != nil {
		// Bound with it, the socket would join whatever of this uid listens
		// there with SO_REUSEPORT, in place of EADDRINUSE. From now on others
		// may join it.
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
			err = prepare(fd)
		}
		if err != nil {
			_ = syscall.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// inetHint adds what to do to what the kernel said.
func inetHint(spec *Spec, err error) error {
	text := ""
	switch errno, _ := err.(unix.Errno); errno {
	case unix.EADDRINUSE:
		text = "another socket has the address, or one that overlaps it: end its process or choose another port"
	case unix.EACCES:
		text = "ports below net.ipv4.ip_unprivileged_port_start (1024 by default) need root or CAP_NET_BIND_SERVICE"
	case unix.EADDRNOTAVAIL:
		text = "no interface here has this address: use one of this container's, or * for all"
	case unix.EAFNOSUPPORT:
		text = "this system has no IPv6"
		if spec.Addr.Addr().Is4() {
			text = "this system has no IPv4"
		}
	}
	return hint(err, text)
}

// hint adds why to an error, if there is either.
func hint(err error, why string) error {
	if err == nil || why == "" {
		return err
	}
	return text.Errorf("%w: %s", err, why)
}

// bindInet returns a bound socket, or a bare errno. With shared, others that
// have SO_REUSEPORT may have the same address.
func bindInet(spec *Spec, shared bool) (int, error) {
	family, kind := procnet.Family(spec.Addr.Addr()), unix.SOCK_DGRAM
	if spec.IsTCP() {
		kind = unix.SOCK_STREAM
	}
	fd, err := newSocket(family, kind)
	if err != nil {
		return -1, err
	}
	set := func(level, option, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, option, value)
		}
	}
	if family == unix.AF_INET6 {
		// Explicit both ways: net.ipv6.bindv6only sets the default.
		only := 1
		if spec.dualStack() || spec.Addr.Addr().Is4In6() {
			only = 0
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
	if spec.IsTCP() {
		// For TCP: bind in spite of connections in TIME_WAIT. For UDP it would
		// let any process of this uid take our datagrams, so not there.
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		// Accepted sockets inherit it, and servers that adopt a listener
		// often forget it (asyncio does).
		set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if shared {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = unix.Bind(fd, procnet.Sockaddr(spec.Addr))
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}
