package pid1

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// probeTime bounds one run of an exec: probe, or of a canary's check.
const probeTime = 10 * time.Second

// probe starts whatever has to be asked, rather than waited for, to learn that
// a worker is ready. It ends with readiness or with the worker.
func (i *Init) probe(w *worker) {
	if i.mode.Immediate() {
		i.ready(w)
	}
	if i.mode.Probe == nil {
		return
	}
	c := &candidate{worker: w, launcher: i.launcher}
	if e := i.probed(); e != nil {
		c.aim = preflight(e, i.mode.Addr, w.g.number)
	}
	stop := make(chan struct{})
	w.stopProbes = sync.OnceFunc(func() { close(stop) })
	ask := func(stop <-chan struct{}) error { return i.mode.Probe(c, stop) }
	failed := func(err error) { i.post(func() { i.from(w, swap.Note, "last probe: "+err.Error(), 0) }) }
	go ready.Poll(stop, ready.Every, ask, failed, func() { i.post(func() { i.ready(w) }) })
}

// candidate is a worker as a probe sees it: a ready.Worker.
type candidate struct {
	*worker
	launcher *launcher
	aim      ready.Prepare
}

func (c *candidate) Aim() ready.Prepare { return c.aim }

func (c *candidate) Run(command []string, stop <-chan struct{}) error {
	return c.launcher.run(&helper{command: command, generation: c.g.number, env: []string{c.variable()}, stdout: -1, stderr: -1, limit: probeTime, stop: stop})
}

func (c *candidate) Listens(port uint16) (yes, sure bool) {
	own := c.launcher.inodes(c.g.number)
	some := map[uint64]bool{}
	for inode, at := range listening() {
		if !own[inode] && (port == 0 || at == port) {
			some[inode] = true
		}
	}
	held, seen := holds(c.processes(), some)
	return held, seen && (port == 0 || len(some) > 0)
}

// processes lists the worker's. With more than one worker those that have left
// its tree and its group are nobody's in particular.
func (c *candidate) processes() []process {
	if len(c.g.workers) == 1 {
		return c.launcher.procs.members(c.g, snapshot(), map[life]mark{})
	}
	return c.tree(snapshot())
}

// preflight steers one connection of a probe to a generation, through the real
// address: it is known by the address that it comes from.
func preflight(e *endpoint, addr netip.AddrPort, generation int) ready.Prepare {
	return func(fd int) (func(), error) {
		if why := e.whyShared(); why != "" {
			return nil, errors.New("the probe cannot be steered to the successor: " + why)
		}
		var local unix.Sockaddr = &unix.SockaddrInet6{Addr: addr.Addr().As16()}
		if addr.Addr().Is4() {
			local = &unix.SockaddrInet4{Addr: addr.Addr().As4()}
		}
		if err := unix.Bind(fd, local); err != nil {
			return nil, err
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			return nil, err
		}
		port := 0
		switch a := local.(type) {
		case *unix.SockaddrInet4:
			port = a.Port
		case *unix.SockaddrInet6:
			port = a.Port
		}
		return e.tcp.Preflight(generation, netip.AddrPortFrom(addr.Addr(), uint16(port)))
	}
}
