package gate

import (
	"errors"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
)

// said does what a member says. fds come with it, and are closed where nobody takes
// them over.
func (g *Gate) said(s *session, m *gatewire.Message, fds []int) {
	if g.sessions[s.id] == nil || s.gone {
		closeAll(fds)
		return
	}
	if s.joined {
		g.step(&arbiter.Alive{Session: s.id})
	}
	switch m.Kind {
	case gatewire.Hello:
		g.hello(s, m, fds)
		return
	case gatewire.Call:
		g.call(s, m)
	}
	closeAll(fds) // of what is not a hello nobody takes any
}

// hello: a member says who it is. Its sockets are fds.
func (g *Gate) hello(s *session, m *gatewire.Message, fds []int) {
	problem, joined := wrongHello(s, m, len(fds)), 0
	for _, other := range g.sessions {
		switch {
		case problem != "" || other.member == "":
		case other.member != m.Container:
			joined++
		case other.conn.HungUp():
			g.ended(other, errors.New("it has connected again")) // its goroutine is about to say so
		default:
			problem = "container " + short(m.Container) + " has joined already, as " + named(other.release, other.member)
		}
	}
	switch {
	case problem != "":
		g.stranger("refused a member: " + problem)
	case joined >= maxMembers:
		problem = "the gate has 64 members, which is all that it can have"
	}
	if problem != "" {
		closeAll(fds)
		s.refuse(problem)
		return
	}
	s.member, s.release = m.Container, m.Release
	if g.gather != nil {
		s.send(&gatewire.Message{Kind: gatewire.Wait, Reason: "the gate has just started, and takes back the sockets of its members"})
		g.bring(&hello{s: s, m: m, fds: fds})
		return
	}
	g.join(&hello{s: s, m: m, fds: fds})
}

// wrongHello is what is wrong with a hello, "" if nothing is.
func wrongHello(s *session, m *gatewire.Message, fds int) string {
	switch {
	case s.member != "":
		return named(s.release, s.member) + " has said hello before"
	case m.Min > gatewire.VersionMax || m.Max < gatewire.VersionMin:
		return "it speaks versions " + strconv.Itoa(m.Min) + " to " + strconv.Itoa(m.Max) + " of the protocol, the gate " + strconv.Itoa(gatewire.VersionMin) + " to " + strconv.Itoa(gatewire.VersionMax)
	case !name(m.Container, maxContainer), m.Release != "" && !name(m.Release, maxRelease), !name(m.Life, maxContainer):
		return "it does not say who it is"
	case !isRole(arbiter.Role(m.State)) || m.Generation < 0 || m.Epoch < 0:
		return "its state makes no sense"
	case len(m.Sockets) != fds:
		return "it sends another number of sockets than it says"
	}
	return ""
}

func isRole(r arbiter.Role) bool {
	switch r {
	case "", arbiter.Holder, arbiter.Successor, arbiter.Kept, arbiter.Retired, arbiter.Superseded, arbiter.Failed:
		return true
	}
	return false
}

const (
	maxContainer = 128
	maxRelease   = 64
)

// name: a word that can be shown.
func name(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// join lets a member in, after all that its last connection has left behind. The sockets
// of its serving generation are dead where the gate does not have them: it has started in
// another network namespace, say.
func (g *Gate) join(h *hello) {
	s, m := h.s, h.m
	if s.release == "" {
		s.release = short(s.member)
	}
	now := func() {
		if g.sessions[s.id] == nil {
			g.drop(m.Container)
			return
		}
		delete(g.reasons, s.member)
		s.again = m.State != ""
		s.joined = true
		g.step(&arbiter.Join{Session: s.id, Member: s.member, Release: s.release, Life: m.Life, Epoch: m.Epoch, State: arbiter.Role(m.State),
			Generation: m.Generation, Dead: m.Generation > 0 && !g.has(s.member, m.Generation)})
	}
	g.whenDone(func() {
		if len(h.fds) == 0 {
			now()
		} else {
			g.takeBack(h, now)
		}
	})
}

// has: the generation has sockets.
func (g *Gate) has(member string, generation int) bool {
	n, ok := g.slots.find(arbiter.Slot{Member: member, Generation: generation})
	return ok && n != 0
}

// whenDone does f when no effect is left to be performed.
func (g *Gate) whenDone(f func()) {
	g.later = append(g.later, f)
	g.perform()
}

// welcome answers the hello of a member.
func (g *Gate) welcome(e *arbiter.Welcome) {
	s := g.sessions[e.Session]
	if s == nil {
		return
	}
	come := g.info
	if s.again {
		come = g.debug
	}
	s.welcomed = true
	s.send(&gatewire.Message{Kind: gatewire.Welcome, Version: gatewire.VersionMax, Epoch: e.Epoch, Role: gatewire.Role(e.Role), Order: e.Order,
		Endpoints: g.offered(), Fresh: e.Fresh, Healthy: e.Healthy})
	come("member", g.describe(s)+" has joined, as "+string(e.Role))
}
