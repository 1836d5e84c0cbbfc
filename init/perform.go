package pid1

import (
	"errors"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
)

func itoa(n int) string { return strconv.Itoa(n) }

// named is how messages speak of a generation.
func named(n int) string { return "generation " + itoa(n) }

// perform does what the machine has decided. It never waits; what takes time
// is done in a goroutine that posts its result.
func (i *Init) perform(f swap.Effect) {
	g := i.gens[f.Generation]
	if g == nil && f.Op != swap.OpStart {
		i.performForAll(f)
		return
	}
	switch f.Op {
	case swap.OpStart:
		g := &generation{number: f.Generation, born: time.Now()}
		i.gens[f.Generation] = g
		go i.launch(g, f.Command, i.current)
	case swap.OpSignal:
		i.send(g, syscall.Signal(f.Signal))
		if f.Resume {
			i.resume(g)
		}
	case swap.OpKill:
		i.kill(g)
	case swap.OpVerify:
		go i.verify(g)
	case swap.OpCutOver:
		i.terminal.foreground(g.pid())
	case swap.OpSweep:
		g.sweep(i)
	case swap.OpForget:
		g.close()
		delete(i.gens, f.Generation)
		// A server on its way out may have shut down a socket, or removed a
		// path, that its successor serves.
		go i.endpoints.Check()
	case swap.OpTransition:
		i.debug("transition", named(f.Generation)+": "+f.From.String()+" -> "+f.To.String()+": "+f.Reason, f.Generation, g.pid())
	default:
		i.performForAll(f)
	}
}

// performForAll performs the effects that are not for one generation, or whose
// generation may be gone.
func (i *Init) performForAll(f swap.Effect) {
	switch f.Op {
	case swap.OpProgress:
		i.progress(f)
	case swap.OpSwapped:
		i.swapped(f)
	case swap.OpReply:
		if i.withheld > 0 {
			i.answers = append(i.answers, f)
		} else if call, ok := i.calls[f.ID]; ok {
			delete(i.calls, f.ID)
			call.Done(control.Reply{OK: f.OK, Error: f.Reason, Generation: f.Generation})
		}
	case swap.OpSweepAll:
		i.sweepAll()
	case swap.OpKillAll:
		i.killAll()
	case swap.OpExit:
		i.exiting = true
		i.status = f.Status.ExitCode()
		// The map is for what a server says, not for a failure to start it.
		if to, ok := i.set.ExitMap[i.status]; ok && i.ran {
			i.status = to
		}
	}
}

// progress logs a stage, or tells it to the client that waits for the swap.
func (i *Init) progress(f swap.Effect) {
	pid, since := 0, time.Duration(0)
	g := i.gens[f.Generation]
	if g != nil {
		pid, since = g.pid(), time.Since(g.born)
		if f.Stage == swap.StageReady {
			since = g.readyAfter
		}
	}
	since = since.Round(time.Millisecond)
	n, what := f.Generation, ""
	switch f.Stage {
	case swap.StageQueued:
		what = "follows the swap that is running"
	case swap.StageStarted:
		what = "started, pid " + itoa(pid) + ": " + shown(g)
	case swap.StageReady:
		what = "ready after " + since.String()
	case swap.StageSettled:
		what = "settled"
	case swap.StageCutOver:
		what = "has the traffic"
	case swap.StageStopping:
		n, what = f.Other, "stopping: "+f.Reason
		if old := i.gens[n]; old != nil {
			pid = old.pid()
		}
	case swap.StageFailed:
		what = "failed: " + f.Reason
	case swap.StageHung:
		i.warn("watchdog", named(n)+" "+f.Reason+" and gets ABRT", n, pid)
		return
	}
	message := named(n) + " " + what
	if f.ID == 0 {
		if f.Stage != swap.StageFailed { // swapped says it
			i.info("swap."+string(f.Stage), message, n, pid)
		}
		return
	}
	if call, ok := i.calls[f.ID]; ok {
		call.Event(control.Event{Event: string(f.Stage), Generation: n, Pid: pid, Message: message, MS: since.Milliseconds()})
	}
}

// swapped notes how a swap ended.
func (i *Init) swapped(f swap.Effect) {
	time.AfterFunc(trimAfter, func() {
		debug.FreeOSMemory() // what a swap has used lies idle until the next one
		trim()
	})
	i.lastSwap = &control.LastSwap{Generation: f.Generation, OK: f.OK, Reason: f.Reason}
	if !f.OK {
		message := "swap failed: " + f.Reason
		if f.Generation != 0 {
			message = "swap to " + named(f.Generation) + " failed: " + f.Reason
		}
		if g := i.gens[i.machine.Active()]; i.machine.Phase() == swap.Running && g != nil && g.number != f.Generation && !g.ended.Load() {
			message += "; " + named(g.number) + " goes on"
		}
		i.say(logline.Error, "swap.failed", message, f.Generation, 0)
		return
	}
	i.info("swap.done", "swap to "+named(f.Generation)+" done", f.Generation, 0)
	if f.Command != nil {
		i.current = f.Command
		if i.set.TargetFile != "" {
			i.writeTarget(f.Command)
		}
	}
}

// send signals a generation's main process. A process that has not reached its
// own program yet gets the signal as soon as it has: before, it is still our
// code, with our handlers.
func (i *Init) send(g *generation, sig syscall.Signal) {
	if g.proc == nil || !g.running {
		// As in the kernel one of each can be pending.
		if !slices.Contains(g.held, sig) {
			g.held = append(g.held, sig)
		}
		return
	}
	signal := g.proc.Signal
	if i.set.KillGroup && sig != syscall.SIGABRT {
		signal = g.proc.SignalGroup
	}
	err := signal(sig)
	if err == nil {
		i.debug("signal.sent", "sent "+signals.Name(sig)+" to "+named(g.number), g.number, g.pid())
	} else if !errors.Is(err, syscall.ESRCH) { // then its end is on its way here
		// A setuid program may not be ours to signal. That is no reason to die.
		i.warn("signal.failed", named(g.number)+": "+err.Error(), g.number, g.pid())
	}
}

// resume lets a stopped process run again, which has just been told to end: it
// would not see that before.
func (i *Init) resume(g *generation) {
	if p, ok := readProcess(g.pid()); ok && p.state == 'T' && g.proc != nil {
		_ = g.proc.Signal(syscall.SIGCONT)
	}
}

// kill ends all processes of a generation: the main process and its group at
// once, then the others as they are found. What escapes it by forking is met by
// the sweep that follows the main process's end.
func (i *Init) kill(g *generation) {
	g.killed.Store(true)
	i.info("killed", named(g.number)+" has not ended in time and gets KILL", g.number, g.pid())
	if g.proc != nil {
		_ = g.proc.SignalGroup(syscall.SIGKILL)
	}
	i.bells.ring()
	go func() {
		for _, p := range i.members(g, snapshot(), map[life]mark{}) {
			p.signal(syscall.SIGKILL, 0)
		}
	}()
}
