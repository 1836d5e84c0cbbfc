package arbiter

import (
	"errors"
	"fmt"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// effect looks at one effect.
func (c *checker) effect(r *rig, e Effect) error {
	c.counts[kindOf(e)]++
	switch e := e.(type) {
	case *Save:
		return c.saves(r, e)
	case *Aim:
		return c.aims(r, e)
	case *Drop:
		p := c.peers[e.Member]
		if p == nil || p.on() && p.gen != 0 && !p.told {
			return errors.New("AlwaysAccepting: it serves")
		}
		p.dropped = true
		if c.aim.To.Member == e.Member {
			c.aim.To = Slot{}
		}
		if c.aim.Rest.Member == e.Member {
			c.aim.Rest = Slot{}
		}
	case *Welcome:
		return c.welcomes(r, e)
	case *Delay:
		if p := c.of(e.Session); p == nil || !p.waits {
			return errors.New("nobody waits there")
		}
	case *Refuse:
	case *Answer:
		return c.answers(r, e)
	case *Tell:
		return c.tells(r, e)
	case *Ping:
		if c.of(e.Session) == nil {
			return errors.New("nobody is there")
		}
		if _, ok := c.pings[e.Session]; !ok {
			c.pings[e.Session] = r.now
		}
	case *Takeover:
		if p := c.peers[e.Member]; p != nil && p.gen != 0 && (c.aim.To == (Slot{e.Member, p.gen}) || c.aim.Rest == (Slot{e.Member, p.gen})) {
			if _, h := c.holder(); h == nil {
				p.holds, p.late = true, false // it said so, and nobody else has it
			}
		}
		if _, p := c.holder(); p == nil || p != c.peers[e.Member] {
			return errors.New("it was not told that it has the traffic")
		}
	case *Reply:
		if _, ok := c.verbs[e.ID]; !ok {
			return errors.New("nobody has asked, or it has the answer")
		}
		delete(c.verbs, e.ID)
	}
	return nil
}

func (c *checker) saves(r *rig, e *Save) error {
	if c.saving {
		return errors.New("the last one has no answer")
	}
	c.saving = true
	s := e.State
	seen := map[int]bool{}
	for _, m := range s.Members {
		if seen[m.Order] || m.Order > s.Last {
			return errors.New("a number twice, or one that was not given out")
		}
		seen[m.Order] = true
	}
	if o, _ := order(s, s.Holder); s.Holder != "" && o == 0 {
		return errors.New("the holder is not remembered")
	}
	if len(s.Members) > 64 {
		return errors.New("too many members")
	}
	if s.Epoch < c.epoch {
		return fmt.Errorf("the epoch was %d", c.epoch)
	}
	c.epoch = s.Epoch
	c.saveAt = r.now
	return nil
}

func (c *checker) aims(r *rig, e *Aim) error {
	was := c.aim
	c.aim = *e
	p := c.peers[e.To.Member]
	if e.Share <= 0 || e.Share > shares.Full || e.Share == shares.Full && (e.Rest != (Slot{}) || e.By != shares.Random) {
		return errors.New("no such share")
	}
	if e.Share < shares.Full {
		if c.turn != "" && c.turn != e.To.Member {
			return errors.New("OneSwapAtATime: another one has the turn")
		}
		return nil // Answer says more
	}
	n, h := c.holder()
	if e.To == (Slot{}) {
		if h != nil && h.gen != 0 && !h.told && !c.claims() {
			return fmt.Errorf("AlwaysAccepting: %s has the traffic, and serves", n)
		}
		return nil
	}
	if p == nil || p.session == 0 || p.leaving || p.dropped {
		return errors.New("AlwaysAccepting: nobody is there")
	}
	if e.To.Member == was.To.Member || e.To.Member == was.Rest.Member || c.awaits != "" && p.waits && p.hello.State == Holder {
		return nil // it has it already, or had it when the gate ended
	}
	if n == e.To.Member || h == nil || h.gen == 0 {
		return nil // it has got sockets, or nobody else accepts
	}
	return c.written(r, e.To.Member)
}

// claims: a member knows of a later holder than the gate does.
func (c *checker) claims() bool {
	for _, p := range c.peers {
		if p.session != 0 && p.hello.State == Holder {
			return true
		}
	}
	return false
}

func (c *checker) welcomes(r *rig, e *Welcome) error {
	n, p := c.names[e.Session], c.of(e.Session)
	if p == nil || !p.waits {
		return errors.New("nobody waits there")
	}
	p.waits, p.dropped, p.late = false, false, false
	if o, _ := order(r.disk, n); o != e.Order && !c.fails(r) && !p.again {
		return fmt.Errorf("StateFirst: its number on the disk is %d", o)
	}
	if n == c.awaits {
		c.awaits = ""
	}
	if e.Role != Holder {
		if p.holds {
			c.leaves(n)
		}
		p.holds, p.told = false, false
		if e.Role == Successor && p.hello.State != Kept {
			p.gen = 0
		}
		return nil
	}
	had := p.holds
	p.holds, p.told, p.rolled = true, p.told && p.again && p.gen == 0, false
	c.awaits = ""
	if had {
		return nil
	}
	return c.written(r, n)
}

func (c *checker) answers(r *rig, e *Answer) error {
	n, p := c.names[e.Session], c.of(e.Session)
	if p == nil {
		return errors.New("nobody is there")
	}
	asked, ok := p.asks[e.ID]
	if !ok {
		return errors.New("nobody has asked, or it has the answer")
	}
	delete(p.asks, e.ID)
	again := p.answered == e.ID
	p.answered = e.ID
	if again {
		return nil
	}
	hn, h := c.holder()
	s := r.a.State()
	if q := c.peers[c.record]; q != p && q.on() && q.holds {
		hn, h = c.record, q
	}
	mine, out := order(s, n)
	theirs, _ := order(s, hn)
	if e.Superseded && (h == nil || h == p || mine > theirs && out == "") {
		return errors.New("NewestWins: nobody newer has the traffic")
	}
	if e.Reason != "" {
		if _, ok := asked.(*Ask); ok && e.Reason != "it has asked for something else since" {
			p.stage = 0 // what it has asked for is over
			c.leaves(n)
		}
		return nil
	}
	if p.leaving {
		return errors.New("granted, though it stops")
	}
	ask, isAsk := asked.(*Ask)
	if h == p && isAsk {
		if ask.Generation != 0 {
			p.gen, p.told = ask.Generation, false
		}
		return nil
	}
	if c.turn != "" && c.turn != n {
		return fmt.Errorf("OneSwapAtATime: %s has the turn", c.turn)
	}
	if c.turn != n {
		c.turn, p.heard = n, r.now
	}
	if !isAsk {
		if !p.holds {
			return errors.New("a turn of one that has not the traffic")
		}
		return nil
	}
	if c.aim.To != (Slot{n, ask.Generation}) && ask.Share > 0 {
		return fmt.Errorf("granted, and connections go to %v", c.aim.To)
	}
	if h != nil && !ask.Operator && mine < theirs {
		return fmt.Errorf("NewestWins: %s is newer", hn)
	}
	if h != nil && !ask.Operator && c.outs[n] != "" {
		return errors.New("NewestWins: it is " + string(c.outs[n]))
	}
	if ask.Share < shares.Full {
		p.stage = ask.Generation
		if c.aim.By != ask.By && ask.Share > 0 {
			return fmt.Errorf("granted by %q, and connections go by %q", ask.By, c.aim.By)
		}
		if c.aim.Share != ask.Share && ask.Share > 0 {
			return errors.New("another share")
		}
		return nil
	}
	if h != nil {
		h.gen = max(h.gen, 0)
		h.told = false
	}
	p.gen, p.stage, p.holds, p.heard = ask.Generation, 0, true, r.now
	if h != nil {
		if err := c.written(r, n); err != nil {
			return err
		}
	}
	if c.aim.Share != shares.Full {
		return errors.New("granted, and connections are divided")
	}
	return nil
}

func (c *checker) tells(r *rig, e *Tell) error {
	n, p := c.names[e.Session], c.of(e.Session)
	if p == nil {
		return errors.New("nobody is there")
	}
	hn, h := "", (*peer)(nil)
	for m, q := range c.peers { // another one that has the traffic
		if q != p && q.on() && q.holds {
			hn, h = m, q
		}
	}
	c.counts[e.Notice.String()]++
	switch e.Notice {
	case Lost:
		if q := c.peers[r.disk.Holder]; q != p && q.on() && q.holds {
			hn, h = r.disk.Holder, q
		}
		if !p.holds {
			c.leaves(n)
			return nil // it has answered late that it has it
		}
		if h == nil {
			return errors.New("FailureIsFree: nobody else has the traffic")
		}
		if c.aim.To.Member == n || c.aim.Rest.Member == n {
			return errors.New("ReadyBeforeRetire: connections go to it")
		}
		c.leaves(n)
		delete(c.wrote, n)
		p.holds, p.told, p.rolled, p.lost = false, false, e.RolledBack, true
		return c.written(r, hn)
	case Back, Serve:
		if h != nil && !(e.Notice == Back && (c.rolls > 0 || p.rolled)) && !h.rolled {
			return fmt.Errorf("FailureIsFree: %s has the traffic", hn)
		}
		if p.leaving || p.waits {
			return errors.New("it leaves, or was not welcomed")
		}
		if g := max(p.gen, p.stage); e.Notice == Back && (g == 0 || c.aim.To != Slot{n, p.gen} && c.aim.To != Slot{n, p.stage} || c.aim.Share != shares.Full) {
			return fmt.Errorf("it serves with generation %d, and connections go to %v", g, c.aim.To)
		}
		if e.Notice == Back && c.outs[n] == Failed && p.stage == 0 && r.now-c.since < 10*time.Second && p.gen != 0 {
			return errors.New("one that has failed too soon")
		}
		if e.Notice == Serve && r.now-c.since < 10*time.Second {
			return errors.New("one without a server too soon")
		}
		if p.stage != 0 {
			p.gen, p.stage = p.stage, 0
		}
		if h != nil {
			h.rolled = true
		}
		c.record = n
		p.holds, p.told, p.heard, p.by = true, true, r.now, r.now+10*time.Second
		if e.Notice == Serve {
			p.by = r.now + 2*time.Minute
		}
		return c.written(r, n)
	case Cut:
		if c.rolls == 0 && !c.refused && r.now-p.heard < 10*time.Second {
			return errors.New("it was not silent")
		}
		if c.turn != n {
			return errors.New("it has no turn")
		}
		if c.aim.Share < shares.Full {
			return errors.New("it keeps its share")
		}
		c.leaves(n)
		p.stage = 0
	}
	return nil
}
