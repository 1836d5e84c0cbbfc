//go:build linux

package main

import (
	"sync"

	"github.com/swapinit/swapinit/internal/control"
)

// result is what --json prints of a swap: one object, once.
type result struct {
	lock   sync.Mutex // held for ever by who prints it, as the program then ends
	wanted bool
	told   *control.LastSwap // nil: nothing is known
}

// set notes what the init has answered, nil while it has not.
func (r *result) set(wanted bool, reply *control.Reply) {
	r.lock.Lock()
	r.wanted = wanted
	if reply != nil {
		if r.told = reply.Swap; r.told == nil {
			r.told = &control.LastSwap{Generation: reply.Generation, OK: reply.OK, Reason: reply.Error}
		}
	}
	r.lock.Unlock()
}

// tell prints how the swap went, if that is wanted. reason is why nothing is known.
func (v *verbRun) tell(reason string) {
	v.result.lock.Lock()
	if !v.result.wanted {
		v.result.lock.Unlock()
		return
	}
	l := v.result.told
	if l == nil {
		l = &control.LastSwap{Reason: reason}
	}
	l.Outcome = outcome(l)
	v.say(0, l.JSON())
}

// outcome is what became of a swap. An older init does not say it.
func outcome(l *control.LastSwap) string {
	switch {
	case l.Outcome != "":
		return l.Outcome
	case l.OK:
		return "ok"
	}
	return "failed"
}

// lastSwap is what status says of one.
func lastSwap(l *control.LastSwap) string {
	if l == nil {
		return "none"
	}
	line := outcome(l)
	switch {
	case l.OK:
		line = generation(l.Generation) + ", " + line
	case l.Generation > 0: // else none was started
		line = generation(l.Generation) + " " + line
	}
	if l.OutcomeAt != "" {
		line += " " + span(l.AgoMS) + " ago"
	}
	if l.Reason != "" {
		line += ": " + l.Reason
	}
	return line
}
