package gate

import (
	"errors"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// errNotTCP is for what only TCP endpoints can do.
const errNotTCP = text.Fault("it is no TCP endpoint")

// tcpOf is the TCP endpoint of that name.
func (e *Endpoints) tcpOf(name string) (*endpoint, error) {
	one := e.find(name)
	switch {
	case one == nil:
		return nil, ErrNone
	case one.tcp == nil:
		return nil, errNotTCP
	}
	return one, nil
}

// reached is the endpoint that gets a connection to ip, the one of that name or its
// twin.
func (e *Endpoints) reached(name string, ip netip.Addr) (*endpoint, error) {
	one, err := e.tcpOf(name)
	if err != nil {
		return nil, err
	}
	if twin := e.find(TwinName(name)); twin != nil && (twin.Addr.Addr().Is4() && ip.Is4() || one.tcp.Asleep()) {
		return twin, nil
	}
	return one, nil
}

// probeTime bounds the wait for a connection that is aimed.
const probeTime = time.Second

// Probe connects to an address of the endpoint's and has the kernel send the connection
// to that slot, whoever gets the others. It stands when Probe returns it; it does not
// block, and is the caller's. It waits, for a second at most and for those before.
func (e *Endpoints) Probe(name string, slot int, to netip.AddrPort) (fd int, err error) {
	one, err := e.reached(name, to.Addr())
	if err != nil {
		return -1, err
	}
	one.probing.Lock()
	defer one.probing.Unlock()
	fd, end, err := procnet.Connect(to, func(from netip.AddrPort) (func(), error) { return one.tcp.Preflight(slot, from) })
	if err == nil {
		defer end()
		if err = stands(fd); err != nil {
			_ = syscall.Close(fd)
		}
	}
	if err != nil {
		return -1, text.Errorf("cannot connect to %s: %w", to.String(), err)
	}
	return fd, nil
}

// stands waits until a connection has been made.
func stands(fd int) error {
	happened, err := procnet.Poll(fd, unix.POLLOUT, int(probeTime.Milliseconds()))
	if err != nil {
		return err
	}
	if happened == 0 {
		return errors.New("no answer within " + probeTime.String())
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// Accepted reports whether a process has accepted the connection of Probe's that has
// the local address from.
func (e *Endpoints) Accepted(name string, from netip.AddrPort) (bool, error) {
	one, err := e.reached(name, from.Addr())
	if err != nil {
		return false, err
	}
	return one.tcp.Accepted(from)
}
