//go:build linux

package main

import (
	"os"
	"time"

	"github.com/swapinit/swapinit/internal/control"
)

// awaitTerm ends the program when a TERM has come and the answer has not followed. When
// the container ends, so does every process in it: this one too, while the answer that
// says why is on its way.
func (v *verbRun) awaitTerm(verb string, a verbArgs) {
	<-v.term
	time.AfterFunc(termGrace, func() {
		v.ending.Lock()
		os.Exit(v.result(a, nil, v.fail(exitFailed, verb+" was told to stop before the init had answered")))
	})
}

// termGrace is how long a verb waits on after a TERM.
const termGrace = time.Second

// result prints how a swap went as one object, with --json, where it was asked for at all.
// What the init does not tell is the reason and no more.
func (v *verbRun) result(a verbArgs, r *control.Reply, status int) int {
	if !a.tells || status > exitFailed {
		return status
	}
	if r == nil {
		r = &control.Reply{Error: v.reason}
	}
	l := r.Swap
	if l == nil {
		l = &control.LastSwap{Generation: r.Generation, OK: r.OK, Reason: r.Error}
		l.Outcome = outcome(l)
	}
	v.say(0, l.JSON())
	return status
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
