package swap

import "fmt"

// What the checker holds each effect, and what a machine says of itself, to.

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
			if c.exited[c.aim] && c.aim != c.active || !c.alive[c.aim] && c.aim != foreign {
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

// givenUp: a failed successor goes. If the active generation was not whole again
// in time, it is not waited for any longer.
func (c *checker) givenUp(g int) {
	if c.failed[g] && c.now >= c.again+c.cfg.ReadyTimeout {
		c.crashed = true
	}
}

// mayHaveItBack: the predecessor of the active generation that lives, and nobody has told
// it to stop.
func (c *checker) mayHaveItBack(g int) bool {
	fit := g == c.knownGood[c.active] && c.left[g] && !c.failed[g] && !c.rolledBack[g] && !c.exited[g]
	c.all(g, func(p *part) { fit = fit && !p.told })
	return fit
}

func (c *checker) start(e *Start) error {
	if e.CanaryBy != "" && !e.Canary {
		return fmt.Errorf("what decides about a canary, and there is none")
	}
	g := e.Generation
	if (c.stopping || c.sweeping) && c.step > 1 { // the first start comes with the first step
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
	c.member.told = false
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
	if err := c.stopsInTime(g, sig, again); err != nil {
		return err
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
	case c.active == foreign: // nobody else serves, or the connections are not its to move
		if err := c.called(e); err != nil {
			return err
		}
	case g == c.active && e.Share == Full: // the canary has failed
	case e.Share == Full:
		if !dead && !c.survived(c.active) {
			return fmt.Errorf("ReadyBeforeRetire: all traffic without a cut-over")
		}
	case dead || e.Rest != c.active || e.Share <= 0 || e.Share > Full:
		return fmt.Errorf("no canary of the active generation")
	default:
		if err := c.hasTurn(); err != nil {
			return err
		}
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
	c.member.moved = true
	oldDead := c.exited[old]
	if c.exited[g] {
		return fmt.Errorf("the traffic goes to a dead generation")
	}
	if c.active = g; !back {
		c.knownGood[g] = old
	} else if g != c.knownGood[old] || !c.left[g] || c.rolledBack[g] {
		return fmt.Errorf("KnownGood: the traffic goes back to another one than had it until the swap, or to one that lost it")
	} else if old != c.lost {
		return fmt.Errorf("KnownGood: nobody is told what generation %d has lost", old)
	}
	if old == foreign {
		return c.takenOver(e, back)
	}
	if back { // to one that was active before and never told to stop
		if !oldDead && !c.rolling || !c.alive[g] {
			return fmt.Errorf("the traffic goes back without need")
		}
		delete(c.left, g)
		c.full = false // it may miss those of its workers that were replaced in batches
		if !oldDead {
			c.left[old], c.rolledBack[old] = true, true
		}
		return nil
	}
	if err := c.hasTurn(); err != nil && !oldDead {
		return err
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
