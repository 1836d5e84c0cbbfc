package arbiter

import (
	"fmt"
	"slices"
	"time"
)

// rig is an arbiter with its disk, and the checker that looks on. A gate that crashes
// takes the arbiter with it; the rest stays.
type rig struct {
	a       *Arbiter
	c       *checker
	now     time.Duration
	born    time.Duration // when the arbiter was made
	disk    State
	save    *Save // has no answer yet
	record  []moment
	fault   func([]Effect, *rig) []Effect // changes what comes out, nil: nothing
	overdue int
}

// moment is an event and its time, or a crash of the gate.
type moment struct {
	at    time.Duration
	event Event
	crash *crash
}

// crash is how the gate ends, and begins again.
type crash struct {
	written bool // what was to be saved is on the disk
	lost    bool // the state file is gone
}

func newRig() *rig {
	r := &rig{c: newChecker()}
	r.a = New(State{}, false)
	return r
}

func (r *rig) clone(s State) State {
	s.Members = slices.Clone(s.Members)
	return s
}

// step gives the arbiter an event and the checker what came out.
func (r *rig) step(e Event) ([]Effect, error) {
	r.record = append(r.record, moment{at: r.now, event: e})
	if s, ok := e.(*Saved); ok && r.save != nil && s.Number == r.save.Number {
		if s.Err == "" {
			r.disk = r.save.State
		}
		r.save = nil
	}
	r.c.in(r, e)
	out := r.a.Step(r.now-r.born, e)
	if r.fault != nil {
		out = r.fault(out, r)
	}
	for _, f := range out {
		if f, ok := f.(*Save); ok {
			r.save = &Save{f.Number, r.clone(f.State)}
		}
		if err := r.c.effect(r, f); err != nil {
			return out, fmt.Errorf("at %v: %w: %s", r.now, err, describe(f, r.c.names))
		}
	}
	if err := r.c.after(r); err != nil {
		return out, fmt.Errorf("at %v: %w", r.now, err)
	}
	if at, armed := r.a.Deadline(); !armed || at > r.now-r.born {
		r.overdue = 0
	} else if r.overdue++; r.overdue > 3 {
		return out, fmt.Errorf("at %v: a deadline that passed at %v is not dealt with: the loop would spin", r.now, at+r.born)
	}
	return out, nil
}

// restart ends the gate's process and makes a new one.
func (r *rig) restart(c crash) {
	r.record = append(r.record, moment{at: r.now, crash: &c})
	if r.save != nil && c.written {
		r.disk = r.save.State
	}
	if c.lost {
		r.disk = State{}
	}
	r.save = nil
	r.born = r.now
	r.a = New(r.clone(r.disk), r.disk.Holder != "")
	r.c.restarted(r)
}

// deadline is when the arbiter wants to be called.
func (r *rig) deadline() (time.Duration, bool) {
	at, armed := r.a.Deadline()
	if !armed {
		return 0, false
	}
	return at + r.born, true
}
