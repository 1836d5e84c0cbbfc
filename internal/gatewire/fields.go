package gatewire

import (
	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/wire"
)

// What a line has, in its order; see package wire. A test finds fields that are not there.

func (m *Message) fields(c *wire.Codec) {
	c.String("kind", (*string)(&m.Kind))
	c.Int("id?", &m.ID)
	c.String("op?", (*string)(&m.Op))
	c.String("endpoint?", &m.Endpoint)
	c.Int("generation?", &m.Generation)
	c.Int("rest?", &m.Rest)
	c.Int("share?", &m.Share)
	c.String("by?", &m.By)
	c.Bool("together?", &m.Together)
	c.Bool("operator?", &m.Operator)
	c.Bool("died?", &m.Died)
	c.Int64("idle_ms?", &m.IdleMS)
	c.String("address?", &m.Address)
	c.Int("backlog?", &m.Backlog)
	c.Int("min?", &m.Min)
	c.Int("max?", &m.Max)
	c.String("container?", &m.Container)
	c.String("release?", &m.Release)
	c.String("life?", &m.Life)
	c.String("state?", &m.State)
	c.List("sockets?", len(m.Sockets), func(i int) {
		if i == len(m.Sockets) {
			m.Sockets = append(m.Sockets, Socket{})
		}
		m.Sockets[i].fields(c)
	})
	c.Int("version?", &m.Version)
	c.Int64("epoch?", &m.Epoch)
	c.String("role?", (*string)(&m.Role))
	c.Int("order?", &m.Order)
	c.List("endpoints?", len(m.Endpoints), func(i int) {
		if i == len(m.Endpoints) {
			m.Endpoints = append(m.Endpoints, Endpoint{})
		}
		m.Endpoints[i].fields(c)
	})
	c.Bool("fresh?", &m.Fresh)
	c.Bool("healthy?", &m.Healthy)
	c.String("error?", &m.Error)
	c.String("code?", &m.Code)
	c.String("reason?", &m.Reason)
	c.Bool("rolled_back?", &m.RolledBack)
	c.Bool("yes?", &m.Yes)
	c.List("looks?", len(m.Looks), func(i int) {
		if i == len(m.Looks) {
			m.Looks = append(m.Looks, Look{})
		}
		m.Looks[i].fields(c)
	})
	c.Int("fds?", &m.FDs)
}

func (s *Socket) fields(c *wire.Codec) {
	c.String("endpoint", &s.Endpoint)
	c.Int("generation", &s.Generation)
}

func (e *Endpoint) fields(c *wire.Codec) {
	c.String("name", &e.Name)
	c.String("text", &e.Text)
	c.Bool("twin?", &e.Twin)
	c.Bool("waits?", &e.Waits)
	c.String("unseen?", &e.Unseen)
}

func (l *Look) fields(c *wire.Codec) {
	c.Int("generation", &l.Generation)
	c.Int("open", &l.Open)
	c.Int("idle", &l.Idle)
	c.Int("half", &l.Half)
	c.Int("queued", &l.Queued)
	c.Bool("unseen", &l.Unseen)
	busy.List(c, "busy?", &l.Busy)
}
