package pid1

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/swap"
)

// probe starts whatever has to be asked, rather than waited for, to learn that
// a generation is ready. It ends with readiness or with the generation.
func (i *Init) probe(g *generation) {
	var ask func(stop <-chan struct{}) error
	switch i.mode.Kind {
	case ready.KindNone:
		i.ready(g)
		return
	case ready.KindDelay:
		timer := time.AfterFunc(i.mode.Delay, func() { i.post(func() { i.ready(g) }) })
		g.stopProbes = func() { timer.Stop() }
		return
	case ready.KindListen:
		ask = func(<-chan struct{}) error { return i.listens(g) }
	case ready.KindExec:
		ask = func(stop <-chan struct{}) error { return i.runProbe(stop, g) }
	case ready.KindTCP:
		ask = i.owned(g, ready.TCP(i.mode))
	case ready.KindHTTP:
		ask = i.owned(g, ready.HTTP(i.mode))
	default:
		return // the generation itself speaks
	}
	stop := make(chan struct{})
	g.stopProbes = sync.OnceFunc(func() { close(stop) })
	last := ""
	failed := func(err error) {
		if text := err.Error(); text != last { // one event for each new reason, not for each try
			last = text
			i.post(func() { i.step(swap.Event{Kind: swap.Note, Generation: g.number, Reason: "last probe: " + text}) })
		}
	}
	go ready.Poll(stop, ready.Every, ask, failed, func() { i.post(func() { i.ready(g) }) })
}

// owned makes sure that it is g that answers a probe of an address, and not its
// predecessor on the same port. Where nobody here listens on the port, or we
// may not see g's descriptors, the answer has to do.
func (i *Init) owned(g *generation, probe func(<-chan struct{}) error) func(<-chan struct{}) error {
	return func(stop <-chan struct{}) error {
		if err := probe(stop); err != nil {
			return err
		}
		addr, _ := i.mode.Address()
		taken := map[uint64]bool{}
		for inode, port := range listening() {
			if port == addr.Port() {
				taken[inode] = true
			}
		}
		held, seen := holds(i.members(g, snapshot(), map[life]mark{}), taken)
		if len(taken) > 0 && seen && !held {
			return errors.New(addr.String() + " answers, but it is not this generation that listens there")
		}
		return nil
	}
}

// listens is the probe of SWAPINIT_READY=listen.
func (i *Init) listens(g *generation) error {
	own := map[uint64]bool{}
	for inode := range listening() {
		own[inode] = true
	}
	for inode := range i.inodes(g) {
		delete(own, inode)
	}
	held, seen := holds(i.members(g, snapshot(), map[life]mark{}), own)
	switch {
	case held:
		return nil
	case !seen:
		return errors.New("its descriptors are not swapinit's to read, so nobody can see what it listens on")
	}
	return errors.New("it has no listening socket of its own")
}

// probeTime bounds one run of an exec: probe.
const probeTime = 10 * time.Second

// runProbe runs the command of SWAPINIT_READY=exec: as a child of the
// generation would run: same user, directory and environment.
func (i *Init) runProbe(stop <-chan struct{}, g *generation) error {
	given := i.endpoints.Generation(g.number)
	env, err := i.sharedEnviron(g.number, given)
	if err != nil {
		return err
	}
	user, _, err := i.user()
	if err != nil {
		return err
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open /dev/null: %w", err)
	}
	defer syscall.Close(null)
	n := uintptr(null)
	child, p, err := i.spawn(&spawn.Spec{Argv: i.mode.Command, Env: env, Files: []uintptr{n, n, n}, User: user, Tty: -1}, g.number, given)
	if err != nil {
		return err
	}
	defer i.bells.ring()
	if err := child.Exec(); err != nil {
		<-p.Exited()
		return err
	}
	timer := time.NewTimer(probeTime)
	defer timer.Stop()
	select {
	case e := <-p.Exited():
		if e.Known && e.Status.Exited() && e.Status.ExitStatus() == 0 {
			return nil
		}
		return fmt.Errorf("%s %s", i.mode.Command[0], describe(e.Status))
	case <-stop:
	case <-timer.C:
	}
	_ = p.SignalGroup(syscall.SIGKILL)
	<-p.Exited()
	return fmt.Errorf("%s did not end within %v", i.mode.Command[0], probeTime)
}
