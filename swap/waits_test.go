package swap

import (
	"fmt"
	"math"
	"slices"
	"strconv"
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

func (a about) String() string {
	out := a.what
	if a.name.generation > 0 {
		out += fmt.Sprintf(" of generation %d, worker %d", a.name.generation, a.name.worker)
	}
	if a.resource != "" {
		out += " " + strconv.Quote(a.resource)
	}
	return out
}

// wait is over at its time at the latest.
type wait struct {
	by    time.Duration
	begun time.Duration
	late  int // steps since its time
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
	lent          []about       // to a successor
	dismissed     int           // the active one, when it was told to stop for it
	forced        int           // the step in which the active one was told to stop for it
	told          bool          // the container was told to stop
	stopped       bool          // and its generations
	empty         bool          // nothing is left, or all of it has got KILL
	killed        map[int]bool
	killedAt      map[int]time.Duration
	prepared      int // the latest that was asked for
}

func (c *checker) expect(within time.Duration, a about) {
	by := unlimited
	if within < unlimited {
		by = c.now + within
	}
	c.waits[a] = &wait{by: by, begun: c.now}
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

// settles: a successor that is ready is waited for again.
func (c *checker) settles() {
	if g := c.swap.successor; g != 0 && c.waits[about{what: "ready", name: name{g, 0}}] == nil {
		if _, whole := c.readyAt[g]; whole {
			c.expect(c.cfg.Settle+10*time.Second, about{what: "settled", name: name{g, 0}})
		}
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
			if a := (about{"released", name{g, 0}, e.Resource}); c.waits[a] != nil {
				delete(c.waits, a)
				c.expect(0, about{"passed on", name{c.swap.successor, 0}, e.Resource})
			}
		case Drained:
			if a := (about{what: "drained", name: name{g, 0}}); c.waits[a] != nil {
				c.expect(0, a)
			}
			if a := (about{what: "stop drained"}); c.waits[a] != nil && c.idleBut(g) {
				c.expect(0, a)
			}
		case Swept:
			if gone := (about{what: "gone", name: name{g, 0}}); c.exited[g] && (c.waits[gone] != nil || c.waits[about{what: "leftovers", name: name{g, 0}}] != nil) {
				c.expect(0, gone)
			}
		case Extend:
			for a, w := range c.waits {
				if a.name.generation == g && w.by < unlimited && (a.what == "ready" || a.what == "end") {
					w.by = max(w.by, c.now+e.Duration)
				}
			}
		}
	case *ContainerEvent:
		switch e.Kind {
		case NothingLeft:
			if c.sweeping {
				c.swap.empty = true
				c.expect(0, about{what: "exit"})
			}
		case Prepared:
			if c.waits[about{what: "prepared"}] != nil && e.Swap == c.swap.prepared {
				c.done(0, "prepared")
				c.room()
			}
		case Stop:
			c.done(0, "prepared", "room")
			c.swap.lent = nil
			if !c.swap.told && !c.sweeping {
				c.swap.told = true
				if c.active == foreign {
					c.expect(0, about{what: "told"}) // nobody sends it connections
				} else {
					c.expect(c.cfg.StopDelay, about{what: "told"})
				}
			}
		case Swap:
			c.swap.ready = max(c.swap.ready, e.Request.Timeout, limit(c.cfg.ReadyTimeout))
			for _, stage := range append(e.Request.Canary, c.cfg.Canary...) {
				c.swap.stage = max(c.swap.stage, stage.For)
			}
			if !c.stopping && !c.sweeping {
				c.swap.follows = c.swap.runs
				if c.swap.runs = true; !c.swap.follows {
					c.room()
				}
			}
		}
	}
}

// promised notes what an effect asks for, and what it is the answer to.
func (c *checker) promised(e Effect) {
	switch e := e.(type) {
	case *Prepare:
		c.done(0, "room")
		c.swap.prepared = e.Swap
		c.expect(limit(c.cfg.PrepareTimeout), about{what: "prepared"})
	case *Swapped:
		c.done(0, "prepared", "room")
		c.done(c.active, "released")
	case *Start:
		for a := range c.waits {
			if a.what == "going" && e.Generation == c.active {
				c.goes(a.name.generation) // it serves until that one is back
			}
		}
		if g := e.Generation; !c.was[g] && !c.failed[g] {
			c.swap.successor = g
			c.done(0, "room")
			c.done(g, "settled")
			c.expect(c.swap.ready, about{what: "ready", name: name{g, 0}})
		}
	case *Progress:
		if e.ID == 0 {
			c.stage(e)
		}
	case *Go:
		a := about{"passed on", name{e.Generation, 0}, e.Resource}
		if c.waits[a] != nil {
			c.swap.lent = append(c.swap.lent, a)
		}
		delete(c.waits, a)
		delete(c.waits, about{"given back", name{e.Generation, 0}, e.Resource})
	case *Forget:
		c.givenBack(e.Generation)
	case *CutOver:
		c.swap.lent = nil
		c.risen(e.Generation)
		c.done(e.Predecessor, "released")
	case *Takedown:
		c.expect(10*time.Second, about{"released", name{e.Generation, 0}, e.Resource})
		if c.waits[about{what: "settled", name: name{c.swap.successor, 0}}] != nil {
			c.settles()
		}
	case *Ask:
		if e.Share == 0 {
			c.done(0, "room")
		}
		c.done(e.Generation, "settled", "canary")
	case *Drain:
		c.done(e.Generation, "kept", "going")
		if e.Generation == c.active {
			c.expect(c.cfg.StopDrain, about{what: "stop drained"})
			break
		}
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
		if g == c.active && c.swap.runs && c.swap.successor == 0 && c.swap.forced == c.step && !c.stopping {
			c.expect(time.Minute, about{what: "room"}) // it may survive even that
		}
		if c.exited[g] {
			c.expect(5*time.Second, about{what: "gone", name: name{g, 0}})
		}
	case *Transition:
		if e.Generation == 0 {
			if e.To == noRollout.String() {
				if c.swap.runs, c.swap.follows = c.swap.follows, false; c.swap.runs && !c.stopping {
					c.room()
				}
			}
			return
		}
		if (e.To == Leftovers.String() || e.To == KilledLeftovers.String()) && e.Generation == c.active {
			c.settles()
		}
		if !mayStart(e.To) {
			c.done(e.Generation, "kept", "released", "going")
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
		c.swap.empty = true
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
	case StageStopping:
		if e.Other == c.active {
			c.done(0, "room") // that one has its time, or is killed at once
			c.swap.dismissed = e.Other
			c.swap.forced = c.step
		}
	case StageFailed:
		c.risen(g)
		c.goes(g)
	case StageBack:
		if g == foreign {
			return
		}
		c.risen(g)
		c.done(g, "kept", "drained")
	}
}

// givenBack: the active generation may use again what it has released for a successor
// that has failed, once that is gone.
func (c *checker) givenBack(g int) {
	told := c.exited[c.active]
	c.all(c.active, func(p *part) { told = told || p.told })
	for _, a := range c.swap.lent {
		if a.name.generation == g && !told {
			c.expect(0, about{"given back", name{c.active, 0}, a.resource})
		}
	}
	c.swap.lent = slices.DeleteFunc(c.swap.lent, func(a about) bool { return a.name.generation == g })
}

// room: a successor is to be started soon, or the swap is over.
func (c *checker) room() {
	within := time.Minute
	if c.swap.ready < unlimited {
		within = max(within, c.swap.ready)
	}
	c.expect(within, about{what: "room"})
}

// goes: a successor that has failed goes, at the latest when the workers that it has
// replaced could have been ready.
func (c *checker) goes(g int) {
	within := c.cfg.ReadyTimeout
	if within == 0 {
		within = time.Minute
	}
	c.expect(within, about{what: "going", name: name{g, 0}})
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

// survived: g has got KILL and lives on; nobody waits for it any longer.
func (c *checker) survived(g int) bool {
	return c.swap.killed[g] && c.now >= c.swap.killedAt[g]+abandon
}
