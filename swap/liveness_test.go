package swap

import (
	"fmt"
	"math"
	"time"
)

// Liveness, as the checker sees it: whatever the machine asks for or promises has a
// time at which it goes on without an answer, and a deadline armed for it, unless the
// configuration sets no limit. So nobody waits for ever, and a generation of which
// nobody lives is gone soon.

// about names a wait: for what, and of whom.
type about struct {
	what     string
	name     name
	resource string
}

// wait is over at its time at the latest.
type wait struct {
	by   time.Duration
	late int // steps since then
}

const (
	unlimited = time.Duration(math.MaxInt64)
	lateSteps = 10 // in a row with a passed deadline, as several may have passed at once
)

// swapWaits is what the checker knows of the swap that runs.
type swapWaits struct {
	runs, follows bool          // a swap, and one more after it
	successor     int           // that is neither active nor failed
	ready         time.Duration // the longest time to become ready that was asked for
	stage         time.Duration // the longest stage of a canary
	told          bool          // the container was told to stop
	stopped       bool          // and its generations
	prepared      int           // the latest that was asked for
	killed        map[int]bool
	killedAt      map[int]time.Duration
}

func (c *checker) expect(within time.Duration, a about) {
	by := unlimited
	if within < unlimited {
		by = c.now + within
	}
	c.waits[a] = &wait{by: by}
}

// limit is a setting of which 0 means that there is none.
func limit(d time.Duration) time.Duration {
	if d == 0 {
		return unlimited
	}
	return d
}

// done ends the waits for what of a generation, or of all its workers.
func (c *checker) done(g int, whats ...string) {
	for a := range c.waits {
		for _, what := range whats {
			if a.name.generation == g && a.what == what {
				delete(c.waits, a)
			}
		}
	}
}

// risen ends what a successor was waited for.
func (c *checker) risen(g int) {
	c.done(g, "ready", "settled", "canary")
	if c.swap.successor == g {
		c.swap.successor = 0
	}
}

// heard notes an event that answers a question, or begins a wait.
func (c *checker) heard(e Event) {
	switch e := e.(type) {
	case *GenerationEvent:
		g := e.Generation
		switch e.Kind {
		case Ready:
			if _, whole := c.readyAt[g]; whole && c.swap.successor == g && c.waits[about{what: "ready", name: name{g, 0}}] != nil {
				c.done(g, "ready")
				c.expect(c.cfg.Settle+10*time.Second, about{what: "settled", name: name{g, 0}})
			}
		case Exited, StartFailed:
			delete(c.waits, about{what: "end", name: name{g, e.Worker}})
		case Released:
			delete(c.waits, about{"released", name{g, 0}, e.Resource})
		case Extend:
			for a, w := range c.waits {
				if a.name.generation == g && w.by < unlimited && (a.what == "ready" || a.what == "end") {
					w.by = max(w.by, c.now+e.Duration)
				}
			}
		}
	case *ContainerEvent:
		switch e.Kind {
		case Prepared:
			if e.Swap == c.swap.prepared {
				c.done(0, "prepared")
			}
		case Stop:
			c.done(0, "prepared")
			if !c.swap.told && !c.sweeping {
				c.swap.told = true
				c.expect(c.cfg.StopDelay, about{what: "told"})
			}
		case Swap:
			c.swap.ready = max(c.swap.ready, e.Request.Timeout, limit(c.cfg.ReadyTimeout))
			for _, stage := range append(e.Request.Canary, c.cfg.Canary...) {
				c.swap.stage = max(c.swap.stage, stage.For)
			}
			if !c.stopping && !c.sweeping {
				c.swap.follows = c.swap.runs
				c.swap.runs = true
			}
		}
	}
}

// promised notes what an effect asks for, and what it is the answer to.
func (c *checker) promised(e Effect) {
	switch e := e.(type) {
	case *Prepare:
		c.swap.prepared = e.Swap
		c.expect(limit(c.cfg.PrepareTimeout), about{what: "prepared"})
	case *Swapped:
		c.done(0, "prepared")
		c.done(c.active, "released")
	case *Start:
		if g := e.Generation; !c.was[g] && !c.failed[g] {
			c.swap.successor = g
			c.done(g, "settled")
			c.expect(c.swap.ready, about{what: "ready", name: name{g, 0}})
		}
	case *Progress:
		if e.ID == 0 {
			c.stage(e)
		}
	case *CutOver:
		c.risen(e.Generation)
		c.done(e.Predecessor, "released")
	case *Takedown:
		c.expect(10*time.Second, about{"released", name{e.Generation, 0}, e.Resource})
	case *Drain:
		c.done(e.Generation, "kept")
		c.expect(limit(c.cfg.DrainTimeout), about{what: "drained", name: name{e.Generation, 0}})
	case *EndDrain:
		c.done(e.Generation, "drained")
	case *SignalWorker:
		c.mayEnd(e)
	case *KillWorker:
		delete(c.waits, about{what: "end", name: name{e.Generation, e.Worker}})
	case *Kill:
		g := e.Generation
		if !c.swap.killed[g] {
			c.swap.killed[g], c.swap.killedAt[g] = true, c.now
		}
		c.done(g, "end", "leftovers", "released")
		if c.exited[g] {
			c.expect(5*time.Second, about{what: "gone", name: name{g, 0}})
		}
	case *Transition:
		if e.Generation == 0 && e.To == noRollout.String() {
			c.swap.runs, c.swap.follows = c.swap.follows, false
			return
		}
		if !mayStart(e.To) {
			c.done(e.Generation, "kept", "released")
		}
	case *Sweep:
		g := e.Generation
		c.done(g, "sweep")
		if c.swap.killed[g] {
			c.expect(5*time.Second, about{what: "gone", name: name{g, 0}})
		} else {
			c.expect(c.cfg.LeftoverTimeout, about{what: "leftovers", name: name{g, 0}})
		}
	case *SweepAll:
		clear(c.waits)
		c.expect(c.cfg.LeftoverTimeout, about{what: "all leftovers"})
	case *KillAll:
		clear(c.waits)
		c.expect(5*time.Second, about{what: "exit"})
	case *Exit:
		clear(c.waits)
	}
}

func (c *checker) stage(e *Progress) {
	g := e.Generation
	switch e.Stage {
	case StageRespawn:
		c.expect(30*time.Second, about{what: "started again", name: name{g, e.Worker}})
	case StageCanary:
		c.done(g, "settled")
		c.expect(c.swap.stage, about{what: "canary", name: name{g, 0}})
	case StageBatch:
		c.done(g, "settled")
	case StageKept:
		c.expect(c.cfg.Keep, about{what: "kept", name: name{e.Other, 0}})
	case StageFailed:
		c.risen(g)
	case StageBack:
		c.risen(g)
		c.done(g, "kept", "drained")
	}
}

// mayEnd begins the time that a worker gets between a signal that ends it and KILL.
func (c *checker) mayEnd(e *SignalWorker) {
	a := about{what: "end", name: name{e.Generation, e.Worker}}
	if c.swap.killed[e.Generation] {
		return // that was its end already
	}
	switch e.Signal {
	case c.cfg.AbortSignal:
		c.expect(5*time.Second, a)
	case c.cfg.RetireSignal:
		within := limit(c.cfg.RetireTimeout)
		if c.failed[e.Generation] {
			within = max(within, c.cfg.LeftoverTimeout)
		}
		c.expect(within, a)
	case c.cfg.StopSignal:
		if w := c.waits[a]; c.stopping && (w == nil || w.by == unlimited) {
			c.expect(limit(c.cfg.StopTimeout), a)
		}
	}
}

// live looks for waits that are over, or will never be.
func (c *checker) live(m account) error {
	if c.over {
		return nil
	}
	if c.swap.told && !c.swap.stopped && m.Phase() > Delaying {
		c.swap.stopped = true
		c.done(0, "told")
		if m.Phase() == StoppingAll && !c.swap.killed[c.active] && !c.exited[c.active] {
			c.expect(limit(c.cfg.StopTimeout), about{what: "end", name: name{c.active, EveryWorker}})
		}
	}
	for g := range c.alive {
		if c.exited[g] && !c.stopping && !c.sweeping && c.waits[about{what: "leftovers", name: name{g, 0}}] == nil &&
			c.waits[about{what: "gone", name: name{g, 0}}] == nil && c.waits[about{what: "sweep", name: name{g, 0}}] == nil {
			c.expect(0, about{what: "sweep", name: name{g, 0}})
		}
	}
	next, armed := m.Deadline()
	for a, w := range c.waits {
		switch {
		case !c.waited(a):
			delete(c.waits, a)
		case w.by == unlimited:
		case !armed:
			return fmt.Errorf("%+v is waited for, and no deadline is armed", a)
		case w.by <= c.now:
			if w.late++; w.late > lateSteps {
				return fmt.Errorf("%+v was waited for until %v, and nothing was done about it (the next deadline is %v)", a, w.by, next)
			}
		}
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
	case "ready", "settled", "canary", "kept", "drained", "leftovers", "gone", "sweep":
		return c.alive[g] && !(c.stopping && a.what == "sweep")
	case "released":
		return !c.exited[g] && !c.stopping
	}
	return true
}

// quiet is what is left when nothing happens any more and no deadline is armed.
func (c *checker) quiet(m account) error {
	if c.over || c.stopping || c.sweeping {
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
		if a.what == "ready" && w.by == unlimited {
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

// survived: g has got KILL and lives on; nobody waits for it any longer.
func (c *checker) survived(g int) bool {
	return c.swap.killed[g] && c.now >= c.swap.killedAt[g]+abandon
}
