package swap

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// A schedule that breaks a rule is long, and most of it has nothing to do with the
// fault. What is left out of it without the fault's going away is not needed.

// rule is an error without its figures.
func rule(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if _, after, step := strings.Cut(text, ": "); step && strings.HasPrefix(text, "step ") {
		text = after
	}
	text, _, _ = strings.Cut(text, " was waited for until") // late, or never
	text, _, _ = strings.Cut(text, " is waited for")
	text, _, _ = strings.Cut(text, ": [") // what the generations are like
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, text)
}

// shrink finds a short part of a world's events that ends in the same error, and
// returns it as a scenario.
func (w *world) shrink(err error) (scenario string, short error) {
	best := w.replay(w.events, &short)
	if rule(short) != rule(err) {
		return w.scenario(w.events), fmt.Errorf("not the same in a replay: %w", short)
	}
	try := func(events []moment) bool {
		var e error
		done := w.replay(events, &e)
		if rule(e) == rule(err) && len(done) <= len(best) {
			best, short = done, e
			return true
		}
		return false
	}
	for size := len(best) / 2; size > 0; {
		before := len(best)
		for i := 0; i+size <= len(best); {
			had := len(best)
			if try(slices.Delete(slices.Clone(best), i, i+size)); len(best) == had {
				i += size
			}
		}
		if size > 1 || len(best) == before {
			size /= 2
		}
	}
	for _, unit := range []time.Duration{time.Second, 100 * time.Millisecond, time.Millisecond} {
		round := slices.Clone(best)
		for i := range round {
			round[i].at = round[i].at.Round(unit)
		}
		if try(round) {
			break
		}
	}
	return w.scenario(best), short
}

// replay gives a new machine the events and then lets it come to rest: processes say
// nothing any more, but obey KILL. It returns the events up to the error.
func (w *world) replay(events []moment, err *error) []moment {
	w = &world{cfg: w.cfg, m: New(w.cfg, nil), c: newChecker(w.cfg), fault: w.fault, unarmed: w.unarmed}
	for _, next := range events {
		w.now = max(w.now, next.at)
		if _, *err = w.tell(next.event); *err != nil {
			return w.events
		}
	}
	for range 1000 {
		if w.c.over {
			break
		}
		if n := w.c.doomed(); n.generation > 0 {
			_, *err = w.tell(&GenerationEvent{Kind: Exited, Generation: n.generation, Worker: n.worker, Status: Status{Signal: 9}})
		} else if at, armed := w.m.Deadline(); armed {
			w.now = max(w.now, at)
			_, *err = w.tell(&ContainerEvent{Kind: Tick})
		} else if w.c.endless() {
			w.c.all(w.c.active, func(p *part) { p.killed = true }) // by the user
		} else {
			*err = w.c.quiet(w.m)
			break
		}
		if *err != nil {
			break
		}
	}
	return w.events
}

// doomed is the first worker that lives although it, or its generation, has got KILL.
func (c *checker) doomed() (first name) {
	for n, p := range c.parts {
		if p.alive && p.killed && (first.generation == 0 || n.generation < first.generation || n.generation == first.generation && n.worker < first.worker) {
			first = n
		}
	}
	return first
}

// scenario writes events as a scenario, with what the machine says to them.
func (w *world) scenario(events []moment) string {
	var out strings.Builder
	out.WriteString(describeConfig(w.cfg) + "\n")
	m := New(w.cfg, nil)
	for _, next := range events {
		fmt.Fprintf(&out, "at %v %v\n", next.at, next.event)
		for _, line := range describeAll(m.Step(next.at, next.event)) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// What is found is short, and fails as before.
func TestShrink(t *testing.T) {
	for seed := range uint64(100) {
		w := newWorld(seed)
		w.fault = func(in []Effect, _ *Machine) []Effect {
			return slices.DeleteFunc(in, func(e Effect) bool { return kindOf(e) == "sweep" })
		}
		err := w.run()
		if err == nil {
			continue
		}
		scenario, short := w.shrink(err)
		if n := strings.Count(scenario, "\nat "); rule(short) != rule(err) || n > 25 {
			t.Errorf("seed %d: %d events, %v became %d, %v:\n%s", seed, len(w.events), err, n, short, scenario)
		}
		return
	}
	t.Error("no schedule has failed")
}
