package swap

import (
	"slices"
	"testing"
	"time"
)

// TestCheckerCounts breaks the machine on purpose, by changing what comes out
// of it, and finds each fault noticed by some schedule of the simulation.
func TestCheckerCounts(t *testing.T) {
	drop := func(kind Effect) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) (out []Effect) {
			for _, e := range in {
				if kindOf(e) != kindOf(kind) {
					out = append(out, e)
				}
			}
			return out
		}
	}
	twice := func(kind Effect) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) (out []Effect) {
			for _, e := range in {
				out = append(out, e)
				if kindOf(e) == kindOf(kind) {
					out = append(out, e)
				}
			}
			return out
		}
	}
	each := func(f func(Effect)) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) []Effect {
			for _, e := range in {
				f(e)
			}
			return in
		}
	}
	add := func(f func(*Machine) Effect) func([]Effect, *Machine) []Effect {
		return func(in []Effect, m *Machine) []Effect { return append(in, f(m)) }
	}
	faults := map[string]func([]Effect, *Machine) []Effect{
		"a lost answer":   drop(&Reply{}),
		"a second answer": twice(&Reply{}),
		"a second start":  twice(&Start{}),
		"a second exit":   twice(&Exit{}),
		"a wrong status": each(func(e Effect) {
			if e, ok := e.(*Exit); ok {
				e.Status.Code += 3
			}
		}),
		"a wrong generation": each(func(e Effect) {
			if e, ok := e.(*Reply); ok {
				e.Generation, e.Reason = 1, ""
			}
		}),
		"exit without sweep":    drop(&SweepAll{}),
		"retired before ready":  add(func(m *Machine) Effect { return &SignalWorker{Generation: m.Active(), Signal: sigRetire} }),
		"killed before ready":   add(func(m *Machine) Effect { return &Kill{Generation: m.Active()} }),
		"cut over before ready": add(func(m *Machine) Effect { return &CutOver{Generation: newest(m), Predecessor: m.Active()} }),
		"a canary before ready": add(func(m *Machine) Effect { return &Aim{Generation: newest(m), Rest: m.Active(), Share: 100} }),
		"traffic back without need": func(in []Effect, m *Machine) []Effect {
			if m.Active() > 1 {
				in = append(in, &CutOver{Generation: 1})
			}
			return in
		},
		"traffic left with the dead": drop(&CutOver{}),
		"a lost rollback": func(in []Effect, _ *Machine) []Effect {
			for i, e := range in {
				if e, ok := e.(*Reply); ok && e.ID >= firstVerb {
					return slices.Delete(in, i, i+1)
				}
			}
			return in
		},
		// What is left out must not be waited for without an end.
		"nobody is swept":          drop(&Sweep{}),
		"nobody is killed":         drop(&Kill{}),
		"no worker is killed":      drop(&KillWorker{}),
		"nobody is forgotten":      drop(&Forget{}),
		"a drain that goes on":     drop(&EndDrain{}),
		"a swap without a result":  drop(&Swapped{}),
		"leftovers are not killed": drop(&KillAll{}),
		"the dead stay dead": func(in []Effect, m *Machine) []Effect {
			return slices.DeleteFunc(in, func(e Effect) bool {
				start, ok := e.(*Start)
				return ok && start.Generation == m.Active() && start.Command == nil && start.Generation > 1
			})
		},
		"a sweep of those who have their time": func(in []Effect, m *Machine) []Effect {
			if m.Phase() == Finishing {
				in = append(in, &SweepAll{})
			}
			return in
		},
		"no deadline is armed": func(in []Effect, _ *Machine) []Effect { return in },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				if newWorld(seed+1).run() != nil {
					continue // the machine itself is broken: see TestSimulation
				}
				w := newWorld(seed + 1)
				w.fault, w.unarmed = fault, name == "no deadline is armed"
				if w.run() != nil {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// unarmed says that it has no deadline.
type unarmed struct{ *Machine }

func (unarmed) Deadline() (time.Duration, bool) { return 0, false }

// newest is the number of the generation that was started last.
func newest(m *Machine) int {
	views := m.Views()
	if len(views) == 0 {
		return m.Active()
	}
	return views[len(views)-1].Number
}
