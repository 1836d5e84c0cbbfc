package swap

// What makes a swap cautious: a share of the traffic first, a predecessor that is
// kept, and the way back.

// canary begins the next stage of a successor that has settled.
func (m *Machine) canary(g *generation) {
	stage := m.run.canary[g.stage]
	g.stage++
	g.share = stage.Share
	g.readyBy = never
	g.canaryAt = m.now + stage.For
	m.emit(&Aim{Generation: g.number, Rest: m.active.number, Share: stage.Share})
	m.progress(g, StageCanary, "for "+seconds(stage.For))
}

func (m *Machine) checkFailed(g *generation, e *GenerationEvent) {
	if g.share > 0 {
		m.fail(g, e.Reason)
	}
}

// endKeep lets a kept predecessor go.
func (m *Machine) endKeep(g *generation) {
	g.kept, g.keepBy = false, never
	m.drain(g, "it is not kept any longer")
}

// endKeeps ends every keep. It reports whether there was one.
func (m *Machine) endKeeps() (found bool) {
	for _, g := range append([]*generation(nil), m.gens...) {
		if g.kept {
			found = true
			m.endKeep(g)
		}
	}
	return found
}

// untold finds the newest generation out of service to which the traffic can go
// back: it lives, was not told to stop, and nobody took the traffic from it.
func (m *Machine) untold() *generation {
	for i := len(m.gens) - 1; i >= 0; i-- {
		if g := m.gens[i]; g.state == Draining && !g.ended && !g.failed && !g.unfit {
			return g
		}
	}
	return nil
}

// takeBack makes a generation that was out of service the active one again.
func (m *Machine) takeBack(g *generation, cause string) {
	old := m.active
	g.clearDeadlines()
	for k := range g.workers {
		if w := &g.workers[k]; w.alive && w.ready && w.watchdog > 0 {
			w.pingBy = m.now + w.watchdog
		}
	}
	m.transition(g, Active, cause)
	m.active = g
	other := old.number
	if old.ended {
		other = 0
	}
	m.emit(&CutOver{Generation: g.number, Predecessor: other})
	m.progressOther(g, StageBack, cause, old.number)
	for k := range g.workers {
		if w := &g.workers[k]; !w.alive && m.phase == Running {
			m.start(g, k, Start{}) // it was replaced in a batch, or died meanwhile
		}
	}
}

const byRequest = "rolled back by request"

// rollback gives the traffic back, of a canary or of an active generation whose
// predecessor is still there.
func (m *Machine) rollback(e *ContainerEvent) {
	old, back := m.active, m.untold()
	switch s := m.successor(); {
	case s != nil && s.share > 0:
		m.fail(s, byRequest)
	case old.told:
		m.answer(e.Request, "the swap that is running has told the active generation to stop already")
		return
	case back == nil:
		m.answer(e.Request, "nothing to go back to: no canary runs, and no predecessor is there that was not told to stop (SWAPINIT_KEEP keeps one)")
		return
	default:
		m.takeBack(back, byRequest)
		old.unfit = true
		m.leave(old, byRequest, 0)
	}
	m.agree(e.Request)
}

// promote ends a canary, or a keep, as if its time were over.
func (m *Machine) promote(e *ContainerEvent) {
	if s := m.successor(); s != nil && s.share > 0 && !m.rolling() {
		m.cutOver(s)
	} else if !m.endKeeps() {
		m.answer(e.Request, "nothing to promote: no canary runs, and no predecessor is kept")
		return
	}
	m.agree(e.Request)
}

func (m *Machine) successor() *generation {
	if m.run == nil {
		return nil
	}
	return m.run.successor
}

// agree answers a request that was carried out.
func (m *Machine) agree(r Request) {
	if r.ID != 0 {
		m.emit(&Reply{ID: r.ID, Generation: m.active.number})
	}
}
