package ready

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tryTimeout bounds one try of a TCP or HTTP probe, from the connect to the
// last byte that is read.
const tryTimeout = time.Second

var errStopped = errors.New("the probe was stopped")

func parseTCP(m *Mode, rest string, _ func(string) ([]string, error)) (err error) {
	m.Addr, err = parseHost(rest, 0)
	m.Probe = answers(m.Addr, func(*os.File) error { return nil })
	return err
}

// answers returns a probe that succeeds when use does with a connection to addr
// and it is the worker, not its predecessor on the same port, that has answered.
// Where nobody here listens on the port, or its descriptors cannot be seen, the
// answer has to do. Each try takes at most a second and has a connection of its
// own.
func answers(addr netip.AddrPort, use func(*os.File) error) Probe {
	return func(w Worker, stop <-chan struct{}) error {
		prepare := w.Aim()
		if err := connect(stop, addr, prepare, use); err != nil || prepare != nil {
			return err
		}
		if yes, sure := w.Listens(addr.Port()); sure && !yes {
			return errors.New(addr.String() + " answers, but it is not this generation that listens there")
		}
		return nil
	}
}

// Prepare is called with the socket of a probe before it connects. end, unless
// there was an error, is called when the try is over.
type Prepare func(fd int) (end func(), err error)

// connect calls use with a connection to addr, which it closes afterwards.
// When stop is closed or the time of one try is over, all that waits on the
// connection fails.
func connect(stop <-chan struct{}, addr netip.AddrPort, prepare Prepare, use func(*os.File) error) error {
	conn, end, err := open(addr, prepare)
	if err == nil {
		defer end()
		defer conn.Close()
		ended := make(chan struct{})
		defer close(ended)
		_ = conn.SetDeadline(time.Now().Add(tryTimeout))
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
		err = fmt.Errorf("cannot connect to %s: %w", addr.String(), err)
	} else {
		err = use(conn)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if stopped(stop) {
			return errStopped
		}
		return errors.New("no answer from " + addr.String() + " within 1s")
	}
	return err
}

// open begins to connect. The fd gets to the poller only then: before it, an
// unconnected socket would count as hung up.
func open(addr netip.AddrPort, prepare Prepare) (conn *os.File, end func(), err error) {
	family := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if addr.Addr().Is4() {
		family = unix.AF_INET
		to = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	end = func() {}
	if prepare != nil {
		if end, err = prepare(fd); err != nil {
			syscall.Close(fd)
			return nil, nil, err
		}
	}
	// An interrupted connect goes on by itself, see connect(2).
	if err = unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		syscall.Close(fd)
		end()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "probe"), end, nil
}

// established waits until the connection stands or has failed.
func established(conn *os.File) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var outcome error
	err = raw.Write(func(fd uintptr) bool {
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
	if err != nil {
		return err
	}
	return outcome
}

// connectedToItself tells whether both ends of a connection are the same
// socket. TCP allows that (simultaneous open), and a connect to a free port of
// the ephemeral range meets itself when the kernel picks that very port: a
// probe that asks often enough would find a server where none is.
func connectedToItself(fd int) bool {
	var local, remote unix.RawSockaddrInet6 // the larger of the two
	return name(unix.SYS_GETSOCKNAME, fd, &local) && name(unix.SYS_GETPEERNAME, fd, &remote) && local == remote
}

// name is getsockname(2) or getpeername(2).
func name(call uintptr, fd int, to *unix.RawSockaddrInet6) bool {
	size := uint32(unix.SizeofSockaddrInet6)
	_, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(&size)))
	return errno == 0
}
