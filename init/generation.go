package pid1

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
)

// generation is what the operating system has of a generation: its process and
// what belongs to it. Its fields are the loop's, but for the atomic ones.
type generation struct {
	number     int
	born       time.Time
	proc       *reaper.Process // nil until forked; MAINPID= may replace it
	running    bool            // its own program runs
	held       []syscall.Signal
	pipe       *ready.Pipe
	notify     *ready.Notify
	stopProbes func() // nil: none run; may be called again
	sweeper    *sweeper
	readyAfter time.Duration // 0: not ready
	leaving    bool          // it said STOPPING=1
	statusText string        // its last STATUS=
	command    []string      // as run, the path resolved
	workDir    string

	// For the goroutines that ask who belongs to it.
	mainPid atomic.Int32
	ended   atomic.Bool // its main process has ended, the number may be another's
	killed  atomic.Bool // whoever is left of it gets KILL
}

func (g *generation) pid() int { return int(g.mainPid.Load()) }

// close gives back what belongs to the generation. It may be called again.
func (g *generation) close() {
	if g.stopProbes != nil {
		g.stopProbes()
	}
	if g.pipe != nil {
		g.pipe.Close()
	}
	if g.notify != nil {
		g.notify.Close()
	}
	if g.sweeper != nil {
		g.sweeper.stop()
	}
}

// forked takes over what launch has made, before the program runs.
func (i *Init) forked(g *generation, l *launched) {
	if !i.serving { // not by its number: generation 1 may have failed before
		i.serving = true
		i.afterFirstFork()
	}
	g.proc, g.pipe, g.notify, g.command, g.workDir = l.proc, l.pipe, l.notify, l.shown, l.dir
	if g.killed.Load() {
		_ = g.proc.SignalGroup(syscall.SIGKILL)
	}
}

// launchFailed is the end of a generation whose program never ran.
func (i *Init) launchFailed(g *generation, err error, status int) {
	g.ended.Store(true)
	// The swap that is going on tells by itself why it failed.
	if g.number == 1 || i.machine.Phase() == swap.Running && !i.machine.Swapping() {
		i.fail("start.failed", err.Error(), g.number)
	}
	i.step(swap.Event{Kind: swap.StartFailed, Generation: g.number, Reason: err.Error(), Status: swap.Status{Code: status}})
}

// started is called when the generation's own program runs.
func (i *Init) started(g *generation) {
	g.running, i.ran = true, true
	if g.number == 1 {
		i.debug("started", "generation 1 started: "+shown(g), 1, g.pid())
	}
	i.step(swap.Event{Kind: swap.Started, Generation: g.number})
	held := g.held
	g.held = nil
	for _, sig := range held {
		i.send(g, sig)
	}
	i.probe(g)
}

// exited is called when the process p, once started for g, has ended.
func (i *Init) exited(g *generation, p *reaper.Process, e reaper.Exit) {
	i.bells.ring()
	if p != g.proc {
		return // it has named another main process (MAINPID=) before
	}
	g.ended.Store(true)
	if g.stopProbes != nil {
		g.stopProbes()
	}
	st := swap.Status{Code: e.Status.ExitStatus()}
	what := describe(e.Status)
	if e.Status.Signaled() {
		st = swap.Status{Signal: swap.Signal(e.Status.Signal())}
	}
	if !e.Known {
		// It was never our child, or the kernel is too old to tell afterwards.
		st, what = swap.Status{}, "ended with a status that cannot be known, taken as 0"
		i.warn("status.unknown", named(g.number)+" "+what, g.number, g.pid())
	}
	i.debug("exited", named(g.number)+" "+what, g.number, g.pid())
	i.step(swap.Event{Kind: swap.Exited, Generation: g.number, Status: st})
}

// ready passes readiness on, from whichever source the setting names.
func (i *Init) ready(g *generation) {
	if g.readyAfter == 0 {
		g.readyAfter = max(1, time.Since(g.born))
		if g.stopProbes != nil {
			g.stopProbes()
		}
		i.debug("ready", named(g.number)+" is ready", g.number, g.pid())
	}
	i.step(swap.Event{Kind: swap.Ready, Generation: g.number})
}

func (i *Init) piped(g *generation, e ready.PipeEvent) {
	switch k := i.mode.Kind; {
	case e == ready.Ready && (k == ready.KindAuto || k == ready.KindFD):
		i.ready(g)
	case e == ready.Never && k == ready.KindFD:
		i.step(swap.Event{Kind: swap.Never, Generation: g.number, Reason: "closed the readiness pipe without having written a line"})
	}
	// Never in auto: the other source may still report, or the end is near.
}

// notified handles a message of sd_notify(3), in the order of its meaning:
// who it is, what it asks for, what it says.
func (i *Init) notified(g *generation, m ready.Message) {
	if m.Barrier != nil {
		// Everything before has been handled: that is what the sender waits for.
		defer m.Barrier()
	}
	if m.MainPid > 0 {
		i.followMain(g, m.MainPid)
	}
	if m.Status != nil {
		g.statusText = *m.Status
		// If it fails, this is the best account of why.
		i.step(swap.Event{Kind: swap.Note, Generation: g.number, Reason: "its status was: " + g.statusText})
	}
	if m.Errno != 0 {
		i.step(swap.Event{Kind: swap.Note, Generation: g.number, Reason: syscall.Errno(m.Errno).Error()})
	}
	if m.Stopping {
		g.leaving = true
		// A successor that goes before it has begun has failed, in whichever of
		// its two states; an active generation only is not healthy any more.
		const reason = "says that it is stopping (STOPPING=1)"
		i.step(swap.Event{Kind: swap.Never, Generation: g.number, Reason: reason})
		i.step(swap.Event{Kind: swap.Refused, Generation: g.number, Reason: reason})
	}
	if m.Extend > 0 {
		i.step(swap.Event{Kind: swap.Extend, Generation: g.number, Duration: m.Extend})
	}
	if m.WatchdogUsec != 0 {
		i.step(swap.Event{Kind: swap.Ping, Generation: g.number, Duration: m.WatchdogUsec})
	}
	if m.Watchdog {
		i.step(swap.Event{Kind: swap.Ping, Generation: g.number})
	}
	if m.Ready && (i.mode.Kind == ready.KindAuto || i.mode.Kind == ready.KindNotify) {
		i.ready(g)
	}
	if m.WatchdogTrigger {
		i.step(swap.Event{Kind: swap.Hung, Generation: g.number})
	}
}

// followMain makes another process of the generation its main one: a server
// that has forked itself into the background says so.
func (i *Init) followMain(g *generation, pid int) {
	if g.proc == nil || pid == g.proc.Pid() || g.ended.Load() {
		return
	}
	if pid == 1 || !i.belongs(g, pid) {
		i.warn("mainpid", named(g.number)+" names pid "+itoa(pid)+" as its main process, which is none of its own", g.number, pid)
		return
	}
	p, err := i.reaper.Adopt(pid)
	if err != nil {
		i.warn("mainpid", "cannot follow MAINPID="+itoa(pid)+": "+err.Error(), g.number, pid)
		return
	}
	g.proc = p
	g.mainPid.Store(int32(pid))
	go i.await(g, p, g.notify)
}

// await posts the end of p. It reads what the process has still said first: the
// message that names its successor may have come just before.
func (i *Init) await(g *generation, p *reaper.Process, said *ready.Notify) {
	e := <-p.Exited()
	said.Drain()
	i.post(func() { i.exited(g, p, e) })
}
