package swap

import (
	"fmt"
	"time"
)

// The checker's account of a container that has joined a gate.

// foreign stands for the generation of another container that has the traffic.
const foreign = 0

// member is what is known of it between the gate and the machine.
type member struct {
	turn   bool // it has asked, and not said that the turn is over
	asking bool // it has not been answered
	ask    Ask  // the latest
	result bool // the swap that has asked has ended, but for what it took

	newcomer   bool // the first start of a container that is not the first
	superseded bool
	ends       bool // the container ends when its last generation has, with final
	final      Status

	rollout string // its state

	left bool // the gate was told that the container leaves,
	told bool // or that it has no server

	killed map[int]time.Duration // as a whole, when

	away  bool
	since time.Duration

	// In this step:
	event   Event
	granted bool
	denied  bool // so the swap that has asked is to end
	hope    bool // the same, but that its successor is the only hope
	called  bool // Regained or Called
	owed    int  // so many times Took
	moved   bool // the traffic
}

// joins begins the account.
func (c *checker) joins() {
	if c.cfg.Membership == JoinsAsHolder {
		return
	}
	c.active, c.aim, c.member.told = foreign, foreign, true
	clear(c.was)
	if c.cfg.Membership == JoinsAsNewest {
		c.member.newcomer, c.swap.runs, c.swap.ready = true, true, limit(c.cfg.ReadyTimeout)
		for _, stage := range c.cfg.Canary {
			c.swap.stage = max(c.swap.stage, stage.For)
		}
	}
}

// gateSays notes what comes from the gate.
func (c *checker) gateSays(event Event) {
	m := &c.member
	m.event, m.granted, m.denied, m.hope, m.called, m.owed, m.moved = event, false, false, false, false, 0, false
	e, ok := event.(*ContainerEvent)
	if !ok || c.over {
		return
	}
	running := !c.stopping && !c.sweeping && !m.left
	answered := m.asking && e.Swap == m.ask.Number && running
	alone := c.exited[c.active] // nobody serves, and the swap goes on whatever the gate says
	switch e.Kind {
	case Granted:
		switch {
		case answered && m.ask.Share == 0:
			if m.granted = !alone; m.granted {
				c.room()
			}
		case answered:
			m.granted = true
			if m.ask.Share < Full {
				c.aim, c.share = m.ask.Generation, m.ask.Share
			}
		case e.Share == Full && c.active == foreign:
			m.owed++ // it is too late
		}
		m.asking = m.asking && !answered
	case Denied:
		off := (answered || e.Swap == 0 && m.turn && running) && !m.result
		m.denied, m.hope = off && !alone, off && alone
		m.asking = m.asking && !answered
		m.superseded = m.superseded || m.denied && m.newcomer && e.Superseded
	case Lost:
		if running && c.active != foreign {
			c.loses(e)
		}
	case Regained, Called:
		m.owed++
		m.called = true
	case Away:
		if !m.away {
			m.away, m.since = true, c.now
		}
	case Here:
		if m.away {
			m.away = false
			for a, w := range c.waits {
				if waitsForTheGate(a) && w.by < unlimited {
					w.by += c.now - max(m.since, w.begun)
				}
			}
		}
	}
}

// loses: another container has the traffic.
func (c *checker) loses(e *ContainerEvent) {
	g := c.active
	c.left[g], c.rolledBack[g], c.knownGood[foreign] = true, c.rolledBack[g] || e.Back, g
	c.active, c.aim, c.share, c.full = foreign, foreign, Full, false
	c.swap.lent = nil
	c.done(g, "released", "given back")
	if e.Back {
		c.member.ends, c.member.final = true, Status{Code: 1}
	}
}

// waitsForTheGate: it tells when that is over, and while it is away nobody retires.
func waitsForTheGate(a about) bool { return a.what == "kept" || a.what == "drained" }

func (c *checker) standsStill(a about) bool { return c.member.away && waitsForTheGate(a) }

// watch: the connections of a generation are watched, those of the active one while the
// container waits for them before it stops.
func (c *checker) watch(g int) error {
	if c.watched[g] {
		return fmt.Errorf("its connections are watched already")
	}
	c.watched[g] = true
	if g == c.active {
		if !c.stopping || !c.cfg.Drain || c.cfg.StopDrain == 0 {
			return fmt.Errorf("it serves, and nobody wants it to stop")
		}
		c.idleBy = c.now + c.cfg.StopDrain
	}
	return nil
}

// stopsInTime: the stop signal waits for the connections of the active generation.
func (c *checker) stopsInTime(g int, sig Signal, again bool) error {
	if !c.stopping || g != c.active || again || sig != c.cfg.StopSignal || !c.cfg.Drain || c.cfg.StopDrain == 0 {
		return nil
	}
	if c.idleBy < 0 || c.now < c.idleBy {
		return fmt.Errorf("it is told to stop while it has connections")
	}
	return nil
}

// idleBut: the connections of nobody but g are still waited for.
func (c *checker) idleBut(g int) bool {
	for other := range c.watched {
		if other != g && (other != c.active || c.idleBy > c.now) {
			return false
		}
	}
	return true
}

// hasIt: the container has the traffic, and with it another chance.
func (c *checker) hasIt() {
	c.member.moved, c.member.ends, c.member.final = true, false, Status{}
}

// finalStatus is that of the generation that has the traffic; without one 0, or what a
// failure says.
func (c *checker) finalStatus() Status {
	if c.active == foreign && c.cfg.Membership != Alone {
		return c.member.final
	}
	return c.status[c.active]
}

// gateHasTheWord: nothing happens before it says something.
func (c *checker) gateHasTheWord() bool {
	return c.member.away || c.member.asking && !c.exited[c.active]
}

// withoutServer: a container that has no server left says so, or ends, whatever survives
// KILL.
func (c *checker) withoutServer(m account) error {
	if c.active != foreign || m.Swapping() || c.sweeping {
		return nil
	}
	left := false // of one whose end is still waited for
	for g := range c.alive {
		at, killed := c.member.killed[g]
		if !c.exited[g] && !(killed && c.now >= at+abandon) {
			return nil
		}
		left = left || c.exited[g]
	}
	if c.member.ends || c.stopping {
		return fmt.Errorf("nobody lives any more, and the container does not end")
	}
	if !left && !c.member.told {
		return fmt.Errorf("nobody lives any more, and the gate does not know")
	}
	return nil
}

// quietWithout is for a container without the traffic.
func (c *checker) quietWithout(m account, active, living int) error {
	switch {
	case active > 0:
		return fmt.Errorf("Liveness: it takes itself for the one that has the traffic: %v", describeViews(m))
	case living == 0 && c.member.ends:
		return fmt.Errorf("Liveness: a container that does not end: %v", describeViews(m))
	case living == 0 && !c.member.told:
		return fmt.Errorf("Liveness: the gate does not know that it has no server")
	}
	return nil
}
