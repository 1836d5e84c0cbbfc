package pid1

import (
	"runtime/debug"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// progress logs a stage, or tells it to the client that waits for the swap.
func (i *Init) progress(f *swap.Progress) {
	pid, since, share := 0, time.Duration(0), 0
	g := i.gens.live[f.Generation]
	if g != nil {
		pid, since = g.pid(), clock.Since(g.born)
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
		what = "has " + shares.Percent(share) + "% of "
		by := i.gens.by(n, share)
		switch {
		case by.ByNetworks():
			share, what = 0, "has those from "+text.Clip(string(by), 80)+" of "
		case by != shares.Random:
			what += "clients and their "
		}
		what += "new connections " + f.Detail
		i.inCanary(n, by, f.ID)
	case swap.StageOneAddress:
		what = "gets all connections or none: they come from one address, " + f.Detail + " (a proxy?)"
		if f.ID == 0 {
			i.warn("canary.one-address", named(n)+" "+what, n, 0)
			return
		}
	case swap.StageStopping, swap.StageDraining, swap.StageKept:
		n, what = f.Other, string(f.Stage)+": "+f.Detail
		pid = i.gens.live[n].pid()
		if _, oldest := i.gens.live[n].drain.saw(); f.Stage == swap.StageStopping && oldest != "" {
			what += "; the oldest: " + oldest
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
		if what = "has the traffic again: " + f.Detail; f.Other != 0 {
			i.lost(f)
			return
		}
	case swap.StageDied:
		i.lost(f)
		return
	case swap.StageFailed:
		what = "failed: " + f.Detail
	case swap.StageHung:
		i.warn("watchdog", named(n)+" "+f.Detail+" and gets ABRT", n, pid)
		return
	}
	message := named(n) + " " + what
	if f.ID == 0 {
		i.clients.stage(f.Stage, f.Generation, share)
		if f.Stage != swap.StageFailed { // swapped says it
			i.info("swap."+string(f.Stage), message, n, pid)
		}
		return
	}
	i.clients.tell(f.ID, control.Event{Event: string(f.Stage), Generation: n, Pid: pid, Message: message, MS: since.Milliseconds(), Share: share})
}

// lost logs that a generation has lost the traffic, and notes it where the last swap had
// given it that.
func (i *Init) lost(f *swap.Progress) {
	outcome, then := outcomeBack, named(f.Generation)+" has the traffic again"
	switch {
	case f.Stage == swap.StageDied:
		outcome, then = outcomeDied, "no predecessor is there that could take over (SWAPINIT_KEEP keeps one)"
	case f.Generation == 0:
		then = "another container has the traffic again"
	}
	reason := f.Detail + "; " + then
	i.warn("swap."+string(f.Stage), named(f.Other)+" "+reason, f.Other, i.gens.live[f.Other].pid())
	if a := i.clients.lastSwap; a != nil && a.told.Generation == f.Other {
		if a.told.OK {
			i.clients.totals.SwapsUndone++
		}
		a.becomes(outcome, reason)
	}
}

// swapped notes how a swap ended.
func (i *Init) swapped(f *swap.Swapped) {
	time.AfterFunc(2*time.Second, debug.FreeOSMemory) // what a swap has used lies idle until the next one
	i.check.end()
	i.steering.closeRelays()
	i.endCanary()
	i.clients.end(f.Generation, f.Reason)
	if !f.First {
		i.hooks.after(f.Generation, f.Reason == "")
	}
	i.clients.tellFollowers(false)
	if f.Reason != "" {
		message := "swap failed: " + f.Reason
		if f.Generation != 0 {
			message = "swap to " + named(f.Generation) + " failed: " + f.Reason
		}
		if g := i.gens.live[i.machine.Active()]; i.machine.Phase() == swap.Running && g != nil && g.number != f.Generation && !g.ended() {
			message += "; " + named(g.number) + " goes on"
		}
		i.say(logline.Error, "swap.failed", message, f.Generation, 0)
		if i.gate != nil && f.First { // what wait says at the gate
			i.tellGate(&gatewire.Message{Op: gatewire.OpDone, Reason: f.Reason}, false)
		}
		return
	}
	i.info("swap.done", "swap to "+named(f.Generation)+" done", f.Generation, 0)
	if f.Command != nil {
		i.gens.current = f.Command
		if i.set.TargetFile != "" {
			i.writeTarget(f.Command, false)
		}
	}
}
