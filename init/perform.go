package pid1

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// named is how messages speak of a generation.
func named(n int) string { return "generation " + itoa(n) }

// perform does what the machine has decided. It never waits; what takes time
// is done in a goroutine that posts its result.
func (i *Init) perform(f swap.Effect) {
	switch f := f.(type) {
	case *swap.Prepare:
		go i.prepare(f.Swap, f.Generation)
	case *swap.Start:
		cautious := f.Sockets == swap.OwnSockets && i.gens.live[f.Generation] == nil
		w, old := i.gens.next(f)
		if old != nil {
			i.clients.totals.Restarts++
		}
		go i.launch(w, old, cautious)
	case *swap.SignalWorker:
		if w := i.gens.live[f.Generation].worker(f.Worker); w != nil && !i.hold(f) {
			i.send(w, syscall.Signal(f.Signal))
			if f.Resume && w.proc != nil {
				resume(w.proc)
			}
		}
	case *swap.KillWorker:
		if w := i.gens.live[f.Generation].worker(f.Worker); w != nil {
			i.killWorker(w)
		}
	case *swap.Ask:
		i.askGate(f)
	case *swap.EndTurn:
		i.tellGate(&gatewire.Message{Op: gatewire.OpDone}, true)
	case *swap.Took:
		if f.Generation != 0 {
			i.gate.role = gatewire.Holder
		}
		i.tellGate(&gatewire.Message{Op: gatewire.OpTook, Generation: f.Generation}, false)
	case *swap.Leaving:
		i.tellGate(&gatewire.Message{Op: gatewire.OpLeaving, Died: f.Died, Reason: f.Reason}, !f.Died)
	case *swap.NoServer:
		i.noServer()
	case *swap.GiveBack:
		i.giveBack(f.ID)
	case *swap.Aim:
		i.check.end()
		i.aim(f.Generation, f.Rest, f.Share, i.gens.by(f.Generation, f.Share))
	case *swap.CutOver:
		i.check.end()
		i.aim(f.Generation, f.Predecessor, swap.Full, shares.Random)
		i.launcher.terminal.foreground(i.gens.live[f.Generation].pid())
		i.clients.overtaken(f.Generation)
		if f.Back {
			i.gens.with(f.Generation, i.resumeCommand)
		}
	case *swap.Transition:
		who := "rollout"
		if f.Generation != 0 {
			who = named(f.Generation)
		} else if f.Begins() {
			i.clients.begin(i.gens.newest + 1)
		}
		i.debug("transition", who+": "+f.From+" -> "+f.To+": "+f.Cause, f.Generation, 0)
	case *swap.Progress:
		if f.Stage == swap.StageCanary && f.ID == 0 {
			i.check.end()
			i.gens.with(f.Generation, i.checkCanary)
		}
		i.progress(f)
	case *swap.Swapped:
		i.swapped(f)
	case *swap.Reply:
		i.clients.reply(f)
	case *swap.SweepAll:
		i.endSides()
		i.clients.tellFollowers(true)
		i.sweepAll()
	case *swap.KillAll:
		i.info("killed", "what is left has not ended in time and gets KILL", 0, 0)
		i.sweepers.killing.Store(true)
		i.sweepers.wake()
	case *swap.Exit:
		i.exiting = true
		i.launcher.terminal.foreground(unix.Getpgrp()) // as we got it: a script may go on
		i.status = f.Status.ExitCode()
		// The map is for what a server says, not for a failure to start it.
		if to, ok := i.set.ExitMap[i.status]; ok && i.ran {
			i.status = to
		}
	case *swap.Kill:
		i.gens.with(f.Generation, func(g *generation) { i.kill(g, f) })
	case *swap.Takedown:
		i.gens.live[f.Generation].tellAll(swap.EveryWorker, channel.Message{Kind: channel.Takedown, Resource: f.Resource})
	case *swap.Go:
		i.gens.live[f.Generation].tellAll(f.Worker, channel.Message{Kind: channel.Go, Resource: f.Resource})
	case *swap.Verify:
		i.gens.with(f.Generation, func(g *generation) { go i.verify(g) })
	case *swap.Drain:
		i.gens.with(f.Generation, i.drain)
	case *swap.EndDrain:
		i.gens.with(f.Generation, func(g *generation) { g.drain.end() })
	case *swap.Sweep:
		i.gens.with(f.Generation, i.sweep)
	case *swap.Forget:
		i.gens.with(f.Generation, i.forget)
	}
}

// prepare does what comes before a swap and posts how it went.
func (i *Init) prepare(number, generation int) {
	command, err := i.hooks.before(generation)
	e := &swap.ContainerEvent{Kind: swap.Prepared, Swap: number, Command: command}
	if err != nil {
		e.Reason = err.Error()
	}
	i.post(func() { i.step(e) })
}

// send signals a worker's main process. A process that has not reached its own
// program yet gets the signal as soon as it has: before, it is still our code,
// with our handlers.
func (i *Init) send(w *worker, sig syscall.Signal) {
	if w.proc == nil || !w.running {
		// As in the kernel one of each can be pending.
		if !slices.Contains(w.held, sig) {
			w.held = append(w.held, sig)
		}
		return
	}
	err := i.sendTo(w.proc, sig)
	if err == nil {
		i.debug("signal.sent", "sent "+signals.Name(sig)+" to "+w.named(), w.g.number, w.pid())
	}
	i.refused(w, err)
}

func (i *Init) sendTo(p *reaper.Process, sig syscall.Signal) error {
	if i.set.KillGroup && sig != syscall.SIGABRT {
		return p.SignalGroup(sig)
	}
	return p.Signal(sig)
}

// refused logs that a signal could not be sent. A setuid program may not be ours to
// signal. That is no reason to die.
func (i *Init) refused(w *worker, err error) {
	switch {
	case err == nil, errors.Is(err, syscall.ESRCH): // its end is on its way here
		return
	case errors.Is(err, syscall.EPERM):
		err = text.Errorf("%w: it has become another user, and swapinit lacks CAP_KILL (docker run --cap-add KILL)", err)
	}
	i.about(logline.Warn, "signal.failed", w, ": "+err.Error())
}

// resume lets a stopped process run again, which has just been told to end: it
// would not see that before. Others get no CONT, for which they may have a
// handler, unless only /proc could tell (a MAINPID= that is not our child).
func resume(p *reaper.Process) {
	var stopped unix.Siginfo // stays as it is if the process is not
	err := unix.Waitid(unix.P_PID, p.Pid(), &stopped, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || stopped.Signo != 0 {
		_ = p.Signal(syscall.SIGCONT)
	}
}

// kill ends all processes of a generation: the main processes and their groups
// at once, then the others as they are found. What escapes it by forking is met
// by the sweep that follows the main processes' end.
func (i *Init) kill(g *generation, f *swap.Kill) {
	i.info("killed", named(g.number)+" gets KILL: "+f.Reason, g.number, g.pid())
	if f.Main {
		for _, w := range g.all() {
			if w.killed.Store(true); w.proc != nil { // else forked does it
				i.refused(w, i.sendTo(w.proc, syscall.SIGKILL))
			}
		}
		return
	}
	g.killed.Store(true)
	for _, w := range g.all() {
		if w.proc != nil {
			i.refused(w, w.proc.SignalGroup(syscall.SIGKILL))
		}
	}
	i.sweepers.wake()
	go func() {
		for _, p := range i.launcher.procs.members(g, snapshot(), map[life]mark{}) {
			p.signal(syscall.SIGKILL, 0)
		}
	}()
}

// killWorker ends the processes of one worker, as far as descent and groups tell
// them from those of the others.
func (i *Init) killWorker(w *worker) {
	w.killed.Store(true)
	i.about(logline.Info, "killed", w, " has not ended in time and gets KILL")
	proc := w.proc
	if proc == nil {
		return // forked does it
	}
	go func() {
		// Found first: without their ancestor they are nobody's.
		found := w.tree(snapshot())
		i.refused(w, proc.SignalGroup(syscall.SIGKILL))
		for _, p := range found {
			p.signal(syscall.SIGKILL, 0)
		}
	}()
}

// sweep ends what g's main processes have left behind.
func (i *Init) sweep(g *generation) {
	i.leaveSockets(g.number)
	if g.sweeper == nil {
		marks := map[life]mark{}
		name := i.machine.Phase() == swap.Running && !g.killed.Load()
		g.sweeper = i.sweepers.start(&g.killed, func() ([]process, bool) {
			left := i.launcher.procs.members(g, snapshot(), marks)
			if name {
				name = false
				i.nameDaemons(g, left)
			}
			return left, false
		},
			func() { i.post(func() { i.happened(swap.Swept, g.number, "") }) })
	}
	g.over = true
	i.clients.tellFollowers(false)
}

// nameDaemons logs which daemons end with g. An entrypoint that starts one beside its
// server (cron) starts it again for each generation; where only one can run, by its lock
// or its port, the successor's has given up before this one ends.
func (i *Init) nameDaemons(g *generation, left []process) {
	own, _ := unix.Getsid(0)
	var names []string
	for _, p := range left {
		if comm, err := file.Read("/proc/" + itoa(p.pid) + "/comm"); err == nil && p.sid != own && len(names) < namesMost {
			names = append(names, text.Quote(strings.TrimSpace(string(comm)), 20)+" (pid "+itoa(p.pid)+")")
		}
	}
	if len(names) > 0 {
		i.warn("daemons", named(g.number)+" has ended, and what it has started in sessions of its own ends with it: "+strings.Join(names, ", ")+
			"; whatever is to outlive a swap is started by SWAPINIT_SIDE_<NAME>, or in a container of its own", g.number, 0)
	}
}

const namesMost = 5

// sweepAll ends everything that is left.
func (i *Init) sweepAll() {
	for _, g := range i.gens.live {
		if g.sweeper != nil {
			g.sweeper.stop() // one sweeper for all from here on
		}
	}
	i.launcher.closed.Store(true)
	i.sweepers.start(&i.sweepers.killing, i.launcher.leftovers, func() {
		i.post(func() { i.step(&swap.ContainerEvent{Kind: swap.NothingLeft}) })
	})
}

// forget releases a generation of which nothing is left.
func (i *Init) forget(g *generation) {
	i.leaveSockets(g.number)
	i.adoption.end(g)
	i.gens.forget(g)
	go func() {
		g.unlink()
		// A server on its way out may have shut down a socket, or removed a path,
		// that its successor serves.
		i.endpoints.Check()
	}()
}
