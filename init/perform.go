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
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
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
		i.start(f)
	case *swap.SignalWorker:
		if w := i.worker(f.Generation, f.Worker); w != nil {
			i.send(w, syscall.Signal(f.Signal))
			if f.Resume {
				resume(w)
			}
		}
	case *swap.KillWorker:
		if w := i.worker(f.Generation, f.Worker); w != nil {
			i.killWorker(w)
		}
	case *swap.Aim:
		i.stopCheck()
		i.steer(aim{f.Generation, f.Rest, f.Share})
		if g := i.gens[f.Generation]; g != nil && g.canary && f.Share < swap.Full {
			i.startCheck(g)
		}
	case *swap.CutOver:
		i.stopCheck()
		i.steer(aim{f.Generation, f.Predecessor, swap.Full})
		if g := i.gens[f.Generation]; g != nil {
			i.terminal.foreground(g.pid())
		}
		i.overtaken(f.Generation)
	case *swap.Transition:
		who := "rollout"
		if f.Generation != 0 {
			who = named(f.Generation)
		}
		i.debug("transition", who+": "+f.From+" -> "+f.To+": "+f.Cause, f.Generation, 0)
	case *swap.Progress:
		i.progress(f)
	case *swap.Swapped:
		i.swapped(f)
	case *swap.Reply:
		i.reply(f)
	case *swap.SweepAll:
		i.tellFollowers(true)
		i.sweepAll()
	case *swap.KillAll:
		i.killAll()
	case *swap.Exit:
		i.exiting = true
		i.status = f.Status.ExitCode()
		// The map is for what a server says, not for a failure to start it.
		if to, ok := i.set.ExitMap[i.status]; ok && i.ran {
			i.status = to
		}
	default:
		i.performFor(f)
	}
}

// performFor performs what is for a generation as a whole.
func (i *Init) performFor(f swap.Effect) {
	switch f := f.(type) {
	case *swap.Kill:
		i.with(f.Generation, func(g *generation) { i.kill(g, f.Reason) })
	case *swap.Takedown:
		i.with(f.Generation, func(g *generation) {
			g.tellAll(swap.EveryWorker, channel.Message{Kind: channel.Takedown, Resource: f.Resource})
		})
	case *swap.Go:
		i.with(f.Generation, func(g *generation) {
			g.tellAll(f.Worker, channel.Message{Kind: channel.Go, Resource: f.Resource})
		})
	case *swap.Verify:
		i.with(f.Generation, func(g *generation) { go i.verify(g) })
	case *swap.Drain:
		i.with(f.Generation, i.drain)
	case *swap.EndDrain:
		i.with(f.Generation, (*generation).endDrain)
	case *swap.Sweep:
		i.with(f.Generation, func(g *generation) {
			i.leaveSockets(g.number)
			g.sweep(i)
			g.over = true
			i.tellFollowers(false)
		})
	case *swap.Forget:
		i.with(f.Generation, i.forget)
	}
}

// with calls do with generation n, unless it is gone.
func (i *Init) with(n int, do func(*generation)) {
	if g := i.gens[n]; g != nil {
		do(g)
	}
}

// worker is that of generation n with index k, nil if there is none.
func (i *Init) worker(n, k int) *worker {
	if g := i.gens[n]; g != nil {
		return g.worker(k)
	}
	return nil
}

// reply answers a client of the control socket.
func (i *Init) reply(f *swap.Reply) {
	if i.withheld > 0 {
		i.answers = append(i.answers, f)
		return
	}
	call, ok := i.calls[f.ID]
	if !ok {
		return
	}
	delete(i.calls, f.ID)
	if f.Reason == "" && call.Swap.Follow {
		i.follow(call, f.Generation)
		return
	}
	call.Done(control.Reply{OK: f.Reason == "", Error: f.Reason, Generation: f.Generation})
}

// progress logs a stage, or tells it to the client that waits for the swap.
func (i *Init) progress(f *swap.Progress) {
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
		what = "has " + shares.Percent(share) + "% of new connections " + f.Detail
	case swap.StageStopping, swap.StageDraining, swap.StageKept:
		n, what = f.Other, string(f.Stage)+": "+f.Detail
		if old := i.gens[n]; old != nil {
			pid = old.pid()
		}
	case swap.StageHook:
		what = "waits for the pre-swap hook"
	case swap.StageBatch:
		what = "has replaced " + f.Detail
	case swap.StageTakedown:
		n, what = f.Other, "is to release "+f.Detail
	case swap.StageGo:
		what = "may use " + f.Detail
	case swap.StageRespawn:
		i.warn("respawn", named(n)+": "+f.Detail, n, 0)
		return
	case swap.StageBack:
		what = "has the traffic again: " + f.Detail
	case swap.StageFailed:
		what = "failed: " + f.Detail
	case swap.StageHung:
		i.warn("watchdog", named(n)+" "+f.Detail+" and gets ABRT", n, pid)
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
func (i *Init) swapped(f *swap.Swapped) {
	time.AfterFunc(trimAfter, func() {
		debug.FreeOSMemory() // what a swap has used lies idle until the next one
		trim()
	})
	i.lastSwap = &control.LastSwap{Generation: f.Generation, OK: f.Reason == "", Reason: f.Reason}
	i.postSwap(f)
	i.tellFollowers(false)
	if f.Reason != "" {
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
