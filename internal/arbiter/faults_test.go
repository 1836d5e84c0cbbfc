package arbiter

import (
	"slices"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
)

// TestCheckerCounts breaks the arbiter on purpose, by changing what comes out of it, and
// finds each fault noticed by some schedule of the simulation.
func TestCheckerCounts(t *testing.T) {
	type fault = func([]Effect, *rig) []Effect
	drop := func(which func(Effect) bool) fault {
		return func(in []Effect, _ *rig) []Effect { return slices.DeleteFunc(in, which) }
	}
	kind := func(name string) func(Effect) bool { return func(e Effect) bool { return kindOf(e) == name } }
	notice := func(n Notice) func(Effect) bool {
		return func(e Effect) bool { t, ok := e.(*Tell); return ok && t.Notice == n }
	}
	twice := func(name string) fault {
		return func(in []Effect, _ *rig) (out []Effect) {
			for _, e := range in {
				if out = append(out, e); kindOf(e) == name {
					out = append(out, e)
				}
			}
			return out
		}
	}
	first := func(before func(Effect) bool) fault { // what comes last comes first
		return func(in []Effect, _ *rig) []Effect {
			for i, e := range in {
				if before(e) {
					return append([]Effect{e}, slices.Delete(slices.Clone(in), i, i+1)...)
				}
			}
			return in
		}
	}
	each := func(f func(Effect)) fault {
		return func(in []Effect, _ *rig) []Effect {
			for _, e := range in {
				f(e)
			}
			return in
		}
	}
	faults := map[string]fault{
		"a lost answer":                          drop(kind("answer")),
		"a second answer":                        twice("answer"),
		"a lost reply":                           drop(kind("reply")),
		"a second reply":                         twice("reply"),
		"a lost welcome":                         drop(kind("welcome")),
		"a second welcome":                       twice("welcome"),
		"the traffic stays":                      drop(kind("aim")),
		"nothing is saved":                       drop(kind("save")),
		"saved twice":                            twice("save"),
		"sockets are not dropped":                drop(kind("drop")),
		"the predecessor is not told":            drop(notice(Lost)),
		"the new holder is not told":             drop(notice(Back)),
		"nobody is told to serve":                drop(notice(Serve)),
		"fresh sockets are not asked for":        drop(notice(Renew)),
		"told before the traffic has moved":      first(notice(Lost)),
		"told back before the traffic has moved": first(notice(Back)),
		"granted before the traffic has moved":   first(func(e Effect) bool { a, ok := e.(*Answer); return ok && a.Reason == "" }),
		"a cut out of nothing": func(in []Effect, r *rig) []Effect {
			if r.a.turn != nil {
				in = append(in, &Tell{Session: r.a.turn.session, Notice: Cut})
			}
			return in
		},
		"lost out of nothing": func(in []Effect, r *rig) []Effect {
			if h := r.a.has(); h != nil && r.a.turn != nil {
				in = append(in, &Tell{Session: h.session, Notice: Lost})
			}
			return in
		},
		"the wrong share": each(func(e Effect) {
			if e, ok := e.(*Aim); ok && e.Share < shares.Full {
				e.Share = shares.Full - e.Share + 1
			}
		}),
		"the wrong clients": each(func(e Effect) {
			if e, ok := e.(*Aim); ok && e.Share < shares.Full {
				e.By = "client:bad"
			}
		}),
		"the wrong generation": each(func(e Effect) {
			if e, ok := e.(*Aim); ok && e.To.Generation > 0 {
				e.To.Generation++
			}
		}),
		"the wrong number": each(func(e Effect) {
			if e, ok := e.(*Welcome); ok {
				e.Order++
			}
		}),
		"all are holders": each(func(e Effect) {
			if e, ok := e.(*Welcome); ok {
				e.Role = Holder
			}
		}),
		"all are superseded": each(func(e Effect) {
			if e, ok := e.(*Answer); ok && e.Reason != "" {
				e.Superseded = true
			}
		}),
		"an old epoch": each(func(e Effect) {
			if e, ok := e.(*Save); ok && e.State.Epoch > 2 {
				e.State.Epoch = 1
			}
		}),
		"the holder is not written down": each(func(e Effect) {
			if e, ok := e.(*Save); ok {
				e.State.Holder = ""
			}
		}),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				w := newWorld(seed + 1)
				w.rig.fault = fault
				if w.run() != nil {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// What is found is short, and fails as before.
func TestShrink(t *testing.T) {
	for seed := range uint64(100) {
		w := newWorld(seed)
		w.rig.fault = func(in []Effect, _ *rig) []Effect {
			return slices.DeleteFunc(in, func(e Effect) bool { return kindOf(e) == "drop" })
		}
		err := w.run()
		if err == nil {
			continue
		}
		short := w.rig.shortest(err)
		if _, again := w.rig.replay(short); rule(again) != rule(err) || len(short) > 25 {
			t.Errorf("seed %d: %d events and %v became %d and %v", seed, len(w.rig.record), err, len(short), again)
		}
		return
	}
	t.Error("no schedule has failed")
}
