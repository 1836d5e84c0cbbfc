package gate

import (
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
)

// call does what a member asks for. Each call has one answer.
func (g *Gate) call(s *session, m *gatewire.Message) {
	if s.calls++; s.calls > gatewire.MaxCalls {
		g.stranger(g.describe(s) + " has more than " + plural(gatewire.MaxCalls, "call", "calls") + " without an answer, and is disconnected")
		s.refuse("more than " + plural(gatewire.MaxCalls, "call", "calls") + " without an answer")
		return
	}
	if !s.welcomed {
		s.failed(m.ID, gatewire.CodeDenied, "the gate has not let it in yet")
		return
	}
	if !shares.By(m.By).Valid() { // a stranger's
		s.failed(m.ID, gatewire.CodeDenied, "cannot use by "+quote(m.By))
		return
	}
	switch m.Op {
	case gatewire.OpAdd:
		g.add(s, m)
	case gatewire.OpAim:
		g.aimOwn(s, m)
	case gatewire.OpLeave:
		g.leave(s, m)
	case gatewire.OpSleep, gatewire.OpWake:
		g.sleep(s, m)
	case gatewire.OpLook, gatewire.OpCounts, gatewire.OpShare, gatewire.OpProbe, gatewire.OpAccepted, gatewire.OpPeer, gatewire.OpListening:
		g.look(s, m)
	case gatewire.OpTwin:
		if why := g.noTwin(s, m.Endpoint); why != "" {
			s.failed(m.ID, gatewire.CodeDenied, why)
			return
		}
		g.look(s, m)

	case gatewire.OpTurn:
		g.step(&arbiter.Turn{Session: s.id, ID: m.ID})
	case gatewire.OpAsk:
		if !g.has(s.member, m.Generation) || m.Share <= 0 || m.Share > shares.Full {
			s.failed(m.ID, gatewire.CodeNone, "there is nothing to aim at: no sockets, or no share from 1 to "+percentFull)
			return
		}
		if why := g.noAsk(s, m.Generation); why != "" {
			s.failed(m.ID, gatewire.CodeDenied, why)
			return
		}
		g.step(&arbiter.Ask{Session: s.id, ID: m.ID, Generation: m.Generation, Share: m.Share, By: shares.By(m.By), Operator: m.Operator})
	case gatewire.OpRollback:
		id := g.request(func(r *arbiter.Reply) {
			if g.sessions[s.id] == nil {
				return
			}
			answer := &gatewire.Message{ID: m.ID, Container: r.Member, Release: g.releaseOf(r.Member)}
			if r.Reason != "" {
				answer.Error, answer.Code = r.Reason, gatewire.CodeDenied
			}
			s.answer(answer)
		})
		g.step(&arbiter.Rollback{ID: id, Session: s.id})
	default:
		g.noted(s, m)
	}
}

const percentFull = "10000"

// noted does what the arbiter is told, and does not answer.
func (g *Gate) noted(s *session, m *gatewire.Message) {
	if m.Reason != "" { // text of a member
		g.reasons[s.member] = clean(m.Reason)
	}
	var e arbiter.Event
	switch m.Op {
	case gatewire.OpDone:
		e = &arbiter.Done{Session: s.id}
	case gatewire.OpTook:
		if m.Generation != 0 && !g.has(s.member, m.Generation) {
			m.Generation = 0
		}
		e = &arbiter.Took{Session: s.id, Generation: m.Generation}
	case gatewire.OpLeaving:
		e = &arbiter.Leaving{Session: s.id, Died: m.Died}
	case gatewire.OpRetired:
		e = &arbiter.NoServer{Session: s.id}
	case gatewire.OpSettled:
		e = &arbiter.Settled{Session: s.id}
		if g.holds(s) { // it has asked for all that it wants: in other sockets nobody is to wait
			g.move(g.endpoints.Tidy, g.remember)
		}
	default:
		s.failed(m.ID, gatewire.CodeNone, "this gate does not know the call "+quote(string(m.Op)))
		return
	}
	g.step(e)
	s.answer(&gatewire.Message{ID: m.ID})
}

// request is the number of a request to the arbiter, which answers by then.
func (g *Gate) request(then func(*arbiter.Reply)) uint64 {
	g.lastID++
	g.requests[g.lastID] = then
	return g.lastID
}

// slot is that of the member's generation.
func (g *Gate) slot(s *session, generation int) (n int, ok bool) {
	if generation <= 0 {
		return 0, false
	}
	return g.slots.find(arbiter.Slot{Member: s.member, Generation: generation})
}

// add gives a generation its socket of one endpoint.
func (g *Gate) add(s *session, m *gatewire.Message) {
	if m.Generation <= 0 {
		s.failed(m.ID, gatewire.CodeNone, "generations are numbered from 1 on")
		return
	}
	slot := arbiter.Slot{Member: s.member, Generation: m.Generation}
	n, ok := g.slots.begin(slot)
	if !ok {
		s.failed(m.ID, gatewire.CodeFull, "the container has sockets for "+plural(maxSlots, "generation", "generations")+" already")
		return
	}
	fd, number := -1, int64(0)
	var err error
	g.move(func() {
		if fd, err = g.endpoints.Add(m.Endpoint, n, m.Together); err == nil {
			number, _ = cookie(fd)
		}
	}, func() {
		g.slots.added(slot, n, m.Endpoint, number)
		switch {
		case g.sessions[s.id] == nil: // and what it had was left behind the Add
			if err == nil {
				closeAll([]int{fd})
			}
		case err != nil:
			s.failed(m.ID, code(err), err.Error())
		default:
			g.file.lend(savedSocket{s.member, m.Generation, m.Endpoint, number})
			g.remember()
			s.answer(&gatewire.Message{ID: m.ID}, fd)
		}
	})
}

// code says for a program what an error of the endpoints is.
func code(err error) string {
	switch {
	case errors.Is(err, steer.ErrFull):
		return gatewire.CodeFull
	case errors.Is(err, ErrNone), errors.Is(err, steer.ErrNoSocket):
		return gatewire.CodeNone
	}
	return ""
}

// holds: the member has the traffic.
func (g *Gate) holds(s *session) bool { return g.holder() == s.member }

// holder is the member that has the traffic, or had it last, "" for none.
func (g *Gate) holder() string {
	state := g.arbiter.State()
	return state.Holder
}

// aimOwn moves connections between generations of the holder's own.
func (g *Gate) aimOwn(s *session, m *gatewire.Message) {
	to, ok := g.slot(s, m.Generation)
	rest, both := g.slot(s, m.Rest)
	if !both {
		rest = to
	}
	if !ok {
		s.failed(m.ID, gatewire.CodeNone, "the generation has no sockets")
		return
	}
	if !g.holds(s) {
		s.failed(m.ID, gatewire.CodeDenied, "another container has the traffic")
		return
	}
	var err error
	g.move(func() {
		var done <-chan struct{}
		if done, err = g.endpoints.AimOne(m.Endpoint, to, rest, m.Share, shares.By(m.By)); err == nil {
			<-done
		}
	}, func() {
		if err == nil && m.Share >= shares.Full && g.sessions[s.id] != nil {
			g.step(&arbiter.Moved{Session: s.id, Generation: m.Generation})
		}
		g.done(s, m, err)
	})
}

// done answers what has nothing else to say.
func (g *Gate) done(s *session, m *gatewire.Message, err error) {
	if g.sessions[s.id] == nil {
		return
	}
	if err != nil {
		s.failed(m.ID, code(err), err.Error())
		return
	}
	s.answer(&gatewire.Message{ID: m.ID})
}

// leave: a generation has no process any more.
func (g *Gate) leave(s *session, m *gatewire.Message) {
	n, ok := g.slot(s, m.Generation)
	if !ok {
		s.answer(&gatewire.Message{ID: m.ID}) // an unknown one is no error
		return
	}
	g.slots.left(arbiter.Slot{Member: s.member, Generation: m.Generation}, m.Endpoint)
	g.move(func() { g.endpoints.Leave(m.Endpoint, n) }, func() {
		g.remember()
		g.done(s, m, nil)
	})
}

// sleep has an endpoint refuse connections, or no longer.
func (g *Gate) sleep(s *session, m *gatewire.Message) {
	if !g.holds(s) {
		s.failed(m.ID, gatewire.CodeDenied, "another container has the traffic")
		return
	}
	var err error
	g.move(func() {
		if m.Op == gatewire.OpSleep {
			err = g.endpoints.Sleep(m.Endpoint)
		} else {
			err = g.endpoints.Wake(m.Endpoint)
		}
	}, func() { g.done(s, m, err) })
}

// idle is what a member wants to know of connections that were quiet for so long.
func idle(m *gatewire.Message) time.Duration {
	return time.Duration(max(0, m.IdleMS)) * time.Millisecond
}
