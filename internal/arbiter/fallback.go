package arbiter

import "time"

// takeback is the wait for the answer of one that was told to take the traffic.
type takeback struct {
	_ [0]func() // no ==, so no code for it

	to     *member
	by     time.Duration
	out    Role // what it was before
	why    cause
	any    time.Duration // when one without a server may be the next
	verb   *verb
	reason string
}

// tellBack tells the new holder that it is one.
func (a *Arbiter) tellBack(c *change, h *member, was Role, any time.Duration) {
	m := c.to
	b := &takeback{to: m, by: later(a.now, backLimit), out: was, why: c.why, any: any, verb: c.verb, reason: c.reason}
	notice := Back
	if c.why == served {
		notice, b.by = Serve, later(a.now, serveLimit)
	}
	if c.why == rolled {
		a.unaware = h
	}
	a.back = b
	m.heard = a.now
	a.pings = min(a.pings, later(a.now, pingEvery))
	a.emit(&Tell{Session: m.session, Notice: notice, Epoch: a.epoch, Reason: c.reason})
}

func (a *Arbiter) backBy() time.Duration { return min(a.back.by, later(a.back.to.heard, turnLimit)) }

// took: the one that was told to take the traffic has it, or cannot.
func (a *Arbiter) took(m *member, e Event) {
	n := generation(e)
	if n == 0 {
		a.refused(m, "it cannot take the traffic")
		return
	}
	b := a.back
	a.back = nil
	m.gen = n
	a.enter(m, holding, b.reason)
	a.aim()
	from := a.unaware
	a.aware(b.reason)
	a.takeover(m, from, b.reason)
	if b.verb != nil {
		a.reply(*b.verb, m.Container, "")
	}
}

// tookLate: it has not answered in time. If nobody else has the traffic it is welcome.
func (a *Arbiter) tookLate(m *member, e Event) {
	n := generation(e)
	if n != 0 && (m.state == canary || m.state == committing) {
		a.rest(m, "it takes itself for the holder") // its swap is over
	}
	switch {
	case n == 0:
	case n == m.deadGen: // a repetition, from before the gate's end
		a.tellLost(m, "its sockets are dead", false)
	case a.has() == nil && a.undone() == nil && m == a.holder && (a.write == nil || a.write.then == nil):
		m.gen, m.Out, m.ends, a.dirty = n, "", "", true
		a.enter(m, holding, "it has answered late")
		a.serve()
		a.aim()
		a.takeover(m, nil, m.reason)
	default:
		if m.Out == "" {
			m.Out, a.dirty = Retired, true
		}
		m.gen = n // it serves, and may be told again
		a.rest(m, "it has answered late")
		a.tellLost(m, "another one has the traffic, or gets it", false)
	}
	m.refuses = m.refuses && n == 0
}

// corrected: it has the traffic already, as it said in another way, with another generation.
func (a *Arbiter) corrected(m *member, e Event) {
	if n := generation(e); n != 0 {
		m.gen = n
	}
}

// refused: the one that was told to take the traffic does not. It stays the recorded one
// until another one takes over.
func (a *Arbiter) refused(m *member, reason string) {
	b := a.back
	a.back = nil
	m.gen, m.Out, a.dirty = 0, b.out, true
	m.refuses = b.why == served // else it has just no server
	a.enter(m, idle, reason)
	a.release(m)
	a.note(m, reason)
	if b.verb != nil {
		a.reply(*b.verb, "", m.Container+" does not take the traffic: "+reason)
	}
	a.vacate(a.now)
	a.any = max(a.now, b.any)
	if b.why == rolled { // until now somebody served
		a.any = later(a.now, vacantLimit)
	}
}

// undone is one from which the traffic was taken by a rollback that came to nothing. It
// has not heard of it, and has the traffic again.
func (a *Arbiter) undone() *member {
	if m := a.unaware; m != nil && a.has() == nil && (m.state == kept || m.state == idle) {
		return m
	}
	return nil
}

func (a *Arbiter) restore() bool {
	m := a.undone()
	if m != nil {
		a.begin(&change{why: restored, to: m, gen: m.gen, from: a.holder, reason: "the rollback has failed"})
	}
	return m != nil
}

// aware tells the one that has not heard yet that it has lost the traffic.
func (a *Arbiter) aware(reason string) {
	m := a.unaware
	a.unaware = nil
	if m != nil && m != a.holder && (m.state == kept || m.state == idle) {
		a.tellLost(m, reason, true)
	}
}

// dropBack: what was waited for does not matter any more, another one has taken over.
func (a *Arbiter) dropBack(b *takeback) {
	if b != nil && b.verb != nil {
		a.reply(*b.verb, "", "another one has the traffic")
	}
}

// candidate is the newest one that serves and could have the traffic at once: one in
// canary, else one that is kept; with failed also one from which the traffic was taken.
func (a *Arbiter) candidate(failed bool) *member {
	var c *member
	for i := len(a.members) - 1; i >= 0; i-- {
		m := a.members[i]
		switch {
		case m.state == canary:
			return m
		case c == nil && m.state == kept && m.gen != 0 && (failed || m.Out != Failed):
			c = m
		}
	}
	return c
}

// serverless is the newest one without a server that may be told to start one.
func (a *Arbiter) serverless() *member {
	for i := len(a.members) - 1; i >= 0; i-- {
		m := a.members[i]
		if m.state == idle && !m.refuses && (m.Out == Failed || m.Out == Superseded || m == a.holder) {
			return m
		}
	}
	return nil
}

// fallBack finds somebody for the traffic that nobody has.
func (a *Arbiter) fallBack() bool {
	why, c := fallen, a.candidate(a.now >= a.any)
	if c != nil && c.state != canary && a.now < a.kept {
		c = nil
	}
	if c == nil && a.now >= a.any {
		why, c = served, a.serverless()
	}
	if c == nil {
		return false
	}
	n := c.gen
	if c.state == canary {
		n = c.asked
	}
	a.begin(&change{why: why, to: c, gen: n, from: a.holder, reason: "nobody else serves"})
	return true
}
