package swap

import "fmt"

// What the checker holds each effect to.

// givenUp: a failed successor goes. If the active generation was not whole again
// in time, it is not waited for any longer.
func (c *checker) givenUp(g int) {
	if c.failed[g] && c.now >= c.again+c.cfg.ReadyTimeout {
		c.crashed = true
	}
}

// couldServe: a predecessor that lives, and nobody has told it to stop.
func (c *checker) couldServe(g int) bool {
	fit := c.left[g] && !c.failed[g] && !c.rolledBack[g] && !c.exited[g]
	c.all(g, func(p *part) { fit = fit && !p.told })
	return fit
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
		if len(c.alive) >= c.cfg.MaxGenerations && !c.exited[c.active] && !c.survived(c.active) {
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
	fair := again || c.aborted[g] || c.early[g] || c.replaced(g, worker)
	if c.aimed(g) && !fair {
		return fmt.Errorf("it is told to stop while connections go to it")
	}
	if !c.stopping && !c.exited[g] && !c.left[g] && !c.failed[g] && !fair {
		return fmt.Errorf("ReadyBeforeRetire, FailureIsFree: it was neither replaced nor did it fail")
	}
	c.all(g, func(other *part) {
		if other == p && sig != c.cfg.AbortSignal || worker == EveryWorker {
			other.told = true
			other.killed = other.killed || sig == sigKill
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
		if !dead && !c.survived(c.active) {
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
	back := c.was[g]
	c.aim, c.share, c.was[g] = g, Full, true
	oldDead := c.exited[old]
	if c.exited[g] {
		return fmt.Errorf("the traffic goes to a dead generation")
	}
	c.active = g
	if back { // to one that was active before and never told to stop
		if !oldDead && !c.rolling || !c.left[g] || !c.alive[g] || c.rolledBack[g] {
			return fmt.Errorf("the traffic goes back without need, or to a generation that lost it")
		}
		delete(c.left, g)
		c.full = false // it may miss those of its workers that were replaced in batches
		if !oldDead {
			c.left[old], c.rolledBack[old] = true, true
		}
		return nil
	}
	if oldDead != (e.Predecessor == 0) {
		return fmt.Errorf("the predecessor %d is dead: %v", old, oldDead)
	}
	at, ready := c.readyAt[g]
	if oldDead && !c.early[old] {
		c.all(g, func(p *part) { ready = ready || p.ready }) // in the middle of a batch one has to do
	}
	if !ready || c.failed[g] {
		return fmt.Errorf("ReadyBeforeRetire: it is not ready, or has failed")
	}
	if !oldDead || c.early[old] && !c.stopping {
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
