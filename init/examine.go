package pid1

import (
	"cmp"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
)

// examination is one run of check: what the loop knows, at one moment, and what is read
// then by a goroutine.
type examination struct {
	*Init
	doctor.Facts
	active  *generation // nil: there is none
	others  []*generation
	next    int      // the successor's number
	current []string // see generations
}

// examine answers check. However many ask, one goroutine looks at a time: it may hang on a
// file system.
func (i *Init) examine(c *control.Call) {
	if i.machine.Phase() != swap.Running {
		c.Done(&control.Reply{Error: "the container is stopping"})
		return
	}
	var waiting []*control.Call
	for _, other := range i.clients.checks {
		select {
		case <-other.Gone():
		default:
			waiting = append(waiting, other)
		}
	}
	running := i.clients.checks != nil
	if i.clients.checks = append(waiting, c); running {
		return
	}
	e, asked := i.examination(), i.clients.asked
	go func() {
		e.read()
		r := control.Reply{OK: true, Problems: &control.Problems{}}
		if asked { // else nobody minds, see unhealthy
			r.Problems.NotReady = e.Waits()
		}
		for _, p := range e.Problems() {
			r.Problems.List = append(r.Problems.List, control.Problem{What: p.What, Why: p.Why, Set: p.Set})
		}
		i.post(func() {
			for _, c := range i.clients.checks {
				c.Done(&r)
			}
			i.clients.checks = nil
		})
	}()
}

// examination notes what the loop knows.
func (i *Init) examination() *examination {
	s := i.set
	e := &examination{Init: i, active: i.gens.live[i.machine.Active()], next: i.gens.newest + 1, current: i.gens.current}
	e.Shown, e.Hint = cmp.Or(s.Ready, "auto"), i.readyHint()
	e.ReadyTimeout, e.RetireTimeout, e.LeftoverTimeout, e.Keep = s.ReadyTimeout, s.RetireTimeout, s.LeftoverTimeout, s.Keep
	e.StopFirst, e.Beside, e.Joined = strategy(s.Strategy) == swap.Replace, strategy(s.Strategy).Gradual(), i.gate != nil
	e.Number, e.Signal, e.Setting = int(s.EffectiveRetire()), signals.Name(s.EffectiveRetire()), "SWAPINIT_STOP_SIGNAL"
	e.KillGroup, e.Drain = s.KillGroup, s.Drain
	if s.RetireSignal != 0 {
		e.Setting = "SWAPINIT_RETIRE_SIGNAL"
	}
	if i.gate != nil && !i.gate.away.IsZero() {
		e.GateAway = i.gate.path
	}
	views, now := i.machine.Views(), i.now()
	if !i.machine.Swapping() {
		e.Generations, e.Most = len(views), s.MaxGenerations
	}
	for _, v := range views {
		g := i.gens.live[v.Number]
		if g == nil || g == e.active {
			continue
		}
		e.others = append(e.others, g)
		l := doctor.Leaving{Generation: v.Number, Stopping: v.State == swap.Stopping, For: now - v.Since}
		if l.Stopping && s.RetireTimeout > 0 || !l.Stopping && (v.State != swap.Draining || v.Kept || s.DrainTimeout > 0) || e.GateAway != "" {
			continue // it has an end, or is none of those
		}
		busy, oldest := g.drain.saw()
		l.Waits, l.Oldest = len(busy.List)+busy.More, oldest
		e.Leaving = append(e.Leaving, l)
	}
	if g := e.active; g != nil {
		e.Generation, e.Age, e.Ready = g.number, clock.Since(g.born), g.readyAfter > 0
		for _, w := range g.all() {
			e.Patient = e.Patient || w.patient.After(clock.Now())
			if w.readyAfter == 0 {
				e.Note = cmp.Or(e.Note, w.note)
			}
		}
	}
	return e
}

// Times between looks at connections.
const (
	stuckLooks = 5
	stuckEvery = 200 * time.Millisecond
	busyAgain  = time.Second
)

// stuck is how many connections wait for generation n to accept them, of which it has
// accepted none, as long as it is looked at.
func (e *endpoint) stuck(n int, idleAfter time.Duration) (waiting int) {
	if e.tcp == nil || e.unseen() != "" || e.whyShared() != "" {
		return 0
	}
	for look := range stuckLooks {
		if look > 0 {
			<-clock.After(stuckEvery)
		}
		waiting = 0
		_ = e.group.Counts(idleAfter, func(of int, l steer.Look) {
			if of == n && l.Open <= l.Queued {
				waiting = l.Queued
			}
		})
		if waiting == 0 {
			return 0
		}
	}
	return waiting
}

// endless finds connections for which a drain of the active generation would wait, now and
// a second later.
func (e *examination) endless() {
	first := map[string]bool{}
	for again := range 2 {
		if again > 0 {
			if len(first) == 0 {
				return
			}
			<-clock.After(busyAgain)
		}
		for _, p := range e.steering.groups() {
			look := p.group.Observe(e.Generation)
			if look == nil {
				continue
			}
			l, _ := look(e.set.IdleAfter)
			for k := range l.Busy {
				c := &l.Busy[k]
				switch at := p.Name + " " + c.Peer; {
				case c.Idle && e.set.Drain != "gone", c.Peer == "":
				case again == 0:
					first[at] = true
				case first[at]:
					e.Endless++
					if e.Oldest == "" {
						e.Oldest = c.Peer + ", " + c.Why
					}
				}
			}
		}
	}
}
