package swap

import "time"

// mute is how often in a hundred the answer to an effect never comes.
func mute(f Effect) int {
	switch f.(type) {
	case *Prepare:
		return 15
	case *Start, *Verify, *Sweep:
		return 5
	case *Takedown:
		return 40
	case *Drain, *SweepAll:
		return 30
	case *SignalWorker:
		return 20
	case *KillAll:
		return 10
	}
	return 0 // KILL is not obeyed by those that are undying
}

// react is how the simulated processes answer what is done to them. Any answer may be
// left out, for ever.
func (w *world) react(f Effect) {
	if start, ok := f.(*Start); ok {
		w.born(start)
	}
	w.gateHears(f)
	if w.chance(mute(f)) {
		return
	}
	switch f := f.(type) {
	case *Prepare:
		e := &ContainerEvent{Kind: Prepared, Swap: f.Swap}
		switch {
		case w.chance(20):
			e.Reason = "the hook failed"
		case w.chance(20):
			e.Command = []string{"hooked"}
		}
		w.plan(w.later(40*time.Second), e) // too late, at times
	case *Start:
		w.lives(f.Generation, f.Worker)
	case *Takedown:
		w.plan(w.later(12*time.Second), &GenerationEvent{Kind: Released, Generation: f.Generation, Resource: f.Resource})
	case *Verify:
		if w.chance(85) {
			w.plan(w.later(time.Second), &GenerationEvent{Kind: Verified, Generation: f.Generation})
		} else {
			w.plan(w.later(time.Second), &GenerationEvent{Kind: Refused, Generation: f.Generation, Reason: "holds none"})
		}
	case *SignalWorker:
		if f.Signal != sigOther {
			w.death(f.Generation, f.Worker, w.later(8*time.Second), Status{Code: w.r.IntN(3)})
		}
	case *KillWorker:
		w.kill(f.Generation, f.Worker)
	case *Kill:
		for k := range w.cfg.Workers {
			w.kill(f.Generation, k)
		}
		if !w.undying[f.Generation] {
			w.strays[f.Generation] = false
			if w.chance(95) {
				w.plan(w.later(60*time.Millisecond), &GenerationEvent{Kind: Swept, Generation: f.Generation})
			}
		}
	case *Drain:
		n := f.Generation
		at := w.now
		if w.chance(50) {
			at = w.later(20 * time.Millisecond)
			w.plan(at, &GenerationEvent{Kind: Busy, Generation: n, Reason: "3 connections open"})
		}
		w.plan(at+w.later(20*time.Second)-w.now, &GenerationEvent{Kind: Drained, Generation: n, Reason: "its connections are idle"})
	case *Aim:
		if f.Share < Full && w.chance(15) {
			w.plan(w.later(10*time.Second), &GenerationEvent{Kind: CheckFailed, Generation: f.Generation, Reason: "the check exited with status 1"})
		}
	case *Sweep:
		if !w.strays[f.Generation] {
			w.plan(w.later(50*time.Millisecond), &GenerationEvent{Kind: Swept, Generation: f.Generation})
		} else if w.chance(50) {
			w.plan(w.later(3*time.Second), &GenerationEvent{Kind: Swept, Generation: f.Generation})
		}
	case *SweepAll:
		w.plan(w.later(4*time.Second), &ContainerEvent{Kind: NothingLeft})
	case *KillAll:
		w.plan(w.later(time.Second), &ContainerEvent{Kind: NothingLeft})
	}
}

// born makes the process of a worker.
func (w *world) born(f *Start) {
	n, k := f.Generation, f.Worker
	if b := w.bodies[name{n, k}]; b == nil {
		w.bodies[name{n, k}] = &body{life: 1, alive: true}
	} else {
		b.life++
		b.alive = true
	}
	w.strays[n] = w.chance(20)
	w.undying[n] = !w.calm && w.chance(2)
}

// lives plans what becomes of a worker: how it starts, and what it does of itself.
func (w *world) lives(n, k int) {
	if w.calm {
		w.plan(w.now, &GenerationEvent{Kind: Started, Generation: n, Worker: k})
		w.plan(w.later(time.Second), &GenerationEvent{Kind: Ready, Generation: n, Worker: k})
		w.plan(w.now, &GenerationEvent{Kind: Ping, Generation: n, Worker: k, Duration: -1}) // it wants no watchdog
		return
	}
	if w.chance(8) {
		w.plan(w.later(time.Second), &GenerationEvent{Kind: StartFailed, Generation: n, Worker: k, Reason: "cannot exec", Status: Status{Code: 127}})
		return
	}
	w.plan(w.later(100*time.Millisecond), &GenerationEvent{Kind: Started, Generation: n, Worker: k})
	if w.crashes && w.chance(80) {
		w.death(n, k, w.later(time.Second), Status{Code: 1})
		return
	}
	if w.chance(85) {
		w.plan(w.later(12*time.Second), &GenerationEvent{Kind: Ready, Generation: n, Worker: k})
	}
	if w.chance(10) {
		w.plan(w.later(20*time.Second), &GenerationEvent{Kind: Never, Generation: n, Worker: k, Reason: "closed"})
	}
	if w.chance(25) {
		w.death(n, k, w.later(60*time.Second), Status{Code: w.r.IntN(256)})
	}
	if w.cfg.Strategy == Handover || w.chance(10) { // it speaks on its channel
		w.plan(w.later(100*time.Millisecond), &GenerationEvent{Kind: Joined, Generation: n, Worker: k})
		for _, resource := range []string{"a", "b"} {
			w.plan(w.later(3*time.Second), &GenerationEvent{Kind: ReadyFor, Generation: n, Worker: k, Resource: resource})
		}
	}
	for range w.r.IntN(4) {
		kinds := []GenerationKind{Extend, Ping, Ping, Note, Hung, Joined, ReadyFor, ReadyFor}
		w.plan(w.later(20*time.Second), &GenerationEvent{Kind: kinds[w.r.IntN(len(kinds))], Generation: n, Worker: k,
			Duration: time.Duration(w.r.Int64N(int64(9 * time.Second))), Resource: string(rune('a' + w.r.IntN(2))), Reason: "note"})
	}
}

// kill ends a worker, unless it hangs in the kernel.
func (w *world) kill(n, k int) {
	if b := w.bodies[name{n, k}]; b != nil && b.alive {
		b.killed = b.life
		if !w.undying[n] {
			w.death(n, k, w.later(50*time.Millisecond), Status{Signal: 9})
		}
	}
}

// firstVerb is the first number of a request to roll back, to cancel or to promote.
const firstVerb = 1000000

// user does something that nobody asked for, at any time: requests, signals,
// and events that come late, twice, or for a generation that never was.
func (w *world) user() Event {
	if w.cfg.Membership != Alone && w.chance(15) {
		return w.gateSays()
	}
	switch k := w.r.IntN(20); {
	case k < 11:
		w.nextID++
		r := Request{ID: w.nextID}
		if w.chance(20) {
			r.Command = []string{string(rune('a' + w.r.IntN(3)))}
		}
		if w.chance(5) {
			r.Canary, r.CanaryBy = []Canary{{2500, time.Second}, {5000, 3 * time.Second}}, "client"
		}
		if w.chance(10) {
			r.Strategy = Strategy(w.r.IntN(4))
		}
		if w.chance(5) {
			r.Command, r.Again, r.Force = nil, true, w.chance(50)
		}
		if w.chance(20) {
			r.Timeout = time.Duration(1+w.r.IntN(20)) * time.Second
		}
		return &ContainerEvent{Kind: Swap, Request: r}
	case k < 12:
		return &ContainerEvent{Kind: Swap} // by signal
	case k < 13:
		w.nextID++
		return &ContainerEvent{Kind: Rollback + ContainerKind(w.r.IntN(3)), Request: Request{ID: firstVerb + w.nextID}}
	case k < 16:
		return &ContainerEvent{Kind: Forward, Signal: sigOther}
	case k < 17 && w.chance(25):
		return &ContainerEvent{Kind: Stop}
	case k < 18:
		return &ContainerEvent{Kind: []ContainerKind{Tick, Prepared}[w.r.IntN(2)], Reason: "stray event"}
	default:
		kinds := []GenerationKind{Started, Ready, Never, Verified, Refused, Swept, Extend, Ping, Drained, Busy, CheckFailed, Note, ReadyFor, Released, Joined}
		return &GenerationEvent{Kind: kinds[w.r.IntN(len(kinds))], Generation: w.r.IntN(w.c.last + 2), Worker: w.r.IntN(w.cfg.Workers + 1), Reason: "stray event", Resource: "a"}
	}
}
