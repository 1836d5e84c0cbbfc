package pid1

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// observe waits until a server that binds for itself is ready: it listens on all that its
// predecessor listened on, and has accepted a connection that was aimed at it. A master
// that listens before its workers have loaded accepts none.
func (i *Init) observe(w *worker) {
	stop, others := make(chan struct{}), w.stopProbes
	w.stopProbes = sync.OnceFunc(func() {
		close(stop)
		if others != nil {
			others()
		}
	})
	go func() {
		select {
		case <-w.bound:
		case <-stop:
			return
		}
		ask := func(stop <-chan struct{}) error { return i.adoption.accepts(w.g.number, stop) }
		failed := func(err error) { i.post(func() { i.from(w, swap.Note, err.Error(), 0) }) }
		ready.Poll(stop, ready.Every, ask, failed, func() { i.post(func() { i.ready(w) }) })
	}()
}

// accepts is why generation n is not ready yet, nil if it is.
func (a *adoption) accepts(n int, stop <-chan struct{}) error {
	if missing := a.missing(n); missing != "" {
		return errors.New("it does not listen on " + missing + " yet, as its predecessor does")
	}
	for _, e := range a.uses(n) {
		if e.tcp == nil || e.whyShared() != "" || e.unseen() != "" {
			continue // no connection can be aimed, or seen; that it has bound has to do
		}
		dial := func(to netip.AddrPort) (*os.File, error) { return e.tcp.Dial(n, to) }
		to := e.loopback()
		if err := ready.Reach(stop, to, dial, func(conn *os.File) error { return e.accepted(n, conn) }); err != nil {
			if to.Addr().Is6() && errors.Is(err, unix.EADDRNOTAVAIL) {
				continue // without IPv6 nobody connects
			}
			return err
		}
	}
	return nil
}

// loopback is where one connects on this host to reach e, and not its twin.
func (e *endpoint) loopback() netip.AddrPort {
	ip := e.Addr.Addr().Unmap()
	switch {
	case ip == netip.IPv6Unspecified() && (e.twin.Load() != nil || e.Network == "tcp6"):
		ip = netip.IPv6Loopback()
	case ip.IsUnspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, e.Addr.Port())
}

// acceptEvery is the time between two looks at a connection.
const acceptEvery = 20 * time.Millisecond

// accepted waits, for as long as conn lets one write, until the connection is accepted.
func (e *endpoint) accepted(n int, conn *os.File) error {
	if why := e.unseen(); why != "" {
		return errors.New("nobody can see whether it was accepted: " + why)
	}
	from, err := localOf(conn)
	if err != nil {
		return err
	}
	if fd, _, err := e.group.Lend(n); err == nil {
		defer unix.Close(fd)
		if defers, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err == nil && defers > 0 {
			// It is not to be accepted before it has sent something. HTTP passes over an
			// empty line (RFC 9112, 2.2).
			_, _ = conn.Write([]byte("\r\n"))
		}
	}
	for range time.Second / acceptEvery {
		yes, err := e.tcp.Accepted(from)
		if yes || err != nil {
			return err
		}
		<-clock.After(acceptEvery)
	}
	return errors.New("it listens on " + e.Address + " but has not accepted a connection yet")
}

// reached is the endpoint that gets a connection to e from ip, which is e or its twin.
func (e *endpoint) reached(ip netip.Addr) *endpoint {
	if t := e.twin.Load(); t != nil && (t.Addr.Addr().Is4() && ip.Is4() || e.asleep()) {
		return t
	}
	return e
}

// localOf is the address of our end of a connection.
func localOf(conn *os.File) (from netip.AddrPort, err error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { from, err = procnet.Local(int(fd)) })
	}
	return from, err
}
