package arbiter

// verb is what an operator asks for.
type verb struct {
	id      uint64
	session Session
	promote bool
}

func (a *Arbiter) verb(v verb) {
	switch {
	case a.phase == recovering:
		a.reply(v, "", "the gate waits for "+a.holder.Container+", which had the traffic")
	case len(a.verbs) == maxVerbs:
		a.reply(v, "", "too many requests are waiting")
	default:
		a.verbs = append(a.verbs, v)
	}
}

func (a *Arbiter) reply(v verb, container, reason string) {
	a.emit(&Reply{ID: v.id, Member: container, Reason: reason})
}

// nextVerb does what an operator asked for, once the traffic is where it belongs.
func (a *Arbiter) nextVerb() bool {
	if len(a.verbs) == 0 || a.back != nil {
		return false
	}
	v := a.verbs[0]
	a.verbs = a.verbs[1:]
	if v.promote {
		a.promote(v)
	} else {
		a.rollback(v)
	}
	return true
}

// rollback ends a canary, else gives the traffic back to the newest one that is kept.
func (a *Arbiter) rollback(v verb) {
	h := a.has()
	if v.session != 0 {
		if m := a.bySession(v.session); m == nil || m != h && m.state != canary {
			a.reply(v, "", "it does not have the traffic")
			return
		}
	}
	c := a.candidate(false)
	switch {
	case c == nil:
		a.reply(v, "", "nothing to go back to: no canary runs, and no member is kept that was not told to stop (SWAPINIT_KEEP keeps one); to go back, start the older release again")
	case c.state == canary && h != nil:
		a.fail(c, "rolled back by request")
		a.reply(v, h.Container, "")
	default:
		why := rolled
		if h == nil {
			why = fallen
		}
		a.begin(&change{why: why, to: c, gen: c.gen, from: a.holder, verb: &v, reason: "rolled back by request"})
	}
}

// promote ends canaries and keeps well. Who is told decides for itself.
func (a *Arbiter) promote(v verb) {
	told, h := false, ""
	for _, m := range a.members {
		if m.state == canary || m.state == kept && m.gen != 0 {
			a.emit(&Tell{Session: m.session, Notice: Ending, Epoch: a.epoch, Reason: "promoted by request"})
			told = true
		}
	}
	if m := a.has(); m != nil {
		h = m.Container
	}
	if !told {
		a.reply(v, "", "nothing to promote: no canary runs, and no member is kept")
		return
	}
	a.reply(v, h, "")
}
