package swap

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// part is what the checker knows of a worker.
type part struct {
	alive, ready, told bool
	born               time.Duration
	loops              int // ends in a row, soon and without readiness
}

// checker watches what goes into a machine and what comes out of it, keeps its
// own books, and says which invariant was broken. It shares no code with the
// machine.
type checker struct {
	cfg      Config
	step     int
	now      time.Duration
	last     int          // newest generation started
	alive    map[int]bool // started, not forgotten
	parts    map[name]*part
	pending  map[name]bool // workers that are to be started again
	status   map[int]Status
	exited   map[int]bool          // all its workers are gone for good
	readyAt  map[int]time.Duration // all that were started have said so
	holds    map[int]bool
	failed   map[int]bool
	left     map[int]bool // cut over from: may be told to stop
	cleared  map[int]bool // ended for a successor that is not ready yet
	aborted  map[int]bool // missed its watchdog
	begun    map[int]int  // the step of its start
	asked    map[uint64]int
	answered map[uint64]bool
	verbs    map[uint64]bool // rollback and promote
	clearing int             // requests for a strategy that may end the active one first
	was      map[int]bool    // active at some time
	unfit    map[int]bool    // rolled back from
	aim      int             // gets the new connections,
	share    int             // or this part of them: the rest is the active generation's
	rolling  bool            // this step's event asked to go back
	active   int
	full     bool          // the active one has had all its workers ready
	crashed  bool          // a worker has died that was not told to, or does not get ready in time
	again    time.Duration // when one of the active generation was started last
	stopping bool
	sweeping bool
	over     bool
	counts   map[string]int
}

func newChecker(cfg Config) *checker {
	cfg.Workers = max(cfg.Workers, 1)
	c := &checker{cfg: cfg, active: 1, aim: 1, share: Full, verbs: map[uint64]bool{}, was: map[int]bool{1: true}, unfit: map[int]bool{}, alive: map[int]bool{},
		parts: map[name]*part{}, pending: map[name]bool{}, status: map[int]Status{}, exited: map[int]bool{}, readyAt: map[int]time.Duration{}, holds: map[int]bool{},
		failed: map[int]bool{}, left: map[int]bool{}, cleared: map[int]bool{}, aborted: map[int]bool{}, begun: map[int]int{}, asked: map[uint64]int{},
		answered: map[uint64]bool{}, counts: map[string]int{}}
	if cfg.Strategy > Overlap {
		c.clearing++
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
	case Rollback, Promote:
		c.verbs[e.Request.ID] = true
	case Stop:
		c.stopping = true
	case Swap:
		if e.Request.ID != 0 {
			c.asked[e.Request.ID] = c.step
		}
		if e.Request.Strategy > Overlap || e.Request.Force {
			c.clearing++ // it may wait for long
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

// out looks at what came out, and at the machine's own account of itself.
func (c *checker) out(effects []Effect, views []View) error {
	for _, e := range effects {
		if err := c.effect(e); err != nil {
			return fmt.Errorf("step %d at %v: %w: %s", c.step, c.now, err, describe(e))
		}
		c.counts[kindOf(e)]++
	}
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
		return fmt.Errorf("step %d: OneSwapAtATime: %d successors, %d active in %v", c.step, successors, active, views)
	}
	for _, v := range views {
		if !c.stopping && !c.sweeping && !c.exited[v.Number] && (v.Number == c.active || successors == 1 && (v.State == Starting || v.State == Settling)) {
			// Somebody lives who could have the traffic.
			if c.exited[c.aim] && c.aim != c.active || !c.alive[c.aim] {
				return fmt.Errorf("step %d: AlwaysAccepting: connections go to generation %d, which is dead, though %v", c.step, c.aim, views)
			}
		}
	}
	return c.capacity()
}

// capacity: never fewer than Workers ready processes, unless a crash took them
// or the strategy ends the predecessor first.
func (c *checker) capacity() error {
	if !c.full || c.crashed || c.stopping || c.sweeping || c.clearing > 0 || len(c.aborted) > 0 {
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
	return !c.stopping && !c.sweeping && !c.exited[c.active] && !c.cleared[c.active] && (g == c.aim || g == c.active && c.share < Full)
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
		case e.Stage == StageStopping && e.Other == c.active && c.clearing > 0:
			c.cleared[e.Other] = true
		case e.Stage == StageBack && e.Detail == "started anew":
			if !c.exited[c.active] || !c.cleared[c.active] {
				return fmt.Errorf("started anew without need")
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
		if e.From == Draining.String() {
			c.givenUp(g)
		}
		if e.To == Stopping.String() { // nothing of it is started again
			for k := range c.cfg.Workers {
				delete(c.pending, name{g, k})
			}
			c.lives(g)
		}
	case *SweepAll:
		c.sweeping = true
		if !c.exited[c.active] {
			return fmt.Errorf("everything is ended although the active generation %d lives", c.active)
		}
		if c.cleared[c.active] && !c.stopping {
			return fmt.Errorf("the container ends because of a swap")
		}
	case *Exit:
		c.over = true
		if !c.sweeping {
			return fmt.Errorf("NobodyLeftBehind: exit without a sweep")
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

// givenUp: a failed successor goes. If the active generation was not whole again
// in time, it is not waited for any longer.
func (c *checker) givenUp(g int) {
	if c.failed[g] && c.now >= c.again+c.cfg.ReadyTimeout {
		c.crashed = true
	}
}

func (c *checker) start(e *Start) error {
	g := e.Generation
	if c.stopping || c.sweeping {
		return fmt.Errorf("a start while the container stops")
	}
	if !c.alive[g] {
		if g != c.last+1 {
			return fmt.Errorf("generation numbers have a gap")
		}
		if len(c.alive) >= c.cfg.MaxGenerations && !c.exited[c.active] {
			return fmt.Errorf("more than %d generations", c.cfg.MaxGenerations)
		}
		c.last, c.alive[g], c.begun[g] = g, true, c.step
	}
	p := c.parts[name{g, e.Worker}]
	if p == nil {
		p = &part{}
		c.parts[name{g, e.Worker}] = p
	} else if p.alive {
		return fmt.Errorf("a worker is started that lives")
	}
	delete(c.pending, name{g, e.Worker})
	*p = part{alive: true, born: c.now, loops: p.loops}
	if g == c.active {
		c.again = c.now
	}
	delete(c.readyAt, g)
	delete(c.exited, g)
	return nil
}

func (c *checker) signal(g, worker int, sig Signal) error {
	if !c.alive[g] {
		return fmt.Errorf("a signal to a generation that is gone")
	}
	ends := sig == sigKill || sig == c.cfg.RetireSignal || sig == c.cfg.StopSignal || sig == c.cfg.AbortSignal
	p := c.parts[name{g, worker}]
	if worker != EveryWorker && (p == nil || !p.alive) {
		return fmt.Errorf("a signal to a worker that has ended")
	}
	if !ends {
		return nil
	}
	again := p != nil && p.told // it was its turn before
	fair := again || c.aborted[g] || c.cleared[g] || c.replaced(g, worker)
	if c.aimed(g) && !fair {
		return fmt.Errorf("it is told to stop while connections go to it")
	}
	if !c.stopping && !c.exited[g] && !c.left[g] && !c.failed[g] && !fair {
		return fmt.Errorf("ReadyBeforeRetire, FailureIsFree: it was neither replaced nor did it fail")
	}
	c.all(g, func(other *part) {
		if other == p && sig != c.cfg.AbortSignal || worker == EveryWorker {
			other.told = true
		}
	})
	return nil
}

func (c *checker) aimAt(e *Aim) error {
	g := e.Generation
	dead := c.exited[c.active]
	switch {
	case g == c.active && e.Share == Full: // the canary has failed
	case e.Share == Full:
		if !dead {
			return fmt.Errorf("ReadyBeforeRetire: all traffic without a cut-over")
		}
	case dead || e.Rest != c.active || e.Share <= 0 || e.Share > Full:
		return fmt.Errorf("no canary of the active generation")
	default:
		if at, ready := c.readyAt[g]; !ready || c.failed[g] || !c.holds[g] || c.now-at < c.cfg.Settle {
			return fmt.Errorf("ReadyBeforeRetire: a canary that has not settled")
		}
	}
	c.aim, c.share = g, e.Share
	return nil
}

func (c *checker) cutOver(e *CutOver) error {
	old, g := c.active, e.Generation
	c.aim, c.share, c.was[g] = g, Full, true
	oldDead := c.exited[old]
	if c.exited[g] {
		return fmt.Errorf("the traffic goes to a dead generation")
	}
	c.active = g
	if g < old { // back to a predecessor that was never told to stop
		if !oldDead && !c.rolling || !c.left[g] || !c.alive[g] || c.unfit[g] {
			return fmt.Errorf("the traffic goes back without need, or to a generation that lost it")
		}
		delete(c.left, g)
		c.full = false // it may miss those of its workers that were replaced in batches
		if !oldDead {
			c.left[old], c.unfit[old] = true, true
		}
		return nil
	}
	if oldDead != (e.Predecessor == 0) {
		return fmt.Errorf("the predecessor %d is dead: %v", old, oldDead)
	}
	at, ready := c.readyAt[g]
	if oldDead && !c.cleared[old] {
		c.all(g, func(p *part) { ready = ready || p.ready }) // in the middle of a batch one has to do
	}
	if !ready || c.failed[g] {
		return fmt.Errorf("ReadyBeforeRetire: it is not ready, or has failed")
	}
	if !oldDead || c.cleared[old] && !c.stopping {
		if !c.holds[g] || c.now-at < c.cfg.Settle {
			return fmt.Errorf("ReadyBeforeRetire: holds %v, settled for %v", c.holds[g], c.now-at)
		}
		c.left[old] = true
	}
	return nil
}

func (c *checker) reply(e *Reply) error {
	if c.verbs[e.ID] {
		delete(c.verbs, e.ID)
		if e.Reason == "" && e.Generation != c.active {
			return fmt.Errorf("an answer that is none")
		}
		return nil
	}
	asked, ok := c.asked[e.ID]
	if !ok || c.answered[e.ID] {
		return fmt.Errorf("OneSwapAtATime: an answer to nobody, or a second one")
	}
	c.answered[e.ID] = true
	if e.Reason == "" && (!c.was[e.Generation] || c.begun[e.Generation] < asked) {
		return fmt.Errorf("OneSwapAtATime: asked at step %d, its swap began at step %d, active is %d", asked, c.begun[e.Generation], c.active)
	}
	return nil
}

// kindOf names the type of an effect.
func kindOf(e Effect) string { return reflect.TypeOf(e).Elem().Name() }

func describe(e Effect) string { return fmt.Sprintf("%s%+v", kindOf(e), reflect.ValueOf(e).Elem()) }

func describeAll(effects []Effect) (out []string) {
	for _, e := range effects {
		out = append(out, describe(e))
	}
	return out
}

// everyEffect has one of each type.
var everyEffect = []Effect{&Prepare{}, &Start{}, &SignalWorker{}, &Kill{}, &KillWorker{}, &Takedown{}, &Go{}, &Verify{}, &Aim{}, &CutOver{}, &Drain{},
	&EndDrain{}, &Sweep{}, &Forget{}, &SweepAll{}, &KillAll{}, &Reply{}, &Progress{}, &Swapped{}, &Transition{}, &Exit{}}
