package swap

import (
	"testing"
	"time"
)

// TestCheckerCounts breaks the machine on purpose, by changing what comes out
// of it, and finds each fault noticed.
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
		"cut over before ready": add(func(m *Machine) Effect { return &CutOver{Generation: m.last, Predecessor: m.Active()} }),
		"a canary before ready": add(func(m *Machine) Effect { return &Aim{Generation: m.last, Rest: m.Active(), Share: 100} }),
		"traffic back without need": func(in []Effect, m *Machine) []Effect {
			if m.Active() > 1 {
				in = append(in, &CutOver{Generation: 1})
			}
			return in
		},
		"traffic left with the dead": drop(&CutOver{}),
		"a lost rollback":            func(in []Effect, _ *Machine) []Effect { return in },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				w := newWorld(seed + 1)
				if w.run() != nil {
					t.Fatal("the machine itself is broken: see TestSimulation")
				}
				w = newWorld(seed + 1)
				w.c = newChecker(w.cfg)
				if name == "a lost rollback" {
					w.c.verbs[99] = true
				}
				if w.runWith(fault) != nil {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// runWith is a short schedule in which every step's effects go through fault.
func (w *world) runWith(fault func([]Effect, *Machine) []Effect) error {
	for _, e := range []Event{&ContainerEvent{Kind: Tick}, &ContainerEvent{Kind: Swap, Request: Request{ID: 1}},
		&GenerationEvent{Kind: Started, Generation: 2}, &GenerationEvent{Kind: Exited, Generation: 2, Status: Status{Code: 1}},
		&GenerationEvent{Kind: Swept, Generation: 2}, &ContainerEvent{Kind: Swap, Request: Request{ID: 2}},
		&GenerationEvent{Kind: Ready, Generation: 3}, &GenerationEvent{Kind: Verified, Generation: 3}, &ContainerEvent{Kind: Tick},
		&GenerationEvent{Kind: Exited, Generation: 3, Status: Status{Code: 9}}, &GenerationEvent{Kind: Exited, Generation: 1},
		&ContainerEvent{Kind: NothingLeft}} {
		w.c.in(w.now, e)
		if err := w.c.out(fault(w.m.Step(w.now, e), w.m), w.m.Views()); err != nil {
			return err
		}
		w.now += 500 * time.Millisecond
	}
	return nil
}
