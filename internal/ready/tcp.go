package ready

import (
	"cmp"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// TryTime bounds one try of a probe of readiness, from the connect to the last byte that
// is read.
const TryTime = time.Second

var errStopped = errors.New("the probe was stopped")

func parseTCP(m *Mode, rest string, _ func(string) ([]string, error)) (err error) {
	m.Addr, err = parseHost(rest, 0)
	m.Probe = func(w Worker, stop <-chan struct{}) error {
		return answers(m.Addr, func(conn *os.File) error {
			if w.Dial() == nil {
				return nil
			}
			return w.Accepted(conn)
		})(w, stop)
	}
	return err
}

// answers returns a probe that succeeds when use does with a connection to addr
// and it is the worker, not its predecessor on the same port, that has answered.
// Where nobody here listens on the port, or its descriptors cannot be seen, the
// answer has to do. Each try has a connection of its own.
func answers(addr netip.AddrPort, use func(*os.File) error) Probe {
	return func(w Worker, stop <-chan struct{}) error {
		aimed := w.Dial()
		if aimed != nil {
			return connect(stop, addr, aimed, w.Patience(), use)
		}
		if err := connect(stop, addr, dial, w.Patience(), use); err != nil {
			return err
		}
		if yes, sure := w.Listens(addr.Port()); sure && !yes {
			return errors.New(addr.String() + " answers, but it is not this generation that listens there")
		}
		return nil
	}
}

// Dial begins to connect to an address so that one generation gets the connection, which
// is the caller's, does not block and is in the poller.
type Dial func(to netip.AddrPort) (conn *os.File, err error)

// Reach tries once to connect to addr, and returns what use says of the connection. It
// takes a second at most beside use and dial, and ends when stop is closed.
func Reach(stop <-chan struct{}, addr netip.AddrPort, dial Dial, use func(*os.File) error) error {
	return connect(stop, addr, dial, TryTime, use)
}

// connect calls use with a connection to addr, which it closes afterwards.
// When stop is closed or the time of one try is over, all that waits on the
// connection fails.
func connect(stop <-chan struct{}, addr netip.AddrPort, dial Dial, patience time.Duration, use func(*os.File) error) error {
	conn, err := dial(addr)
	if err == nil {
		defer conn.Close()
		ended := make(chan struct{})
		defer close(ended)
		_ = conn.SetDeadline(time.Now().Add(patience))
		go func() {
			select {
			case <-stop:
				_ = conn.SetDeadline(time.Unix(1, 0))
			case <-ended:
			}
		}()
		err = established(conn)
	}
	if err != nil {
		err = text.Errorf("cannot connect to %s: %w", addr.String(), err)
	} else {
		err = use(conn)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if stopped(stop) {
			return errStopped
		}
		return errors.New("no answer from " + addr.String() + " within " + patience.String())
	}
	return err
}

// dial begins to connect. The fd gets to the poller only then: before it, an unconnected
// socket would count as hung up.
func dial(to netip.AddrPort) (conn *os.File, err error) {
	fd, _, err := procnet.Connect(to, nil)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "probe"), nil
}

// established waits until the connection stands or has failed.
func established(conn *os.File) error {
	raw, _ := conn.SyscallConn() // fails for a nil file only
	var outcome error
	err := raw.Write(func(fd uintptr) bool {
		if !polled(fd, unix.POLLOUT) {
			return false
		}
		var code int
		code, outcome = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case outcome != nil:
		case code != 0:
			outcome = unix.Errno(code)
		case connectedToItself(int(fd)):
			outcome = unix.ECONNREFUSED
		}
		return true
	})
	return cmp.Or(err, outcome)
}

// connectedToItself tells whether both ends of a connection are the same
// socket. TCP allows that (simultaneous open), and a connect to a free port of
// the ephemeral range meets itself when the kernel picks that very port: a
// probe that asks often enough would find a server where none is.
func connectedToItself(fd int) bool {
	local, err := syscall.Getsockname(fd)
	remote, fails := syscall.Getpeername(fd)
	return err == nil && fails == nil && procnet.AddrPort(local) == procnet.AddrPort(remote)
}

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
	case err == netip.ErrZone:
		problem = " has a zone, use a global or loopback address"
	case err != nil:
		problem = " is not an address: names are not resolved, use an IP address, localhost or nothing (127.0.0.1)"
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
