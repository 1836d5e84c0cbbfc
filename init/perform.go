package pid1

import (
	"errors"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/channel"
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
		i.start(f)
	case swap.OpSignal:
		if w := g.worker(f.Worker); w != nil && !i.hold(f) {
			i.send(w, syscall.Signal(f.Signal))
			if f.Resume {
				resume(w)
			}
		}
	case swap.OpKill:
		i.kill(g, f.Reason)
	case swap.OpKillWorker:
		if w := g.worker(f.Worker); w != nil {
			i.killWorker(w)
		}
	case swap.OpTakedown:
		g.tellAll(swap.EveryWorker, channel.Message{Kind: channel.Takedown, Resource: f.Resource})
	case swap.OpGo:
		g.tellAll(f.Worker, channel.Message{Kind: channel.Go, Resource: f.Resource})
	case swap.OpVerify:
		go i.verify(g)
	case swap.OpAim:
		i.stopCheck()
		i.aim(f.Generation, f.Other, f.Share)
		if f.Share < swap.Full && g.canary {
			i.startCheck(g)
		}
	case swap.OpCutOver:
		i.stopCheck()
		i.aim(f.Generation, f.Other, swap.Full)
		i.terminal.foreground(g.pid())
		i.overtaken(g.number)
	case swap.OpDrain:
		i.drain(g)
	case swap.OpSweep:
		i.leaveSockets(g.number)
		g.sweep(i)
		g.over = true
		i.tellFollowers(false)
	case swap.OpForget:
		i.forget(g)
	case swap.OpTransition:
		if f.From == swap.Draining && g.stopDrain != nil {
			g.stopDrain()
		}
		i.debug("transition", named(f.Generation)+": "+f.From.String()+" -> "+f.To.String()+": "+f.Reason, f.Generation, g.pid())
	default:
		i.performForAll(f)
	}
}

// performForAll performs the effects that are not for one generation, or whose
// generation may be gone.
func (i *Init) performForAll(f swap.Effect) {
	switch f.Op {
	case swap.OpPrepare:
		go i.prepare(f.Generation)
	case swap.OpProgress:
		i.progress(f)
	case swap.OpSwapped:
		i.swapped(f)
	case swap.OpReply:
		if i.withheld > 0 {
			i.answers = append(i.answers, f)
		} else if call, ok := i.calls[f.ID]; ok {
			delete(i.calls, f.ID)
			if f.OK && call.Swap.Follow {
				i.follow(call, f.Generation)
				return
			}
			call.Done(control.Reply{OK: f.OK, Error: f.Reason, Generation: f.Generation})
		}
	case swap.OpSweepAll:
		i.tellFollowers(true)
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
	pid, since, share := 0, time.Duration(0), 0
	g := i.gens[f.Generation]
	if g != nil {
		pid, since = g.pid(), time.Since(g.born)
		if f.Stage == swap.StageReady && g.readyAfter > 0 { // of the last batch, else
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
	case swap.StageCanary:
		share = f.Share
		what = "has " + control.Percent(share) + "% of new connections " + f.Reason
	case swap.StageStopping, swap.StageDraining, swap.StageKept:
		n, what = f.Other, string(f.Stage)+": "+f.Reason
		if old := i.gens[n]; old != nil {
			pid = old.pid()
		}
	case swap.StageHook:
		what = "waits for the pre-swap hook"
	case swap.StageBatch:
		what = "has replaced " + f.Reason
	case swap.StageTakedown:
		n, what = f.Other, "is to release "+f.Reason
	case swap.StageGo:
		what = "may use " + f.Reason
	case swap.StageRespawn:
		i.warn("respawn", named(n)+": "+f.Reason, n, 0)
		return
	case swap.StageBack:
		what = "has the traffic again: " + f.Reason
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
		call.Event(control.Event{Event: string(f.Stage), Generation: n, Pid: pid, Message: message, MS: since.Milliseconds(), Share: share})
	}
}

// swapped notes how a swap ended.
func (i *Init) swapped(f swap.Effect) {
	time.AfterFunc(trimAfter, func() {
		debug.FreeOSMemory() // what a swap has used lies idle until the next one
		trim()
	})
	i.lastSwap = &control.LastSwap{Generation: f.Generation, OK: f.OK, Reason: f.Reason}
	i.postSwap(f)
	i.tellFollowers(false)
	if !f.OK {
		message := "swap failed: " + f.Reason
		if f.Generation != 0 {
			message = "swap to " + named(f.Generation) + " failed: " + f.Reason
		}
		if g := i.gens[i.machine.Active()]; i.machine.Phase() == swap.Running && g != nil && g.number != f.Generation && !g.ended() {
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
	signal := w.proc.Signal
	if i.set.KillGroup && sig != syscall.SIGABRT {
		signal = w.proc.SignalGroup
	}
	err := signal(sig)
	if err == nil {
		i.debug("signal.sent", "sent "+signals.Name(sig)+" to "+w.named(), w.g.number, w.pid())
	} else if !errors.Is(err, syscall.ESRCH) { // then its end is on its way here
		// A setuid program may not be ours to signal. That is no reason to die.
		i.about(logline.Warn, "signal.failed", w, ": "+err.Error())
	}
}

// resume lets a stopped process run again, which has just been told to end: it
// would not see that before.
func resume(w *worker) {
	if p, ok := readProcess(w.pid()); ok && p.state == 'T' && w.proc != nil {
		_ = w.proc.Signal(syscall.SIGCONT)
	}
}

// kill ends all processes of a generation: the main processes and their groups
// at once, then the others as they are found. What escapes it by forking is met
// by the sweep that follows the main processes' end.
func (i *Init) kill(g *generation, reason string) {
	g.killed.Store(true)
	i.info("killed", named(g.number)+" gets KILL: "+reason, g.number, g.pid())
	for _, w := range g.all() {
		if w.proc != nil {
			_ = w.proc.SignalGroup(syscall.SIGKILL)
		}
	}
	i.bells.ring()
	go func() {
		for _, p := range i.members(g, snapshot(), map[life]mark{}) {
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
		_ = proc.SignalGroup(syscall.SIGKILL)
		for _, p := range found {
			p.signal(syscall.SIGKILL, 0)
		}
	}()
}
