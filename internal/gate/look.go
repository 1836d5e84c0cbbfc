package gate

import (
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/steer"
)

// lookup is a call that changes nothing for others, on its way.
type lookup struct {
	e      *Endpoints
	m      *gatewire.Message
	slot   int
	own    map[int]int // the member's generations by slot
	answer *gatewire.Message
	fd     int // that goes with the answer, or -1
}

// look does a call that changes nothing for others: in a goroutine, as it can take the
// time of a table of the kernel's, or of a connection.
func (g *Gate) look(s *session, m *gatewire.Message) {
	n, has := g.slot(s, m.Generation)
	switch m.Op {
	case gatewire.OpLook, gatewire.OpShare, gatewire.OpProbe:
		if !has {
			s.failed(m.ID, gatewire.CodeNone, "the generation has no sockets")
			return
		}
	}
	l := &lookup{g.endpoints, m, n, map[int]int{}, &gatewire.Message{ID: m.ID}, -1}
	for _, slot := range g.slots.of(s.member) {
		number, _ := g.slots.find(slot)
		l.own[number] = slot.Generation
	}
	go func() {
		err := l.do()
		g.post(func() {
			switch {
			case g.sessions[s.id] == nil:
				if l.fd >= 0 {
					closeAll([]int{l.fd})
				}
			case err != nil:
				s.failed(m.ID, code(err), err.Error())
			case l.fd >= 0:
				s.answer(l.answer, l.fd)
			default:
				s.answer(l.answer)
			}
		})
	}()
}

func (l *lookup) do() (err error) {
	name, a := l.m.Endpoint, l.answer
	switch l.m.Op {
	case gatewire.OpLook:
		var found steer.Look
		found, err = l.e.Look(name, l.slot, idle(l.m))
		l.found(l.m.Generation, found)
	case gatewire.OpCounts:
		err = l.e.Counts(name, idle(l.m), func(slot int, found steer.Look) {
			if generation := l.own[slot]; generation != 0 {
				l.found(generation, found)
			}
		})
	case gatewire.OpShare:
		has := false
		if a.Share, has = l.e.Share(name, l.slot); !has {
			err = steer.ErrNoSocket
		}
	case gatewire.OpProbe, gatewire.OpAccepted:
		at, wrong := netip.ParseAddrPort(l.m.Address)
		switch {
		case wrong != nil:
			err = wrong
		case l.m.Op == gatewire.OpProbe:
			l.fd, err = l.e.Probe(name, l.slot, at)
		default:
			a.Yes, err = l.e.Accepted(name, at)
		}
	case gatewire.OpPeer:
		a.Address, a.Yes, err = l.e.Peer(name)
	case gatewire.OpTwin:
		twin, failed := l.e.Twin(name)
		err = failed
		if one := l.e.find(twin); one != nil && err == nil {
			a.Endpoints = append(a.Endpoints, one.shown())
		}
	case gatewire.OpListening:
		err = l.e.Listening(name, l.m.Backlog)
	}
	return err
}

func (l *lookup) found(generation int, f steer.Look) {
	l.answer.Looks = append(l.answer.Looks, gatewire.Look{Generation: generation, Open: f.Open, Idle: f.Idle, Half: f.Half, Queued: f.Queued, Unseen: f.Unseen, Busy: f.Busy})
}

// shown is an endpoint as members know it.
func (one *endpoint) shown() gatewire.Endpoint {
	return gatewire.Endpoint{Name: one.name, Text: one.Text, Twin: one.of != nil, Waits: one.group.Waits(), Unseen: one.unseen()}
}

// offered are the endpoints that every member hears of.
func (g *Gate) offered() (list []gatewire.Endpoint) {
	for _, one := range g.endpoints.list() {
		if one.of == nil {
			list = append(list, one.shown())
		}
	}
	return list
}
