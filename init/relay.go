package pid1

import (
	"io"
	"os"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// The check address: where a successor can be reached before it has the traffic. In a
// group that listens on all addresses of IPv4 the kernel leads it there (steer.CheckAddr).
// Elsewhere (one address, IPv6 alone, a gate, whose loopback interface is another one) a
// relay listens there and passes each connection on to one that is aimed.

const (
	relayRoom  = 32       // connections at a time; others wait
	relayChunk = 16 << 10 // bytes
)

// checkAddress is where generation n alone is reached while a swap runs, "" if nowhere.
func (s *steering) checkAddress(n int) string {
	for _, e := range s.list() {
		if at, of := s.check(e); of == n {
			return at.String()
		}
	}
	return ""
}

// check is the address at which a generation of e's is checked, and which one; 0: none is.
func (s *steering) check(e *endpoint) (at netip.AddrPort, n int) {
	if ours, ok := e.tcp.(local); ok && e.of == nil {
		if n = ours.Checks(); n != 0 {
			return netip.AddrPortFrom(steer.CheckAddr(), e.Addr.Port()), n
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.relay == nil {
		return at, 0
	}
	return e.relay.at, e.relay.n
}

// openRelays gives generation n, a successor that has its sockets, a check address at the
// endpoints at which the kernel does not.
func (i *Init) openRelays(n int) {
	if !i.machine.Swapping() || n == i.machine.Active() || i.gens.live[n] == nil {
		return // the swap has ended meanwhile
	}
	for _, e := range i.steering.groups() {
		if _, alone := e.group.Share(n); !alone || e.tcp == nil || e.of != nil {
			continue
		}
		if _, of := i.steering.check(e); of == n {
			continue
		}
		r := &relay{n: n}
		if err := r.listen(e.Addr.Port()); err != nil {
			i.debug("relay", "endpoint "+e.Name+" has no check address: "+err.Error(), n, 0)
			continue
		}
		to := e.loopback()
		go r.run(func() (*os.File, error) { return e.reached(to.Addr()).tcp.Dial(n, to) })
		i.steering.setRelay(e, r)
	}
}

// closeRelays: the swap has ended, and nobody is checked. Connections that were passed on
// may finish.
func (s *steering) closeRelays() {
	for _, e := range s.list() {
		s.setRelay(e, nil)
		if ours, ok := e.tcp.(local); ok {
			ours.Uncheck()
		}
	}
}

func (s *steering) setRelay(e *endpoint, r *relay) {
	s.mu.Lock()
	old := e.relay
	e.relay = r
	s.mu.Unlock()
	if old != nil {
		old.file.Close()
	}
}

// relay passes connections on to generation n. Its listening socket is its own; closed, it
// ends.
type relay struct {
	at   netip.AddrPort
	n    int
	file *os.File
}

// listen opens a relay at the check address, on that port, or where somebody has that on
// another one.
func (r *relay) listen(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	// Without SO_REUSEPORT: it would be one of an endpoint's group that is at this address.
	err = unix.Bind(fd, procnet.Sockaddr(netip.AddrPortFrom(steer.CheckAddr(), port)))
	if err != nil {
		err = unix.Bind(fd, procnet.Sockaddr(netip.AddrPortFrom(steer.CheckAddr(), 0)))
	}
	if err == nil {
		err = unix.Listen(fd, relayRoom)
	}
	if err == nil {
		r.at, err = procnet.Local(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	r.file = os.NewFile(uintptr(fd), "relay")
	return nil
}

// run serves until the listening socket is closed.
func (r *relay) run(dial func() (*os.File, error)) {
	procnet.Serve(r.file, relayRoom, func(near *os.File) {
		far, err := dial()
		if err != nil {
			return
		}
		defer far.Close()
		back := make(chan struct{})
		go func() {
			pass(far, near)
			_ = near.SetReadDeadline(time.Now().Add(probeTime)) // a client that never closes
			close(back)
		}()
		pass(near, far)
		<-back
	})
}

// pass copies what comes from one side to the other, to its end. After an error both
// sides are over.
func pass(from, to *os.File) {
	buf := make([]byte, relayChunk)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, failed := to.Write(buf[:n]); failed != nil {
				err = failed
			}
		}
		switch {
		case err == io.EOF:
			shutdown(to, unix.SHUT_WR)
			return
		case err != nil:
			shutdown(to, unix.SHUT_RDWR)
			shutdown(from, unix.SHUT_RDWR)
			return
		}
	}
}

func shutdown(conn *os.File, how int) {
	raw, _ := conn.SyscallConn() // fails for a nil file only
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), how) })
}
