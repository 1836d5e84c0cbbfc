package arbiter

import (
	"fmt"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// after looks at what a whole step has led to.
func (c *checker) after(r *rig) error {
	for _, s := range []Slot{c.aim.To, c.aim.Rest} {
		p := c.peers[s.Member]
		if s == (Slot{}) {
			continue
		}
		if p == nil || p.session == 0 || p.leaving || s.Generation != p.gen && s.Generation != p.stage {
			return fmt.Errorf("NoQueueForgotten: connections go to %v, where nobody accepts", s)
		}
	}
	holders, told := 0, false
	for _, p := range c.peers {
		if p.on() && p.holds {
			holders++
			told = told || p.told
		}
	}
	if holders > 2 || holders == 2 && !told {
		return fmt.Errorf("%d members were told that they have the traffic", holders)
	}
	if n, p := c.holder(); holders == 1 && c.aim.Share == shares.Full && p.gen != 0 && !p.told && c.aim.To != (Slot{n, p.gen}) && r.save == nil && !c.claims() {
		return fmt.Errorf("AlwaysAccepting: %s serves with generation %d, and connections go to %v", n, p.gen, c.aim.To)
	}
	if c.aim.Share < shares.Full && c.turn != c.aim.To.Member {
		return fmt.Errorf("OneSwapAtATime: %s has a share and no turn", c.aim.To.Member)
	}
	if c.rolls > 0 && len(c.verbs) == 0 {
		c.rolls = 0
	}
	if s := r.a.State(); len(s.Members) > 64 || s.Epoch < c.epoch-1 {
		return fmt.Errorf("its account: %v", s)
	}
	if holders == 0 && r.save == nil && c.awaits == "" && !c.left {
		s := r.a.State()
		for n, p := range c.peers {
			if _, out := order(s, n); p.on() && (p.stage != 0 || p.gen != 0 && out != Failed && p.hello.State != Successor) {
				return fmt.Errorf("Liveness: nobody has the traffic, and %s serves", n)
			}
		}
	}
	if p := c.peers[c.done]; p != nil && len(p.asks) > 0 && r.save == nil && !p.leaving {
		return fmt.Errorf("%s has no answer to %v, and does not want it any more", c.done, p.asks)
	}
	s := r.a.State()
	c.record, c.outs = s.Holder, map[string]Role{}
	for _, m := range s.Members {
		c.outs[m.Container] = m.Out
	}
	return c.waits(r)
}

// waits: every wait has an end.
func (c *checker) waits(r *rig) error {
	const slack = 5 * time.Second // of a tick that comes late
	for n, p := range c.peers {
		if p.waits && p.session != 0 && r.now-p.joined > 90*time.Second+slack {
			return fmt.Errorf("Liveness: %s waits for its welcome since %v", n, p.joined)
		}
		if c.turn == n && r.now-p.heard > 10*time.Second+slack {
			return fmt.Errorf("Liveness: %s has the turn, and is silent since %v", n, p.heard)
		}
		if p.told && r.now-p.heard > 10*time.Second+slack {
			return fmt.Errorf("Liveness: %s was told to take the traffic, and is silent since %v", n, p.heard)
		}
	}
	for id, at := range c.verbs {
		if r.now-at > 5*time.Minute {
			return fmt.Errorf("Liveness: verb %d has no answer since %v", id, at)
		}
	}
	return nil
}

// quiet looks at what is left when nothing happens any more.
func (c *checker) quiet(r *rig) error {
	for n, p := range c.peers {
		if p.session != 0 && len(p.asks) > 0 {
			return fmt.Errorf("Liveness: %s has no answer to %v", n, p.asks)
		}
		if p.session != 0 && p.waits {
			return fmt.Errorf("Liveness: %s was never welcomed", n)
		}
	}
	if len(c.verbs) > 0 {
		return fmt.Errorf("Liveness: verbs without an answer: %v", c.verbs)
	}
	if c.turn != "" {
		return fmt.Errorf("Liveness: %s keeps the turn", c.turn)
	}
	if got, want := r.disk.String(), r.a.State().String(); got != want {
		return fmt.Errorf("the disk has %s, the gate %s", got, want)
	}
	return nil
}
