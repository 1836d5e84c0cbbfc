package swap

import (
	"fmt"
	"strings"
	"time"
)

// part is what the checker knows of a worker.
type part struct {
	alive, ready, told bool
	killed             bool
	born               time.Duration
	loops              int // ends in a row, soon and without readiness
}

// checker watches what goes into a machine and what comes out of it, keeps an
// account of its own, and says which invariant was broken. It shares no code with
// the machine.
type checker struct {
	cfg        Config
	step       int
	now        time.Duration
	last       int          // newest generation started
	alive      map[int]bool // started, not forgotten
	parts      map[name]*part
	pending    map[name]bool // workers that are to be started again
	status     map[int]Status
	exited     map[int]bool          // all its workers are gone for good
	readyAt    map[int]time.Duration // all that were started have said so
	holds      map[int]bool
	failed     map[int]bool
	left       map[int]bool // cut over from: may be told to stop
	early      map[int]bool // ended for a successor that is not ready yet
	aborted    map[int]bool // missed its watchdog
	begun      map[int]int  // the step of its start
	asked      map[uint64]int
	answered   map[uint64]bool
	verbs      map[uint64]bool // rollback and promote
	replacing  int             // requests for a strategy that may end the active one first
	was        map[int]bool    // active at some time
	rolledBack map[int]bool    // the traffic was taken from them by request
	aim        int             // gets the new connections,
	share      int             // or this part of them: the rest is the active generation's
	rolling    bool            // this step's event asked to go back
	active     int
	full       bool          // the active one has had all its workers ready
	crashed    bool          // a worker has died that was not told to, or does not get ready in time
	again      time.Duration // when one of the active generation was started last
	stopping   bool
	sweeping   bool
	over       bool
	waits      map[about]*wait
	swap       swapWaits
	counts     map[string]int
}

func newChecker(cfg Config) *checker {
	cfg.Workers = max(cfg.Workers, 1)
	c := &checker{cfg: cfg, active: 1, aim: 1, share: Full, verbs: map[uint64]bool{}, was: map[int]bool{1: true}, rolledBack: map[int]bool{}, alive: map[int]bool{},
		parts: map[name]*part{}, pending: map[name]bool{}, status: map[int]Status{}, exited: map[int]bool{}, readyAt: map[int]time.Duration{}, holds: map[int]bool{},
		failed: map[int]bool{}, left: map[int]bool{}, early: map[int]bool{}, aborted: map[int]bool{}, begun: map[int]int{}, asked: map[uint64]int{},
		answered: map[uint64]bool{}, counts: map[string]int{}, waits: map[about]*wait{}, swap: swapWaits{killed: map[int]bool{}, killedAt: map[int]time.Duration{}}}
	if cfg.Strategy > Overlap {
		c.replacing++
	}
	return c
}

// all calls f with the workers of generation g that were started.
func (c *checker) all(g int, f func(*part)) {
	for k := range c.cfg.Workers {
		if p := c.parts[name{g, k}]; p != nil {
			f(p)
		}
	}
}

// in notes an event before it goes into the machine.
func (c *checker) in(now time.Duration, e Event) {
	c.step++
	c.now = now
	c.rolling = false
	switch e := e.(type) {
	case *GenerationEvent:
		c.generationEvent(e)
	case *ContainerEvent:
		c.containerEvent(e)
	}
	c.heard(e)
}

func (c *checker) generationEvent(e *GenerationEvent) {
	g := e.Generation
	switch e.Kind {
	case Ready:
		p := c.parts[name{g, e.Worker}]
		if p == nil || !p.alive || c.sweeping {
			return
		}
		p.ready, p.loops = true, 0
		c.whole(g)
	case Verified:
		if _, ok := c.readyAt[g]; ok {
			c.holds[g] = true
		}
	case Exited, StartFailed:
		p := c.parts[name{g, e.Worker}]
		if p == nil || !p.alive || c.sweeping {
			return
		}
		if !p.told {
			c.crashed = true
		}
		if p.loops++; p.ready || c.now-p.born >= time.Minute {
			p.loops = 0
		}
		p.alive, p.ready = false, false
		if !c.exited[g] {
			c.status[g] = e.Status
		}
		c.lives(g)
	}
}

func (c *checker) containerEvent(e *ContainerEvent) {
	c.rolling = e.Kind == Rollback
	switch e.Kind {
	case Rollback, Cancel, Promote:
		c.verbs[e.Request.ID] = true
	case Stop:
		c.stopping = true
	case Swap:
		if e.Request.ID != 0 {
			c.asked[e.Request.ID] = c.step
		}
		if e.Request.Strategy > Overlap || e.Request.Force {
			c.replacing++ // it may wait for long
		}
	}
}

// lives notes when none of g lives any more.
func (c *checker) lives(g int) {
	living := false
	c.all(g, func(p *part) { living = living || p.alive })
	for k := range c.cfg.Workers {
		living = living || c.pending[name{g, k}]
	}
	if !living {
		c.exited[g] = true
	}
}

// whole notes when all workers of g that were started are ready.
func (c *checker) whole(g int) {
	n, ready := 0, 0
	c.all(g, func(p *part) {
		n++
		if p.ready {
			ready++
		}
	})
	if _, ok := c.readyAt[g]; !ok && n == ready {
		c.readyAt[g] = c.now
	}
	if g == c.active && ready == c.cfg.Workers {
		c.full = true
	}
}

// account is what a machine says of itself.
type account interface {
	Views() []View
	Deadline() (time.Duration, bool)
	Phase() Phase
	Active() int
	Swapping() bool
}

// out looks at what came out, and at the machine's own account of itself.
func (c *checker) out(effects []Effect, m account) error {
	for _, e := range effects {
		if err := c.effect(e); err != nil {
			return fmt.Errorf("step %d at %v: %w: %s", c.step, c.now, err, describe(e))
		}
		c.promised(e)
		c.counts[kindOf(e)]++
	}
	if err := c.views(m.Views()); err != nil {
		return fmt.Errorf("step %d at %v: %w", c.step, c.now, err)
	}
	if err := c.live(m); err != nil {
		return fmt.Errorf("step %d at %v: Liveness: %w", c.step, c.now, err)
	}
	return c.capacity()
}

// views: what the machine says of its generations.
func (c *checker) views(views []View) error {
	successors, active := 0, 0
	for _, v := range views {
		switch v.State {
		case Starting, Settling:
			successors++
		case Active:
			active++
		}
	}
	if successors > 1 || active > 1 {
		return fmt.Errorf("OneSwapAtATime: %d successors, %d active in %v", successors, active, views)
	}
	for _, v := range views {
		if !c.stopping && !c.sweeping && !c.exited[v.Number] && (v.Number == c.active || successors == 1 && (v.State == Starting || v.State == Settling)) {
			// Somebody lives who could have the traffic.
			if c.exited[c.aim] && c.aim != c.active || !c.alive[c.aim] {
				return fmt.Errorf("AlwaysAccepting: connections go to generation %d, which is dead, though %v", c.aim, views)
			}
		}
	}
	return nil
}

// capacity: never fewer than Workers ready processes, unless a crash took them
// or the strategy ends the predecessor first.
func (c *checker) capacity() error {
	if !c.full || c.crashed || c.stopping || c.sweeping || c.replacing > 0 || len(c.aborted) > 0 {
		return nil
	}
	n := 0
	for _, p := range c.parts {
		if p.alive && p.ready && !p.told {
			n++
		}
	}
	if n < c.cfg.Workers {
		return fmt.Errorf("step %d: %d of %d workers are ready, and none has crashed", c.step, n, c.cfg.Workers)
	}
	return nil
}

// aimed: generations must not be touched while connections go to them.
func (c *checker) aimed(g int) bool {
	return !c.stopping && !c.sweeping && !c.exited[c.active] && !c.early[c.active] && (g == c.aim || g == c.active && c.share < Full)
}

// replaced: worker k of the active generation has a ready one in its place.
func (c *checker) replaced(g, k int) bool {
	ready := 0
	c.all(c.aim, func(p *part) {
		if p.ready {
			ready++
		}
	})
	return g == c.active && c.aim != g && c.share < Full && k < ready && c.cfg.Batch < c.cfg.Workers
}

func (c *checker) effect(e Effect) error {
	if c.over {
		return fmt.Errorf("an effect after the exit")
	}
	switch e := e.(type) {
	case *Start:
		return c.start(e)
	case *Progress:
		g := e.Generation
		switch {
		case e.ID != 0:
		case e.Stage == StageFailed:
			c.failed[g] = true
		case e.Stage == StageBatch: // those that it replaces are not started again
			n := 0
			fmt.Sscan(e.Detail, &n)
			for k := range n {
				delete(c.pending, name{c.active, k})
			}
			c.lives(c.active)
		case e.Stage == StageHung:
			c.aborted[g] = true
		case e.Stage == StageStopping && e.Other == c.active && c.replacing > 0:
			c.early[e.Other] = true
		case e.Stage == StageBack && !c.was[g]:
			if !c.exited[c.active] && !c.survived(c.active) || !c.early[c.active] {
				return fmt.Errorf("the previous command is started again without need")
			}
			c.active, c.was[g], c.full = g, true, false
		case e.Stage == StageRespawn && strings.Contains(e.Detail, "given up"):
			c.exited[g] = true
		case e.Stage == StageRespawn:
			if c.parts[name{g, e.Worker}].loops >= 5 {
				return fmt.Errorf("a crash loop that does not end")
			}
			c.pending[name{g, e.Worker}] = true
			delete(c.exited, g)
		}
	case *SignalWorker:
		return c.signal(e.Generation, e.Worker, e.Signal)
	case *KillWorker:
		return c.signal(e.Generation, e.Worker, sigKill)
	case *Kill:
		return c.signal(e.Generation, EveryWorker, sigKill)
	case *Aim:
		return c.aimAt(e)
	case *Drain:
		c.givenUp(e.Generation)
	case *Sweep:
		if c.aimed(e.Generation) {
			return fmt.Errorf("it is swept while connections go to it")
		}
	case *CutOver:
		return c.cutOver(e)
	case *Reply:
		return c.reply(e)
	case *Forget:
		delete(c.alive, e.Generation)
	case *Transition:
		g := e.Generation
		if e.From == Draining.String() || e.From == Kept.String() {
			c.givenUp(g)
		}
		if !mayStart(e.To) { // nothing of it is started again
			for k := range c.cfg.Workers {
				delete(c.pending, name{g, k})
			}
			c.lives(g)
		}
	case *SweepAll:
		for n, p := range c.parts {
			if p.alive && !c.exited[n.generation] && !c.survived(n.generation) {
				return fmt.Errorf("generation %d is swept with what is left, although it has a time of its own", n.generation)
			}
		}
		c.sweeping = true
		if !c.exited[c.active] {
			return fmt.Errorf("everything is ended although the active generation %d lives", c.active)
		}
		for g := range c.alive {
			if !c.stopping && c.couldServe(g) {
				return fmt.Errorf("the container ends although generation %d could take over", g)
			}
		}
		if c.early[c.active] && !c.stopping {
			return fmt.Errorf("the container ends because of a swap")
		}
	case *Exit:
		c.over = true
		if !c.sweeping {
			return fmt.Errorf("NobodyLeftBehind: exit without a sweep")
		}
		if !c.swap.empty {
			return fmt.Errorf("NobodyLeftBehind: what is left has not got KILL")
		}
		if want := c.status[c.active]; e.Status != want {
			return fmt.Errorf("FaithfulExit: generation %d %v", c.active, want)
		}
		for id := range c.asked {
			if !c.answered[id] {
				return fmt.Errorf("OneSwapAtATime: request %d was never answered", id)
			}
		}
		if len(c.verbs) > 0 {
			return fmt.Errorf("a rollback or promote was never answered")
		}
	}
	return nil
}

// everyEffect has one of each type.
var everyEffect = []Effect{&Prepare{}, &Start{}, &SignalWorker{}, &Kill{}, &KillWorker{}, &Takedown{}, &Go{}, &Verify{}, &Aim{}, &CutOver{}, &Drain{},
	&EndDrain{}, &Sweep{}, &Forget{}, &SweepAll{}, &KillAll{}, &Reply{}, &Progress{}, &Swapped{}, &Transition{}, &Exit{}}
