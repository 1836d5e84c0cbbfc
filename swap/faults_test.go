package swap

import (
	"slices"
	"testing"
	"time"
)

// fault changes what comes out of a machine.
type fault = func([]Effect, *Machine) []Effect

func drop(kind Effect) fault {
	return func(in []Effect, _ *Machine) []Effect {
		return slices.DeleteFunc(in, func(e Effect) bool { return kindOf(e) == kindOf(kind) })
	}
}

func twice(kind Effect) fault {
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

func each(f func(Effect)) fault {
	return func(in []Effect, _ *Machine) []Effect {
		for _, e := range in {
			f(e)
		}
		return in
	}
}

func add(f func(*Machine) Effect) fault {
	return func(in []Effect, m *Machine) []Effect { return append(in, f(m)) }
}

// TestCheckerCounts breaks the machine on purpose, by changing what comes out
// of it, and finds each fault noticed by some schedule of the simulation.
func TestCheckerCounts(t *testing.T) {
	faults := map[string]fault{
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
		"a loss that is not told": func(in []Effect, _ *Machine) []Effect {
			return slices.DeleteFunc(in, func(e Effect) bool { p, ok := e.(*Progress); return ok && p.Stage == StageBack })
		},
		"a death that is none":       add(func(m *Machine) Effect { return &Progress{Stage: StageDied, Other: m.Active()} }),
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
		t.Run(name, func(t *testing.T) { noticed(t, newWorld, fault, name == "no deadline is armed") })
	}
}

// TestMemberCheckerCounts does the same for what is said to a gate.
func TestMemberCheckerCounts(t *testing.T) {
	faults := map[string]fault{
		"nobody asks":                        drop(&Ask{}),
		"asked twice":                        twice(&Ask{}),
		"a turn without an end":              drop(&EndTurn{}),
		"a turn that ends twice":             twice(&EndTurn{}),
		"taken back, and nobody knows":       drop(&Took{}),
		"taken back twice":                   twice(&Took{}),
		"it leaves, and nobody knows":        drop(&Leaving{}),
		"it leaves twice":                    twice(&Leaving{}),
		"retired, and nobody knows":          drop(&NoServer{}),
		"a rollback that nobody hears of":    drop(&GiveBack{}),
		"a rollback that is passed on twice": twice(&GiveBack{}),
		"granted, and not taken":             drop(&CutOver{}),
		"a newcomer's failure is its end":    drop(&SweepAll{}),
		"it leaves because a swap fails": func(in []Effect, m *Machine) []Effect {
			if slices.ContainsFunc(in, func(e Effect) bool { s, ok := e.(*Swapped); return ok && s.Reason != "" }) {
				in = append(in, &Leaving{Died: true})
			}
			return in
		},
		"another generation has the traffic": each(func(e Effect) {
			if e, ok := e.(*Took); ok {
				e.Generation++
			}
		}),
		"none has the traffic": each(func(e Effect) {
			if e, ok := e.(*Took); ok {
				e.Generation = 0
			}
		}),
		"a newcomer asks as if by an operator": each(func(e Effect) {
			if e, ok := e.(*Ask); ok {
				e.Operator = true
			}
		}),
		"asked for another generation": each(func(e Effect) {
			if e, ok := e.(*Ask); ok {
				e.Generation++
			}
		}),
		"asked before it is ready": add(func(m *Machine) Effect {
			return &Ask{Number: m.gate.asked + 1, Generation: newest(m), Share: Full, Operator: true}
		}),
		"traffic that is not its to move":  add(func(m *Machine) Effect { return &Aim{Generation: newest(m), Share: Full} }),
		"not granted":                      add(func(m *Machine) Effect { return &CutOver{Generation: newest(m)} }),
		"retired while it has the traffic": add(func(m *Machine) Effect { return &NoServer{} }),
		"told to stop while it is asked for": func(in []Effect, m *Machine) []Effect {
			if slices.ContainsFunc(in, func(e Effect) bool { return kindOf(e) == "ask" }) && m.Active() > 0 {
				in = append(in, &SignalWorker{Generation: m.Active(), Signal: sigRetire})
			}
			return in
		},
		"a failure with another status": each(func(e Effect) {
			if e, ok := e.(*Exit); ok {
				e.Status = Status{}
			}
		}),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) { noticed(t, newMember, fault, false) })
	}
}

// noticed plays schedules with a fault until one of them fails.
func noticed(t *testing.T, world func(uint64) *world, fault fault, unarmed bool) {
	for seed := range uint64(400) {
		if world(seed+1).run() != nil {
			continue // the machine itself is broken: see the simulation
		}
		w := world(seed + 1)
		w.fault, w.unarmed = fault, unarmed
		if w.run() != nil {
			return
		}
	}
	t.Error("nobody noticed")
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
