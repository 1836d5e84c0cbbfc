package swap

import "fmt"

// What the checker holds a member of a gate to.

// inPeace: nobody retires because time has passed before its time is over, which stands
// still while the gate is away.
func (c *checker) inPeace(e *Transition) error {
	tick, _ := c.member.event.(*ContainerEvent)
	what := map[string]string{Kept.String(): "kept", Draining.String(): "drained"}[e.From]
	if what == "" || e.To != Draining.String() && e.To != Stopping.String() || tick == nil || tick.Kind != Tick {
		return nil
	}
	if c.stopping || c.member.moved || c.exited[c.active] || c.failed[e.Generation] && what == "kept" {
		return nil // there is another reason
	}
	a := about{what: what, name: name{e.Generation, 0}}
	if w := c.waits[a]; c.standsStill(a) || w != nil && w.by > c.now {
		return fmt.Errorf("it retires before its time is over")
	}
	return nil
}

// hasTurn: a swap inside of the container that has the traffic has asked for its turn, or
// has nobody to protect.
func (c *checker) hasTurn() error {
	m := &c.member
	if c.cfg.Membership == Alone || c.active == foreign || c.exited[c.active] || m.turn && !m.asking && m.ask.Share == 0 {
		return nil
	}
	return fmt.Errorf("OneSwapAtATime: it does not have the turn")
}

// tellsGate is what the machine says to the gate.
func (c *checker) tellsGate(e Effect) error {
	m := &c.member
	if c.cfg.Membership == Alone {
		return fmt.Errorf("there is no gate")
	}
	switch e := e.(type) {
	case *Ask:
		return c.asks(e)
	case *EndTurn:
		if !m.turn {
			return fmt.Errorf("there is no turn that could end")
		}
		m.turn, m.asking = false, false
		if c.active == foreign {
			c.aim, c.share = foreign, Full
		}
	case *Took:
		return c.takes(e)
	case *Leaving:
		switch {
		case m.left:
			return fmt.Errorf("that is known")
		case e.Died && (c.active == foreign || !c.exited[c.active] || c.stopping):
			return fmt.Errorf("FailureIsFree: it does not have the traffic, or has not died")
		case !e.Died && !c.stopping:
			return fmt.Errorf("FailureIsFree: nobody has told it to stop")
		}
		m.left = true
	case *NoServer:
		if c.active != foreign || c.stopping || m.ends {
			return fmt.Errorf("it has the traffic, or ends")
		}
		for n, p := range c.parts {
			if p.alive && !c.exited[n.generation] && !c.survived(n.generation) {
				return fmt.Errorf("generation %d lives", n.generation)
			}
		}
		m.told = true
	case *GiveBack:
		if !c.verbs[e.ID] || c.active == foreign {
			return fmt.Errorf("nobody has asked, or there is nothing to give back")
		}
		for g := range c.alive {
			if c.mayHaveItBack(g) {
				return fmt.Errorf("generation %d could have it", g)
			}
		}
		delete(c.verbs, e.ID)
	}
	return nil
}

func (c *checker) asks(e *Ask) error {
	m, g := &c.member, e.Generation
	at, ready := c.readyAt[g]
	switch {
	case m.asking || e.Number != m.ask.Number+1:
		return fmt.Errorf("OneSwapAtATime: it asks before it is answered, or not in order")
	case c.stopping || c.sweeping:
		return fmt.Errorf("it asks while the container stops")
	case e.Operator == m.newcomer:
		return fmt.Errorf("it is not said who wants it")
	case e.Share == 0 && (c.active == foreign || m.turn || g != 0):
		return fmt.Errorf("a turn is for whoever has the traffic, once")
	case e.Share > 0 && (c.active != foreign || g != c.swap.successor || !c.alive[g] || c.exited[g] || c.failed[g]):
		return fmt.Errorf("ReadyBeforeRetire: it asks for one that is no successor")
	case e.Share > 0 && (!ready || !c.holds[g] || c.now-at < c.cfg.Settle):
		return fmt.Errorf("ReadyBeforeRetire: it asks for one that has not settled")
	}
	if !m.turn {
		m.result = false
	}
	m.turn, m.asking, m.ask = true, true, *e
	return nil
}

func (c *checker) takes(e *Took) error {
	g := e.Generation
	if c.member.owed--; c.member.owed < 0 {
		return fmt.Errorf("nobody has asked for that")
	}
	if g != 0 && (g != c.active || !c.alive[g] || c.exited[g]) {
		return fmt.Errorf("it does not have the traffic, or is dead")
	}
	if g == 0 && c.active != foreign && c.alive[c.active] && !c.exited[c.active] && !c.stopping {
		return fmt.Errorf("it has the traffic")
	}
	for other := range c.alive {
		if g == 0 && c.active == foreign && c.member.called && !c.stopping && c.mayHaveItBack(other) {
			return fmt.Errorf("generation %d could serve", other)
		}
	}
	return nil
}

// called: a server is started, active at once, because nobody else serves.
func (c *checker) called(e *Aim) error {
	g := e.Generation
	if !c.member.called || e.Share != Full || e.Rest != 0 || !c.alive[g] || c.begun[g] != c.step {
		return fmt.Errorf("another container has the traffic")
	}
	c.active, c.was[g] = g, true
	c.risen(g)
	c.hasIt()
	return nil
}

// takenOver: the traffic was another container's. back: the generation had it before.
func (c *checker) takenOver(e *CutOver, back bool) error {
	g, m := e.Generation, &c.member
	c.hasIt()
	if back {
		if !m.called || !c.alive[g] {
			return fmt.Errorf("the traffic goes back without need")
		}
		delete(c.left, g)
		return nil
	}
	at, ready := c.readyAt[g]
	switch {
	case !m.granted || m.ask.Share != Full || m.ask.Generation != g:
		return fmt.Errorf("the gate has not granted that")
	case !ready || c.failed[g] || !c.holds[g] || c.now-at < c.cfg.Settle:
		return fmt.Errorf("ReadyBeforeRetire: holds %v, settled for %v", c.holds[g], c.now-at)
	}
	c.full = true
	return nil
}

// swapped: a newcomer whose swap fails ends, unless it was only too old.
func (c *checker) swapped(e *Swapped) error {
	m := &c.member
	if e.First != m.newcomer {
		return fmt.Errorf("it is the first: %v", m.newcomer)
	}
	if m.newcomer && e.Reason != "" && !m.superseded && !c.stopping {
		m.ends, m.final = true, Status{Code: 1}
		c.all(e.Generation, func(p *part) {
			if !p.alive {
				m.final = c.status[e.Generation]
			}
		})
	}
	if told, _ := m.event.(*ContainerEvent); m.hope && e.Reason == told.Reason {
		return fmt.Errorf("the only hope is called off")
	}
	m.newcomer, m.result, m.denied = false, true, false
	return nil
}

// stepEnds: what the gate has said is heard at once.
func (c *checker) stepEnds() error {
	m := &c.member
	switch {
	case c.over:
	case m.owed > 0:
		return fmt.Errorf("the gate is not told who has the traffic")
	case m.rollout == asking.String() && c.exited[c.active] && !c.stopping && !c.sweeping:
		return fmt.Errorf("nobody serves, and the gate is waited for")
	case m.denied:
		return fmt.Errorf("OneSwapAtATime: a swap goes on that has no turn")
	case m.granted && m.ask.Share == Full && !c.was[m.ask.Generation],
		m.granted && m.ask.Share > 0 && m.ask.Share < Full && c.waits[about{what: "canary", name: name{m.ask.Generation, 0}}] == nil:
		return fmt.Errorf("what is granted is not taken")
	}
	return nil
}

// mayFinish: the container ends with its last generation, and the gate knows.
func (c *checker) mayFinish() error {
	m := &c.member
	switch {
	case c.cfg.Membership == Alone:
	case c.active == foreign && !c.stopping && !m.ends:
		return fmt.Errorf("the container ends, and nothing has happened but that another one has the traffic")
	case !m.left && (c.active != foreign || c.stopping && !m.ends):
		return fmt.Errorf("the gate is not told that the container leaves")
	}
	return nil
}
