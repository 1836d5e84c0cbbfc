package arbiter

import "github.com/swapinit/swapinit/internal/shares"

// request is a Turn or an Ask that has no answer.
type request struct {
	_ [0]func() // no ==, so no code for it

	m        *member
	id       int
	inside   bool // a Turn
	gen      int
	share    int
	by       shares.By
	operator bool
}

// requested: a member asks for its turn, or in it for the traffic.
func (a *Arbiter) requested(m *member, e Event) {
	r := &request{m: m, inside: true}
	switch e := e.(type) {
	case *Turn:
		r.id = e.ID
	case *Ask:
		r.id, r.inside, r.gen, r.operator = e.ID, false, e.Generation, e.Operator
		r.share, r.by = min(max(e.Share, 0), shares.Full), e.By
	}
	if m.said.ID == r.id && r.id != 0 { // it has not heard the answer
		reason, superseded := m.said.Reason, m.said.Superseded
		if reason == "" && a.turn != m && (r.inside || a.has() != m) {
			reason = "what it was granted is over"
		}
		a.answer(r, reason, superseded)
		return
	}
	if w := a.write; w != nil && w.then != nil && w.then.request != nil && w.then.request.m == m && w.then.request.id == r.id {
		return // the answer comes
	}
	for _, q := range a.queue {
		if q.m == m && q.id == r.id {
			return // the same
		}
	}
	a.forget(m, "it has asked for something else since")
	a.queue = append(a.queue, r)
}

// stops: one that leaves gets nothing any more.
func (a *Arbiter) stops(m *member, e Event) {
	r := &request{m: m}
	switch e := e.(type) {
	case *Turn:
		r.id = e.ID
	case *Ask:
		r.id = e.ID
	}
	a.answer(r, "it is stopping", false)
}

func (a *Arbiter) answer(r *request, reason string, superseded bool) {
	r.m.said = Answer{r.m.session, r.id, reason, superseded, a.epoch}
	said := r.m.said
	a.emit(&said)
}

// nextTurn answers a request that can be answered now.
func (a *Arbiter) nextTurn() bool {
	for _, r := range a.queue {
		if r.m.state == joining {
			continue // it is not known what it is
		}
		if a.hopeless(r) || r.m == a.has() && !r.inside || a.turn == nil || a.turn == r.m {
			a.withdraw(r.m)
			a.grant(r)
			return true
		}
	}
	return false
}

// hopeless: the answer is no, whoever has the turn.
func (a *Arbiter) hopeless(r *request) bool {
	h := a.has()
	if r.inside {
		return h != r.m
	}
	return h != nil && h != r.m && !r.operator && (r.m.Order < h.Order || r.m.Out != "")
}

// grant answers a request whose turn it is.
func (a *Arbiter) grant(r *request) {
	m, h := r.m, a.has()
	switch {
	case r.inside && h != m:
		a.answer(r, "another one has the traffic, or nobody", false)
	case r.inside:
		a.take(m)
		a.answer(r, "", false)
	case h == m: // it has all of it: it has not heard so, or the gate has ended since
		if m.state == regaining {
			a.took(m, &Took{m.session, r.gen})
		} else if r.gen != 0 {
			m.gen = r.gen
		}
		a.aim()
		a.answer(r, "", false)
	case a.hopeless(r):
		if m.Out == "" {
			m.Out, a.dirty = Superseded, true
		}
		if m.state == canary || m.state == rising {
			a.rest(m, "a newer one has the traffic")
		}
		a.release(m)
		a.answer(r, h.Container+" has the traffic, which is newer", true)
	case r.share < shares.Full:
		a.take(m)
		m.share, m.by, m.asked, m.operator = r.share, r.by, r.gen, r.operator
		a.enter(m, canary, "it has a share of the traffic")
		a.aim()
		a.answer(r, "", false)
	default:
		a.take(m)
		if m.state != canary { // else it keeps its share until the disk has answered
			a.enter(m, committing, "it has asked for the traffic")
			m.asked = r.gen
		}
		m.operator = r.operator
		reason := "it is the newest, and ready"
		if r.operator {
			reason = "by an operator's swap"
		}
		a.begin(&change{why: asked, to: m, gen: r.gen, from: a.holder, request: r, reason: reason})
	}
}

// take gives the turn.
func (a *Arbiter) take(m *member) {
	if a.turn != m {
		a.turn, m.heard = m, a.now
		a.pings = min(a.pings, later(a.now, pingEvery))
	}
}

// release ends the turn of m, and what it waits for.
func (a *Arbiter) release(m *member) {
	if a.turn == m {
		a.turn = nil
	}
}

// forget takes back what m has asked for.
func (a *Arbiter) forget(m *member, reason string) {
	if r := a.withdraw(m); r != nil {
		a.answer(r, reason, false)
	}
}

// withdraw takes what m has asked for out of the queue, nil if that is nothing.
func (a *Arbiter) withdraw(m *member) *request {
	for i, r := range a.queue {
		if r.m == m {
			a.queue = append(a.queue[:i:i], a.queue[i+1:]...)
			return r
		}
	}
	return nil
}

// done: its swap has ended, well or not.
func (a *Arbiter) done(m *member, _ Event) {
	a.forget(m, "its swap has ended")
	if m.state == canary || m.state == committing {
		a.rest(m, "its swap has ended")
	}
	a.release(m)
}

// cut ends the swap of a member against its will.
func (a *Arbiter) cut(m *member, reason string, rolledBack bool) {
	a.release(m)
	if m.state == canary || m.state == committing {
		a.rest(m, reason)
	}
	if m == a.has() {
		a.reaim = true // it may have divided the traffic among its own
	}
	a.aim()
	a.emit(&Tell{Session: m.session, Notice: Cut, Epoch: a.epoch, Reason: reason, RolledBack: rolledBack})
	a.note(m, "its turn is over: "+reason)
}

// fail ends a canary.
func (a *Arbiter) fail(m *member, reason string) {
	m.Out, m.failure, a.dirty = Failed, reason, true
	a.cut(m, reason, true)
}

func (a *Arbiter) unmoved(e *Unmoved) {
	if m := a.turn; m != nil && m.state == canary && a.has() != nil && e.Aim == a.aimed && e.Aim.To.Member == m.Container && e.Aim.Share < shares.Full {
		a.fail(m, "it cannot have its share: "+e.Reason)
	}
}

// ping asks those on whom others wait whether they are there.
func (a *Arbiter) ping() {
	a.pings = never
	var last *member
	for _, m := range []*member{a.turn, a.backTo()} {
		if m != nil && m != last {
			a.emit(&Ping{m.session})
			a.pings = later(a.now, pingEvery)
			last = m
		}
	}
}

func (a *Arbiter) backTo() *member {
	if a.back == nil {
		return nil
	}
	return a.back.to
}
