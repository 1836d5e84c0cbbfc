package pid1

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// probe starts whatever has to be asked, rather than waited for, to learn that
// a worker is ready. It ends with readiness or with the worker.
func (i *Init) probe(w *worker) {
	var ask func(stop <-chan struct{}) error
	switch i.mode.Kind {
	case ready.KindNone:
		i.ready(w)
		return
	case ready.KindDelay:
		timer := time.AfterFunc(i.mode.Delay, func() { i.post(func() { i.ready(w) }) })
		w.stopProbes = func() { timer.Stop() }
		return
	case ready.KindListen:
		ask = func(<-chan struct{}) error { return i.listens(w) }
	case ready.KindExec:
		ask = func(stop <-chan struct{}) error {
			return i.runAside(&aside{command: i.mode.Command, generation: w.g.number, env: []string{w.variable()}, stdout: -1, stderr: -1, limit: probeTime, stop: stop})
		}
	case ready.KindTCP:
		ask = i.owned(w, ready.TCP(i.mode))
	case ready.KindHTTP:
		if e := i.probed(); e != nil {
			ask = ready.HTTP(i.mode, i.preflight(e, w.g.number))
		} else {
			ask = i.owned(w, ready.HTTP(i.mode, nil))
		}
	default:
		return // the generation itself speaks
	}
	stop := make(chan struct{})
	w.stopProbes = sync.OnceFunc(func() { close(stop) })
	last := ""
	failed := func(err error) {
		if text := err.Error(); text != last { // one event for each new reason, not for each try
			last = text
			i.post(func() { i.from(w, swap.Note, "last probe: "+text, 0) })
		}
	}
	go ready.Poll(stop, ready.Every, ask, failed, func() { i.post(func() { i.ready(w) }) })
}

// owned makes sure that it is w that answers a probe of an address, and not its
// predecessor on the same port. Where nobody here listens on the port, or we
// may not see w's descriptors, the answer has to do.
func (i *Init) owned(w *worker, probe func(<-chan struct{}) error) func(<-chan struct{}) error {
	return func(stop <-chan struct{}) error {
		if err := probe(stop); err != nil {
			return err
		}
		addr, _ := i.mode.Address()
		taken := map[uint64]bool{}
		for inode, port := range procnet.Listening() {
			if port == addr.Port() {
				taken[inode] = true
			}
		}
		held, seen := holds(i.own(w), taken)
		if len(taken) > 0 && seen && !held {
			return errors.New(addr.String() + " answers, but it is not this generation that listens there")
		}
		return nil
	}
}

// listens is the probe of SWAPINIT_READY=listen.
func (i *Init) listens(w *worker) error {
	own := map[uint64]bool{}
	for inode := range procnet.Listening() {
		own[inode] = true
	}
	for inode := range i.inodes(w.g) {
		delete(own, inode)
	}
	held, seen := holds(i.own(w), own)
	switch {
	case held:
		return nil
	case !seen:
		return errors.New("its descriptors are not swapinit's to read, so nobody can see what it listens on")
	}
	return errors.New("it has no listening socket of its own")
}

// own lists w's processes. With more than one worker those that have left its
// tree and its group are nobody's in particular.
func (i *Init) own(w *worker) []process {
	if len(w.g.workers) == 1 {
		return i.members(w.g, snapshot(), map[life]mark{})
	}
	return w.tree(snapshot())
}

// checkEvery is the time between two checks of a canary.
const checkEvery = 2 * time.Second

// startCheck runs the canary's check until it fails or stopCheck is called.
func (i *Init) startCheck(g *generation) {
	command := i.set.CanaryCheck
	if len(command) == 0 {
		return
	}
	stop := make(chan struct{})
	i.check = func() { close(stop) }
	go func() {
		for {
			next := time.After(checkEvery)
			err := i.runAside(&aside{command: command, generation: g.number, stdout: -1, stderr: -1, limit: probeTime, stop: stop})
			select {
			case <-stop:
				return
			default:
			}
			if err != nil {
				reason := "its canary check failed: " + err.Error()
				i.post(func() { i.happened(swap.CheckFailed, g.number, reason) })
				return
			}
			select {
			case <-stop:
				return
			case <-next:
			}
		}
	}()
}

func (i *Init) stopCheck() {
	if i.check != nil {
		i.check()
		i.check = nil
	}
}

// preflight steers one connection of a probe to a generation, through the real
// address: it is known by the address that it comes from.
func (i *Init) preflight(e *endpoint, generation int) ready.Prepare {
	addr, _ := i.mode.Address()
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

// probeTime bounds one run of an exec: probe, or of a canary's check.
const probeTime = 10 * time.Second
