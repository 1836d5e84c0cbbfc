package swap

import (
	"errors"
	"fmt"
)

// live looks for waits that are over, or will never be.
func (c *checker) live(m account) error {
	if c.over {
		return nil
	}
	if c.swap.told && !c.swap.stopped && m.Phase() > Delaying {
		c.done(0, "told")
	}
	if len(c.kept) > 1 {
		return fmt.Errorf("more than one predecessor is kept: %v", c.kept)
	}
	if err := c.withoutServer(m); err != nil {
		return err
	}
	if m.Phase() == StopDraining && len(c.watched) == 0 {
		return errors.New("the stop waits for connections, and nobody watches any")
	}
	if c.swap.told && !c.swap.stopped && m.Phase() > StopDraining {
		c.swap.stopped = true
		c.done(0, "stop drained")
		for a, w := range c.waits {
			if a.what == "end" && m.Phase() == StoppingAll && c.cfg.StopTimeout > 0 {
				w.by = min(w.by, c.now+c.cfg.StopTimeout) // which bounds them all
			}
		}
		if m.Phase() == StoppingAll && c.active != foreign && !c.swap.killed[c.active] && !c.exited[c.active] {
			c.expect(limit(c.cfg.StopTimeout), about{what: "end", name: name{c.active, EveryWorker}})
		}
	}
	if m.Phase() >= Finishing { // no swap begins any more
		c.done(0, "room", "prepared")
	}
	for g := range c.alive {
		if c.exited[g] && !c.stopping && !c.sweeping && c.waits[about{what: "leftovers", name: name{g, 0}}] == nil &&
			c.waits[about{what: "gone", name: name{g, 0}}] == nil && c.waits[about{what: "sweep", name: name{g, 0}}] == nil {
			c.expect(0, about{what: "sweep", name: name{g, 0}})
		}
	}
	_, armed := m.Deadline()
	worst := ""
	for a, w := range c.waits {
		text := ""
		switch {
		case !c.waited(a):
			delete(c.waits, a)
		case w.by == unlimited || c.standsStill(a):
		case !armed:
			text = fmt.Sprintf("%v is waited for, and no deadline is armed", a)
		case w.by <= c.now:
			if w.late++; w.late > lateSteps {
				text = fmt.Sprintf("%v was waited for until %v, and nothing was done about it", a, w.by)
			}
		}
		worst = max(worst, text)
	}
	if worst != "" {
		return errors.New(worst)
	}
	return nil
}

// waited reports whether there still is somebody to wait for.
func (c *checker) waited(a about) bool {
	g := a.name.generation
	switch a.what {
	case "end":
		if a.name.worker == EveryWorker {
			return !c.exited[g]
		}
		p := c.parts[a.name]
		return p != nil && p.alive && !c.exited[g]
	case "started again":
		return c.pending[a.name] && !c.stopping
	case "going":
		return c.alive[g] && !c.exited[g] && !c.stopping
	case "settled":
		if c.swap.dismissed == c.active && !c.exited[c.active] {
			return false // that one has its time
		}
		return c.alive[g]
	case "ready", "canary", "kept", "drained", "leftovers", "gone", "sweep":
		return c.alive[g] && !(c.stopping && a.what == "sweep")
	case "passed on":
		return c.swap.successor == g && !c.stopping
	case "released", "given back":
		return !c.exited[g] && !c.stopping
	}
	return true
}

// quiet is what is left when nothing happens any more and no deadline is armed.
func (c *checker) quiet(m account) error {
	switch {
	case c.over:
		return nil
	case c.stopping || c.sweeping:
		if c.sweeping || c.cfg.StopTimeout > 0 {
			return fmt.Errorf("a container that does not end: %v", describeViews(m))
		}
		return nil
	}
	if m.Phase() == Finishing && c.cfg.RetireTimeout == 0 {
		return nil // the active one has ended, others were told to stop and may take as long as they want
	}
	if c.gateHasTheWord() {
		return nil
	}
	living := map[int]int{}
	for n, p := range c.parts {
		if p.alive {
			living[n.generation]++
		}
	}
	for n := range c.pending {
		living[n.generation]++
	}
	for a, w := range c.waits {
		if (a.what == "ready" || a.what == "end" && a.name.generation == c.active) && w.by == unlimited {
			return nil // the swap runs as long as it wants to
		}
	}
	active := 0
	for _, v := range m.Views() {
		if v.State == Active {
			active++
		}
		if living[v.Number] == 0 {
			return fmt.Errorf("Liveness: nobody of generation %d lives, and it is never gone", v.Number)
		}
	}
	if c.active == foreign {
		if err := c.quietWithout(m, active, len(living)); err != nil {
			return err
		}
		active, living[foreign] = 1, 1
	}
	switch {
	case active != 1 || living[c.active] == 0 || m.Active() != c.active:
		return fmt.Errorf("Liveness: it ends with %d active generations, %d workers in generation %d: %v", active, living[c.active], c.active, describeViews(m))
	case m.Swapping() || c.swap.runs:
		return fmt.Errorf("Liveness: a swap that does not end: %v", describeViews(m))
	case len(c.verbs) > 0:
		return fmt.Errorf("Liveness: a rollback or promote is never answered")
	}
	drains := false // the answer may wait for the first look at connections, which has no limit of its own
	for a := range c.waits {
		drains = drains || a.what == "drained"
	}
	for id := range c.asked {
		if !c.answered[id] && !drains {
			return fmt.Errorf("Liveness: request %d is never answered", id)
		}
	}
	return nil
}

// endless: the active generation was told to stop, and has no limit for that.
func (c *checker) endless() bool {
	for a, w := range c.waits {
		if a.what == "end" && a.name.generation == c.active && w.by == unlimited && c.waited(a) {
			return true
		}
	}
	return false
}

// mayStart reports whether a generation in the state of that name may have workers
// started.
func mayStart(state string) bool {
	switch state {
	case "starting", "settling", "ready", "active", "kept", "draining":
		return true
	}
	return false
}
