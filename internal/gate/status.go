package gate

import (
	"cmp"
	"os"
	"strconv"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
)

// report answers status: the loop's part here, the counts of connections in a goroutine.
func (g *Gate) report(c *control.Call) {
	state := g.arbiter.State()
	gate := &control.Gate{Epoch: state.Epoch, Holder: state.Holder}
	s := &control.Status{V: control.Version, Pid: os.Getpid(), Ready: g.unhealthy() == "", Gate: gate, Version: g.config.Version}
	if g.takeover != nil {
		t := *g.takeover
		t.AgoMS = (g.now() - g.tookAt).Milliseconds()
		gate.LastTakeover = &t
	}
	of, by := map[int]*control.GateMember{}, g.arbiter.By()
	views := g.views()
	gate.Members = make([]control.GateMember, len(views))
	for i := range views { // newest first
		v, m := &views[len(views)-1-i], &gate.Members[i]
		*m = control.GateMember{Container: v.Container, Release: v.Release, Order: v.Order, State: v.State, SinceMS: (g.now() - v.Since).Milliseconds(), Reason: clean(v.Reason),
			Connected: v.Session != 0, Settled: v.Settled}
		for _, slot := range g.slots.of(v.Container) {
			n, _ := g.slots.find(slot)
			of[n] = m
		}
		if len(g.slots.of(v.Container)) > 0 {
			if v.Share%shares.Full == 0 || !by.ByNetworks() {
				m.Share = new(v.Share)
			}
		}
	}
	if by != shares.Random {
		s.CanaryBy = by.Text()
	}
	r := &control.Reply{OK: true, Status: s}
	if g.gather != nil {
		c.Done(r)
		return
	}
	go func() {
		g.count(s, of)
		c.Done(r)
	}()
}

// count adds the endpoints, and the connections of those who have the slots.
func (g *Gate) count(s *control.Status, of map[int]*control.GateMember) {
	for _, e := range g.endpoints.list() {
		if s.CanaryBy != "" && s.OneAddress == "" {
			if from, known, _ := g.endpoints.Peer(e.name); known {
				s.OneAddress = from
			}
		}
		s.Endpoints = append(s.Endpoints, control.Endpoint{Name: e.name, Address: e.Address, Steered: true, Reason: cmp.Or(e.group.Reason(), e.unseen())})
		_ = g.endpoints.Counts(e.name, g.set.IdleAfter, func(slot int, l steer.Look) {
			if m := of[slot]; m != nil {
				if !l.Unseen {
					count(&m.Open, l.Open)
					count(&m.Idle, l.Idle)
				}
				count(&m.Queued, l.Queued)
			}
		})
	}
}

func count(to **int, n int) {
	if *to == nil {
		*to = new(int)
	}
	**to += n
}

// moved is a takeover whose connections are counted.
type moved struct {
	own, before map[int]bool // slots of the member, and of its predecessor

	serves               bool // it has sockets, in which connections have waited; else they wait in the gate's
	waited, open, queued int
	unseen               bool
}

// tookOver is the line of the log that a takeover gets, and what status tells of it. What
// the predecessor has open is counted in a goroutine.
func (g *Gate) tookOver(e *arbiter.Takeover) {
	t := &control.Takeover{Container: e.Member, Release: g.releaseOf(e.Member), Predecessor: e.Predecessor, Reason: clean(e.Reason)}
	g.takeover, g.tookAt = t, g.now()
	from := e.Predecessor
	if from == e.Member {
		from = ""
	}
	line := g.name(e.Member) + " has the traffic"
	if from != "" {
		line += ", from " + g.name(from)
	}
	if t.Reason != "" {
		line += " (" + t.Reason + ")"
	}
	m := &moved{own: map[int]bool{}, before: map[int]bool{}}
	for n, slot := range g.slots.names() {
		m.own[n] = slot.Member == e.Member
		m.serves = m.serves || m.own[n]
		m.before[n] = slot.Member == from
	}
	began := clock.Now()
	go func() {
		m.count(g.endpoints)
		g.post(func() {
			suffix := ""
			if !m.unseen {
				t.Waited, t.Drained = &m.waited, &m.open
				suffix = ": " + plural(m.waited, "connection", "connections") + " had waited"
				if from != "" {
					suffix += ", " + strconv.Itoa(m.open+m.queued) + " to drain"
				}
			}
			g.debug("takeover", "counted in "+clock.Since(began).String())
			g.info("takeover", line+suffix)
		})
	}()
}

func (m *moved) count(e *Endpoints) {
	for _, one := range e.list() {
		if !m.serves {
			n, err := e.Queued(one.name)
			m.waited, m.unseen = m.waited+n, m.unseen || err != nil
		}
		err := e.Counts(one.name, 0, func(slot int, l steer.Look) {
			switch {
			case m.own[slot]:
				m.waited += l.Queued
			case m.before[slot]:
				m.open += l.Open - l.Queued
				m.queued += l.Queued
			}
			m.unseen = m.unseen || l.Unseen
		})
		m.unseen = m.unseen || err != nil
	}
}
