package steer

import (
	"errors"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// connectTime bounds the wait for a connection that is aimed.
const connectTime = time.Second

// Connect connects to an address of the group's and has the kernel send the connection to
// generation n, whoever gets the others. It stands when Connect returns it, does not block,
// and is the caller's. Connect waits, for a second at most and for those before.
func (g *TCP) Connect(n int, to netip.AddrPort) (fd int, err error) {
	g.connecting.Lock()
	defer g.connecting.Unlock()
	fd, end, err := procnet.Connect(to, func(from netip.AddrPort) (func(), error) { return g.preflight(n, from) })
	if err != nil {
		return -1, err
	}
	defer end()
	if err = stands(fd); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// stands waits until a connection has been made.
func stands(fd int) error {
	happened, err := procnet.Poll(fd, unix.POLLOUT, int(connectTime.Milliseconds()))
	if err != nil {
		return err
	}
	if happened == 0 {
		return errors.New("no answer within " + connectTime.String())
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// preflight sends connections from source, the address and port of a socket
// that is bound but not connected, to generation n until end is called; all
// others go where they went. There is one at a time: a second one replaces the
// first, whose end then does nothing. IPv4 and IPv6, also IPv4 to a
// dual-stack socket.
func (g *TCP) preflight(n int, source netip.AddrPort) (end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// IPv4 to a dual-stack socket is IPv4 on the wire.
	m, from := g.holders[n], netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	switch {
	case g.holders == nil:
		err = ErrClosed
	case m == nil:
		err = ErrNoSocket
	case g.users(m) > 1:
		err = errors.New("it shares its socket with another")
	case g.index(m) < 0:
		err = errors.New("its socket does not listen")
	case g.trouble != "":
		err = errors.New(g.trouble)
	default:
		g.probed, g.source = m, from
		if err = g.attach(); err != nil {
			g.probed = nil
		}
	}
	if err != nil {
		return nil, text.Errorf("cannot reach generation %d on its own: %w", n, err)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.probed == m && g.source == from && g.holders != nil {
			g.probed = nil
			_ = g.attach()
			g.tidy()
		}
	}, nil
}
