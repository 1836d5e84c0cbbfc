package gate

import (
	"cmp"
	"errors"
	"slices"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// Kept is a socket that a member has sent back. FD stays its owner's.
type Kept struct {
	Endpoint string
	Slot     int
	FD       int
}

// ErrDead: connections will never come to the socket again.
const ErrDead = text.Fault("it belongs to another network namespace")

// Usable is why a gate cannot have connections go to a socket that a member has sent,
// nil if it can. cookies are those of the sockets that gates before it have lent (Cookies);
// nil if nothing is known of them. ErrDead: of a gate in another network namespace.
func Usable(fd int, cookies []uint64) error {
	cookie, err := steer.Cookie(fd)
	if err != nil {
		return err
	}
	here, err := steer.Here(fd)
	protocol, failed := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	switch err = cmp.Or(err, failed); {
	case err != nil:
		return err
	case !here:
		return ErrDead
	case protocol != unix.IPPROTO_TCP:
		return errors.New("it is no TCP socket")
	case cookies != nil && !slices.Contains(cookies, cookie):
		return errors.New("no gate has lent it")
	}
	return nil
}

// Cookies are those of the sockets that slots have at a TCP endpoint, for Usable.
func (e *Endpoints) Cookies(name string) []uint64 {
	one, err := e.tcpOf(name)
	if err != nil {
		return nil
	}
	return one.tcp.Cookies()
}

// Take gives a slot the socket that a member has kept and that comes after Open. While
// one is missing nothing can be moved at its endpoint, and its Reason says so.
func (e *Endpoints) Take(k Kept) error {
	one, err := e.tcpOf(k.Endpoint)
	if err != nil {
		return err
	}
	fd, err := unix.FcntlInt(uintptr(k.FD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	if err = one.tcp.Take(k.Slot, fd); err != nil {
		_ = syscall.Close(fd)
	}
	return err
}

// keptOf has the sockets of an endpoint, by slot, that were kept and have its address.
// Where there is no IPv6 that is another one than in the settings.
func (e *Endpoints) keptOf(name string, spec *listen.Spec) map[int]int {
	kept := map[int]int{}
	for _, k := range e.options.Kept {
		at, err := procnet.Local(k.FD)
		if k.Endpoint != name || err != nil {
			continue
		}
		if spec.Network == "tcp" && spec.Addr.Addr() == netip.IPv6Unspecified() && at == netip.AddrPortFrom(netip.IPv4Unspecified(), spec.Addr.Port()) {
			spec.Addr = at
		}
		if at == spec.Addr {
			kept[k.Slot] = k.FD
		}
	}
	return kept
}

// restore makes a group of duplicates of what was kept.
func restore(kept map[int]int, holder int, o steer.Options) (g *steer.TCP, err error) {
	own := map[int]int{}
	for slot, fd := range kept {
		if own[slot], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			delete(own, slot)
			break
		}
	}
	if err == nil {
		g, err = steer.RestoreTCP(own, holder, o)
	}
	if err != nil {
		for _, fd := range own {
			_ = syscall.Close(fd)
		}
	}
	return g, err
}
