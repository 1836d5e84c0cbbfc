package arbiter

import "time"

// cause is why the traffic goes to another one.
type cause uint8

const (
	asked    cause = iota // it has asked, and was ready
	joined                // nobody else was there
	fallen                // the holder has ended, this one serves
	served                // nobody serves, this one has to start a server
	rolled                // an operator's rollback
	restored              // the one to which was rolled back cannot take the traffic
	claimed               // it had the traffic all along, the state file was lost
)

// change is a change of the holder, from its Save to its Saved. Until then it has not
// happened.
type change struct {
	_ [0]func() // no ==, so no code for it

	why     cause
	to      *member
	joins   int   // of to
	state   state // of to; it must still have it at the end
	gen     int   // that is to get the traffic; 0: none yet
	order   int   // that to is to have
	from    *member
	out     Role     // what from is to be, on the disk
	request *request // asked
	verb    *verb    // rolled, restored, fallen: the operator's
	reason  string
}

// write is a Save without an answer.
type write struct {
	number int
	by     time.Duration
	then   *change // nil: nothing waits for it
}

// begin writes the state in which a change has happened.
func (a *Arbiter) begin(c *change) {
	c.joins, c.state, c.order = c.to.joins, c.to.state, c.to.Order
	if c.to.operator && (c.why == asked || c.to.state == canary) {
		a.last++ // at once: who joins meanwhile is newer still
		c.order = a.last
	}
	c.out = c.fate()
	a.save(c)
}

// fate is what the one that had the traffic is from now on.
func (c *change) fate() Role {
	from := c.from
	switch {
	case from == nil || from == c.to:
		return ""
	case c.why == rolled:
		return Failed
	case c.why == restored || from.state == holding || from.state == regaining:
		return Retired
	case from.ends != "":
		return from.ends
	}
	return from.Out // it was away all the time: its number decides
}

// save writes what is to be remembered, with a change as if it had happened.
func (a *Arbiter) save(c *change) {
	s := a.State()
	if c != nil {
		s.Epoch++
		s.Holder = c.to.Container
		at := 0
		for i := range s.Members {
			switch m := &s.Members[i]; {
			case m.Container == c.to.Container:
				m.Out, m.Order, at = "", c.order, i
			case c.from != nil && m.Container == c.from.Container:
				m.Out = c.out
			}
		}
		if to := s.Members[at]; c.order == a.last { // sorted
			copy(s.Members[at:], s.Members[at+1:])
			s.Members[len(s.Members)-1] = to
		}
	}
	if a.stuck {
		a.decide(c, hangs)
		return
	}
	a.saves++
	a.dirty = false
	a.write = &write{a.saves, later(a.now, saveLimit), c}
	a.emit(&Save{a.saves, s})
}

const hangs = "the disk does not answer"

// saved: the disk has answered.
func (a *Arbiter) saved(e *Saved) {
	if e.Number != a.saves {
		return // an old gate's
	}
	a.stuck, a.retryAt = false, 0
	if e.Err != "" {
		a.dirty, a.retryAt = true, later(a.now, saveAgain)
	}
	if w := a.write; w != nil {
		a.write = nil
		a.decide(w.then, e.Err)
	}
}

// unsaved: the disk has not answered in time. Until it does nothing more is written to it:
// changes that need it are refused, others happen without.
func (a *Arbiter) unsaved() {
	w := a.write
	a.write, a.stuck, a.dirty = nil, true, true
	a.decide(w.then, hangs)
}

// decide: the change that was to be written happens, or does not.
func (a *Arbiter) decide(c *change, err string) {
	switch {
	case c == nil:
	case !a.able(c):
		a.abandon(c, "it has ended meanwhile, or its swap has")
	case err != "" && c.needsDisk(a.has()):
		a.abandon(c, "cannot write the gate's state: "+err)
	default:
		a.apply(c)
	}
}

// able: the one that is to get the traffic is still as it was.
func (a *Arbiter) able(c *change) bool {
	m := c.to
	if c.why == restored { // it goes on as if nothing had been, whatever it did meanwhile
		return m == a.undone()
	}
	if c.why == asked && a.undone() != nil {
		return false // it asked for what another one had, whose number may be lower
	}
	return m.joins == c.joins && m.state == c.state && (c.why == asked || c.state == joining || c.gen == 0 || c.gen == m.gen || c.gen == m.asked)
}

// atOnce: the traffic need not wait for the disk, as nobody else accepts it; what came
// meanwhile would be reset.
func (c *change) atOnce() bool { return c.why == fallen && c.gen != 0 }

// needsDisk: without the disk the one that serves goes on serving. Where nobody does,
// one that is not written down is better.
func (c *change) needsDisk(h *member) bool {
	return h != nil && (c.why == asked || c.why == rolled)
}

// abandon: it has not happened. The disk says that it has, so it is written again.
func (a *Arbiter) abandon(c *change, reason string) {
	a.epoch++ // nobody has heard of that one
	a.dirty = true
	switch c.why {
	case asked:
		if c.to.joins != c.joins || c.to.session == 0 {
			break // it asks again on its new connection, if it is the same life
		}
		if c.to.state == c.state {
			a.rest(c.to, reason)
		}
		a.release(c.to)
		a.answer(c.request, reason, false)
	default:
		if c.verb != nil {
			a.reply(*c.verb, "", reason)
		}
	}
}

// apply: it is on the disk, and happens now.
func (a *Arbiter) apply(c *change) {
	h, m := a.has(), c.to
	any := a.any
	if a.phase != vacant {
		any = later(a.now, vacantLimit)
	}
	waits := a.back
	a.back = nil
	if out := c.fate(); c.from != nil && c.from != m {
		a.dirty = a.dirty || out != c.out // it has ended meanwhile
		if c.from.Out, c.from.failure = out, ""; c.why == rolled {
			c.from.failure = c.reason
		}
	}
	was := m.Out
	if c.state == joining || c.why == restored {
		c.gen = m.gen // it may have moved its traffic meanwhile
	}
	a.epoch++
	m.Out, m.Order, m.ends, m.gen = "", c.order, "", c.gen
	a.sort()
	a.holder = m
	a.serve()
	hello := m.hello
	switch c.why {
	case fallen, served, rolled:
		if hello == nil {
			a.enter(m, regaining, c.reason)
			break
		}
		fallthrough // it takes itself for the holder already
	default:
		a.enter(m, holding, c.reason)
	}
	if h != nil && h != m {
		a.rest(h, "another one has the traffic")
	}
	a.aim()
	switch {
	case c.why == asked:
		m.heard = a.now // the time for which the disk was waited for is not its silence
		a.answer(c.request, "", false)
	case hello != nil:
		a.welcome(m, hello)
	case c.why == restored: // it was not told that it had lost the traffic
	default:
		a.tellBack(c, h, was, any)
		return
	}
	if c.why == asked || c.why == claimed {
		a.tellLost(h, c.reason, false)
	}
	a.dropBack(waits)
	a.aware("another one has the traffic")
	a.takeover(m, c.from, c.reason)
	if c.verb != nil {
		a.reply(*c.verb, m.Container, "")
	}
}

// tellLost tells one that had the traffic, if it is there to hear it.
func (a *Arbiter) tellLost(m *member, reason string, rolledBack bool) {
	if m != nil && m.session != 0 && m.state != leaving {
		a.release(m) // what it had the turn for is over
		a.emit(&Tell{Session: m.session, Notice: Lost, Epoch: a.epoch, Reason: reason, RolledBack: rolledBack})
	}
}

func (a *Arbiter) takeover(m, from *member, reason string) {
	t := &Takeover{Member: m.Container, Reason: reason}
	if from != nil && from != m {
		t.Predecessor = from.Container
	}
	a.emit(t)
}
