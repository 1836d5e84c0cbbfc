package gate

import (
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
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

// Probe connects to an address of the endpoint's, to that slot: see steer.TCP.Connect.
func (e *Endpoints) Probe(name string, slot int, to netip.AddrPort) (fd int, err error) {
	one, err := e.reached(name, to.Addr())
	if err != nil {
		return -1, err
	}
	if fd, err = one.tcp.Connect(slot, to); err != nil {
		return -1, text.Errorf("cannot connect to %s: %w", to.String(), err)
	}
	return fd, nil
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
