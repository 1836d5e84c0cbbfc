package swap

import (
	"fmt"
	"strings"
	"unicode"
)

// A schedule that breaks a rule is long, and most of it has nothing to do with the
// fault. What is left out of it without the fault's going away is not needed.

// rule is an error without its figures.
func rule(err error) string {
	if err == nil {
		return ""
	}
	_, text, _ := strings.Cut(err.Error(), ": ")
	text, _, _ = strings.Cut(text, " was waited for until") // late, or never
	text, _, _ = strings.Cut(text, " is waited for")
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, text)
}

// shrink finds a short part of the events that ends in the same error.
func shrink(cfg Config, events []moment, err error) ([]moment, error) {
	found, short := replay(cfg, events)
	if rule(short) != rule(err) {
		return events, fmt.Errorf("not the same in a replay: %w", err)
	}
	for size := len(found) / 2; size > 0; {
		removed := false
		for i := 0; i+size <= len(found); {
			rest := append(append([]moment(nil), found[:i]...), found[i+size:]...)
			if all, e := replay(cfg, rest); rule(e) == rule(err) && len(all) < len(found) {
				found, short, removed = all, e, true
			} else {
				i += size
			}
		}
		if size > 1 || !removed {
			size /= 2
		}
	}
	return found, short
}

// replay gives a machine the events and then lets it come to rest: processes say
// nothing any more, but obey KILL. It returns the events up to the error.
func replay(cfg Config, events []moment) (done []moment, err error) {
	w := &world{cfg: cfg, m: New(cfg, nil), c: newChecker(cfg)}
	step := func(e Event) error {
		done = append(done, moment{w.now, e})
		w.c.in(w.now, e)
		return w.c.out(w.m.Step(w.now, e), w.m)
	}
	for _, next := range events {
		w.now = next.at
		if err := step(next.event); err != nil {
			return done, err
		}
	}
	for range 1000 {
		if w.c.over {
			return done, nil
		}
		if n := w.c.doomed(); n.generation > 0 {
			err = step(&GenerationEvent{Kind: Exited, Generation: n.generation, Worker: n.worker, Status: Status{Signal: 9}})
		} else if at, armed := w.m.Deadline(); armed {
			w.now = max(w.now, at)
			err = step(&ContainerEvent{Kind: Tick})
		} else if w.c.endless() {
			w.c.all(w.c.active, func(p *part) { p.killed = true }) // by the user
		} else {
			return done, w.c.quiet(w.m)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// doomed is a worker that lives although it, or its generation, has got KILL.
func (c *checker) doomed() name {
	for n, p := range c.parts {
		if p.alive && p.killed {
			return n
		}
	}
	return name{}
}

// scenarioOf writes events as a scenario, with what the machine says to them.
func scenarioOf(cfg Config, events []moment) string {
	var out strings.Builder
	out.WriteString(describeConfig(cfg) + "\n")
	m := New(cfg, nil)
	for _, next := range events {
		fmt.Fprintf(&out, "at %v %v\n", next.at, next.event)
		for _, line := range describeAll(m.Step(next.at, next.event)) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}
