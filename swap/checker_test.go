package swap

import (
	"fmt"
	"time"
)

// checker watches what goes into a machine and what comes out of it, keeps its
// own books, and says which invariant was broken. It shares no code with the
// machine.
type checker struct {
	cfg      Config
	step     int
	now      time.Duration
	last     int                   // newest generation started
	alive    map[int]bool          // started, not forgotten
	exited   map[int]Status        // main process gone
	readyAt  map[int]time.Duration // it said so
	holds    map[int]bool
	failed   map[int]bool
	left     map[int]bool // cut over from: may be told to stop
	aborted  map[int]bool // missed its watchdog
	begun    map[int]int  // the step of its start
	asked    map[uint64]int
	answered map[uint64]bool
	verbs    map[uint64]bool // rollback and promote
	was      map[int]bool    // active at some time
	unfit    map[int]bool    // rolled back from
	aim      int             // gets the new connections,
	share    int             // or this part of them: the rest is the active generation's
	rolling  bool            // this step's event asked to go back
	active   int
	stopping bool
	sweeping bool
	over     bool
	counts   map[Op]int
}

func newChecker(cfg Config) *checker {
	return &checker{cfg: cfg, active: 1, aim: 1, share: Full, verbs: map[uint64]bool{}, was: map[int]bool{1: true}, unfit: map[int]bool{}, alive: map[int]bool{}, exited: map[int]Status{}, readyAt: map[int]time.Duration{}, holds: map[int]bool{},
		failed: map[int]bool{}, left: map[int]bool{}, aborted: map[int]bool{}, begun: map[int]int{}, asked: map[uint64]int{},
		answered: map[uint64]bool{}, counts: map[Op]int{}}
}

// in notes an event before it goes into the machine.
func (c *checker) in(now time.Duration, e Event) {
	c.step++
	c.now = now
	g := e.Generation
	c.rolling = e.Kind == Rollback
	switch e.Kind {
	case Rollback, Promote:
		c.verbs[e.Request.ID] = true
	case Ready:
		if _, ok := c.readyAt[g]; !ok && c.alive[g] && !c.sweeping {
			c.readyAt[g] = now
		}
	case Verified:
		if _, ok := c.readyAt[g]; ok {
			c.holds[g] = true
		}
	case Exited, StartFailed:
		if _, ok := c.exited[g]; !ok && c.alive[g] && !c.sweeping {
			c.exited[g] = e.Status
		}
	case Stop:
		c.stopping = true
	case Swap:
		if e.Request.ID != 0 {
			c.asked[e.Request.ID] = c.step
		}
	}
}

// out looks at what came out, and at the machine's own account of itself.
func (c *checker) out(effects []Effect, views []View) error {
	for _, e := range effects {
		if err := c.effect(e); err != nil {
			return fmt.Errorf("step %d at %v: %w: %v", c.step, c.now, err, e)
		}
		c.counts[e.Op]++
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
		_, dead := c.exited[v.Number]
		if !c.stopping && !c.sweeping && !dead && (v.Number == c.active || successors == 1 && (v.State == Starting || v.State == Settling)) {
			// Somebody lives who could have the traffic.
			if _, lost := c.exited[c.aim]; lost || !c.alive[c.aim] {
				return fmt.Errorf("step %d: AlwaysAccepting: connections go to generation %d, which is dead, though %v", c.step, c.aim, views)
			}
		}
	}
	return nil
}

// left or failed generations must not be touched while connections go to them.
func (c *checker) aimed(g int) bool {
	_, dead := c.exited[c.active]
	return !c.stopping && !c.sweeping && !dead && (g == c.aim || g == c.active && c.share < Full)
}

func (c *checker) effect(e Effect) error {
	if c.over {
		return fmt.Errorf("an effect after the exit")
	}
	g := e.Generation
	switch e.Op {
	case OpStart:
		if g != c.last+1 {
			return fmt.Errorf("generation numbers have a gap")
		}
		if len(c.alive) >= c.cfg.MaxGenerations {
			return fmt.Errorf("more than %d generations", c.cfg.MaxGenerations)
		}
		if c.stopping || c.sweeping {
			return fmt.Errorf("a start while the container stops")
		}
		c.last, c.alive[g], c.begun[g] = g, true, c.step
	case OpProgress:
		if e.Stage == StageFailed {
			c.failed[g] = true
		}
		if e.Stage == StageHung {
			c.aborted[g] = true
		}
	case OpSignal, OpKill:
		if !c.alive[g] {
			return fmt.Errorf("a signal to a generation that is gone")
		}
		ends := e.Op == OpKill || e.Signal == c.cfg.RetireSignal || e.Signal == c.cfg.StopSignal || e.Signal == c.cfg.AbortSignal
		_, dead := c.exited[g]
		if ends && c.aimed(g) && !c.aborted[g] {
			return fmt.Errorf("it is told to stop while connections go to it")
		}
		if ends && !c.stopping && !dead && !c.left[g] && !c.failed[g] && !c.aborted[g] {
			return fmt.Errorf("ReadyBeforeRetire, FailureIsFree: it was neither replaced nor did it fail")
		}
		if e.Op == OpSignal && dead {
			return fmt.Errorf("a signal to a generation whose process has ended")
		}
	case OpAim:
		return c.aimAt(e)
	case OpSweep:
		if c.aimed(g) {
			return fmt.Errorf("it is swept while connections go to it")
		}
	case OpCutOver:
		return c.cutOver(e)
	case OpReply:
		return c.reply(e)
	case OpForget:
		delete(c.alive, g)
	case OpSweepAll:
		c.sweeping = true
		if _, dead := c.exited[c.active]; !dead {
			return fmt.Errorf("everything is ended although the active generation %d lives", c.active)
		}
	case OpExit:
		c.over = true
		if !c.sweeping {
			return fmt.Errorf("NobodyLeftBehind: exit without a sweep")
		}
		if want := c.exited[c.active]; e.Status != want {
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

func (c *checker) aimAt(e Effect) error {
	g := e.Generation
	_, dead := c.exited[c.active]
	switch {
	case g == c.active && e.Share == Full: // the canary has failed
	case e.Share == Full:
		if !dead {
			return fmt.Errorf("ReadyBeforeRetire: all traffic without a cut-over")
		}
	case dead || e.Other != c.active || e.Share <= 0 || e.Share > Full:
		return fmt.Errorf("no canary of the active generation")
	default:
		if at, ready := c.readyAt[g]; !ready || c.failed[g] || !c.holds[g] || c.now-at < c.cfg.Settle {
			return fmt.Errorf("ReadyBeforeRetire: a canary that has not settled")
		}
	}
	c.aim, c.share = g, e.Share
	return nil
}

func (c *checker) cutOver(e Effect) error {
	old, g := c.active, e.Generation
	c.aim, c.share, c.was[g] = g, Full, true
	_, oldDead := c.exited[old]
	if _, dead := c.exited[g]; dead {
		return fmt.Errorf("the traffic goes to a dead generation")
	}
	c.active = g
	if g < old { // back to a predecessor that was never told to stop
		if !oldDead && !c.rolling || !c.left[g] || !c.alive[g] || c.unfit[g] {
			return fmt.Errorf("the traffic goes back without need, or to a generation that lost it")
		}
		delete(c.left, g)
		if !oldDead {
			c.left[old], c.unfit[old] = true, true
		}
		return nil
	}
	if oldDead != (e.Other == 0) {
		return fmt.Errorf("the predecessor %d is dead: %v", old, oldDead)
	}
	at, ready := c.readyAt[g]
	if !ready || c.failed[g] {
		return fmt.Errorf("ReadyBeforeRetire: it is not ready, or has failed")
	}
	if !oldDead {
		if !c.holds[g] || c.now-at < c.cfg.Settle {
			return fmt.Errorf("ReadyBeforeRetire: holds %v, settled for %v", c.holds[g], c.now-at)
		}
		c.left[old] = true
	}
	return nil
}

func (c *checker) reply(e Effect) error {
	if c.verbs[e.ID] {
		delete(c.verbs, e.ID)
		if e.OK != (e.Reason == "") || e.OK && e.Generation != c.active {
			return fmt.Errorf("an answer that is none")
		}
		return nil
	}
	asked, ok := c.asked[e.ID]
	if !ok || c.answered[e.ID] {
		return fmt.Errorf("OneSwapAtATime: an answer to nobody, or a second one")
	}
	c.answered[e.ID] = true
	if e.OK && (!c.was[e.Generation] || c.begun[e.Generation] < asked) {
		return fmt.Errorf("OneSwapAtATime: asked at step %d, its swap began at step %d, active is %d", asked, c.begun[e.Generation], c.active)
	}
	if !e.OK && e.Reason == "" {
		return fmt.Errorf("a failure without a reason")
	}
	return nil
}
