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
	knownGood  map[int]int     // who had the traffic until the swap to a generation was done
	lost       int             // who has lost the traffic to none but an older one, as the machine has told in this step
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
	member     member        // of a gate
	kept       map[int]bool  // predecessors
	watched    map[int]bool  // whose connections are
	idleBy     time.Duration // the stop waits for the connections of the active generation until then
	counts     map[string]int
}

func newChecker(cfg Config) *checker {
	cfg.Workers = max(cfg.Workers, 1)
	c := &checker{cfg: cfg, active: 1, aim: 1, share: Full, verbs: map[uint64]bool{}, was: map[int]bool{1: true}, rolledBack: map[int]bool{}, knownGood: map[int]int{}, alive: map[int]bool{},
		parts: map[name]*part{}, pending: map[name]bool{}, status: map[int]Status{}, exited: map[int]bool{}, readyAt: map[int]time.Duration{}, holds: map[int]bool{},
		failed: map[int]bool{}, left: map[int]bool{}, early: map[int]bool{}, aborted: map[int]bool{}, begun: map[int]int{}, asked: map[uint64]int{},
		answered: map[uint64]bool{}, counts: map[string]int{}, waits: map[about]*wait{}, watched: map[int]bool{}, kept: map[int]bool{}, member: member{killed: map[int]time.Duration{}}, idleBy: -1, swap: swapWaits{killed: map[int]bool{}, killedAt: map[int]time.Duration{}}}
	if cfg.Strategy > Overlap {
		c.replacing++
	}
	if cfg.Membership != Alone {
		c.joins()
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
	c.rolling, c.lost = false, foreign
	switch e := e.(type) {
	case *GenerationEvent:
		c.generationEvent(e)
	case *ContainerEvent:
		c.containerEvent(e)
	}
	c.heard(e)
	c.gateSays(e)
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
	case Drained:
		if c.watched[g] && g == c.active {
			c.idleBy = c.now
		}
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
	Swap() (SwapView, bool)
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
	if err := c.stepEnds(); err != nil {
		return fmt.Errorf("step %d at %v: %w", c.step, c.now, err)
	}
	if err := c.views(m.Views()); err != nil {
		return fmt.Errorf("step %d at %v: %w", c.step, c.now, err)
	}
	if err := c.told(m); err != nil {
		return fmt.Errorf("step %d at %v: %w", c.step, c.now, err)
	}
	if err := c.live(m); err != nil {
		return fmt.Errorf("step %d at %v: Liveness: %w", c.step, c.now, err)
	}
	return c.capacity()
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
		case e.Stage == StageCanary && c.active == foreign && !(c.member.granted && c.member.ask.Share < Full):
			return fmt.Errorf("the gate has not granted that")
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
		case e.Stage == StageDied && (g != foreign || e.Other != c.active || !c.exited[e.Other]):
			return fmt.Errorf("KnownGood: it has not died")
		case e.Stage == StageDied, e.Stage == StageBack && (c.was[g] || g == foreign):
			c.lost = e.Other
		case e.Stage == StageBack:
			c.knownGood[g] = c.knownGood[c.active]
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
	case *Prepare:
		return c.hasTurn()
	case *Drain:
		c.givenUp(e.Generation)
		return c.watch(e.Generation)
	case *EndDrain:
		if !c.watched[e.Generation] {
			return fmt.Errorf("nobody watches its connections")
		}
		delete(c.watched, e.Generation)
	case *Ask, *EndTurn, *Took, *Leaving, *NoServer, *GiveBack:
		return c.tellsGate(e)
	case *Swapped:
		return c.swapped(e)
	case *Go:
		if !c.alive[e.Generation] {
			return fmt.Errorf("it is gone")
		}
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
		if g == 0 {
			c.member.rollout = e.To
			return nil
		}
		if e.From == Draining.String() || e.From == Kept.String() {
			c.givenUp(g)
		}
		if err := c.inPeace(e); err != nil {
			return err
		}
		if e.To == Killing.String() {
			c.member.killed[g] = c.now
		}
		if delete(c.kept, g); e.To == Kept.String() && !c.failed[g] {
			c.kept[g] = true
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
		if len(c.watched) > 0 {
			return fmt.Errorf("the connections of %v are watched for ever", c.watched)
		}
		if err := c.mayFinish(); err != nil {
			return err
		}
		if !c.exited[c.active] && c.active != foreign {
			return fmt.Errorf("everything is ended although the active generation %d lives", c.active)
		}
		for g := range c.alive {
			if !c.stopping && c.mayHaveItBack(g) {
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
		if want := c.finalStatus(); e.Status != want {
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

// everyEffect has one of each type; memberEffect those that only a member of a gate has.
var everyEffect = []Effect{&Prepare{}, &Start{}, &SignalWorker{}, &Kill{}, &KillWorker{}, &Takedown{}, &Go{}, &Verify{}, &Aim{}, &CutOver{}, &Drain{},
	&EndDrain{}, &Sweep{}, &Forget{}, &SweepAll{}, &KillAll{}, &Reply{}, &Progress{}, &Swapped{}, &Transition{}, &Exit{}}

var memberEffect = []Effect{&Ask{}, &EndTurn{}, &Took{}, &Leaving{}, &NoServer{}, &GiveBack{}}
