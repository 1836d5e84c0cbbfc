package gate

import (
	"strconv"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
)

// step gives the arbiter an event. What comes out is performed in its order: what stands
// after a move of connections waits until that is done.
func (g *Gate) step(e arbiter.Event) {
	g.effects = append(g.effects, g.arbiter.Step(g.now(), e)...)
	g.perform()
}

func (g *Gate) perform() {
	for len(g.effects) > 0 && !g.moving {
		e := g.effects[0]
		g.effects = g.effects[1:]
		switch e := e.(type) {
		case *arbiter.Save:
			g.file.save(&e.State, g.lent(), func(err error) {
				g.post(func() { g.step(&arbiter.Saved{Number: e.Number, Err: message(err)}) })
			})
		case *arbiter.Aim:
			g.aim(e)
		case *arbiter.Drop:
			g.drop(e.Member)
		case *arbiter.Welcome:
			g.welcome(e)
		case *arbiter.Refuse:
			if s := g.sessions[e.Session]; s != nil {
				s.refuse(e.Reason)
			}
		case *arbiter.Delay:
			g.tell(e.Session, &gatewire.Message{Kind: gatewire.Wait, Reason: e.Reason})
		case *arbiter.Answer:
			g.granted(e)
		case *arbiter.Tell:
			g.tell(e.Session, notice(e))
		case *arbiter.Ping:
			g.tell(e.Session, &gatewire.Message{Kind: gatewire.Ping})
		case *arbiter.Takeover:
			g.tookOver(e)
		case *arbiter.Reply:
			if do := g.requests[e.ID]; do != nil {
				delete(g.requests, e.ID)
				do(e)
			}
		case *arbiter.Note:
			g.info("member", g.name(e.Member)+": "+e.Text)
		}
	}
	for len(g.later) > 0 && len(g.effects) == 0 && !g.moving {
		do := g.later[0]
		g.later = g.later[1:]
		do()
	}
	g.tellWaiters()
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// notice is what a member is told.
func notice(e *arbiter.Tell) *gatewire.Message {
	m := &gatewire.Message{Epoch: e.Epoch, Reason: e.Reason, RolledBack: e.RolledBack}
	switch e.Notice {
	case arbiter.Lost:
		m.Kind = gatewire.Lost
	case arbiter.Back:
		m.Kind = gatewire.Back
	case arbiter.Serve:
		m.Kind = gatewire.Serve
	case arbiter.Cut:
		m.Kind = gatewire.Cut
	case arbiter.Ending:
		m.Kind = gatewire.Promote
	case arbiter.Renew:
		m.Kind = gatewire.Renew
	}
	return m
}

// tell sends a message to a member that is still there.
func (g *Gate) tell(id arbiter.Session, m *gatewire.Message) {
	if s := g.sessions[id]; s != nil {
		s.send(m)
	}
}

// granted answers OpTurn and OpAsk.
func (g *Gate) granted(e *arbiter.Answer) {
	s := g.sessions[e.Session]
	if s == nil {
		return
	}
	m := &gatewire.Message{ID: e.ID, Epoch: e.Epoch}
	if e.Reason != "" {
		m.Error, m.Code = e.Reason, gatewire.CodeDenied
		if e.Superseded {
			m.Code = gatewire.CodeSuperseded
		}
	}
	s.answer(m)
}

// move does what changes the endpoints, after all moves before it, and then what
// follows in the loop.
func (g *Gate) move(do func(), then func()) {
	g.moves.add(func() {
		do()
		g.post(then)
	})
}

// aim moves new connections on all endpoints; the zero slot has them wait. The effects
// that come after it wait for it. What fails is tried again by the endpoints.
func (g *Gate) aim(e *arbiter.Aim) {
	to, known := g.slots.find(e.To)
	rest, _ := g.slots.find(e.Rest)
	if e.Share >= shares.Full || rest == 0 {
		rest = to
	}
	if !known {
		// It has left in this moment: the arbiter will hear of that, and choose another one.
		g.debug("aim", "generation "+strconv.Itoa(e.To.Generation)+" of "+g.name(e.To.Member)+" has no sockets")
		return
	}
	g.moving = true
	var refused error
	g.move(func() {
		if to == 0 {
			if err := g.endpoints.Wait(); err != nil {
				g.warn("aim", "cannot have new connections wait: "+err.Error())
			}
			return
		}
		if g.aimed != e.To.Member {
			g.wake() // the one before may have put them to sleep
		}
		g.aimed = e.To.Member
		<-g.endpoints.Aim(to, rest, e.Share, e.By)
		refused = g.endpoints.Unmoved()
	}, func() {
		g.moving = false
		if refused != nil {
			g.step(&arbiter.Unmoved{Aim: *e, Reason: refused.Error()})
		}
		g.perform()
	})
}

// wake has all endpoints accept connections.
func (g *Gate) wake() {
	for _, e := range g.endpoints.list() {
		if g.endpoints.Asleep(e.name) {
			if err := g.endpoints.Wake(e.name); err != nil {
				g.warn("endpoint", "cannot open "+e.Address+" again: "+err.Error())
			}
		}
	}
}

// drop: nobody of a member has its sockets any more.
func (g *Gate) drop(member string) {
	var numbers []int
	for _, name := range g.slots.of(member) {
		n, _ := g.slots.find(name)
		g.slots.remove(name)
		numbers = append(numbers, n)
	}
	g.move(func() {
		if len(numbers) > 0 {
			g.endpoints.LeaveAll(numbers...)
		}
		if g.aimed == member {
			g.wake() // it had some of them refuse connections; now they wait
		}
	}, g.remember)
}

// lent are the sockets that members have now, for the state file.
func (g *Gate) lent() []savedSocket {
	if g.gather != nil {
		return g.gather.sockets
	}
	return g.slots.saved()
}

// remember writes the sockets that members have now into the state file.
func (g *Gate) remember() {
	g.file.save(nil, g.lent(), func(err error) {
		if err != nil {
			g.debug("state", err.Error())
		}
	})
}
