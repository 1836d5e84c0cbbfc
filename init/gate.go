package pid1

import (
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/member"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/swap"
)

// membership is what this init is at its gate, nil where it has joined none. It is the
// loop's, but for member.
type membership struct {
	member    *member.Member
	path      string
	role      gatewire.Role // as the gate has said it last
	epoch     int64
	endpoints []gatewire.Endpoint
	healthy   bool       // it had the traffic, and was settled
	away      clock.Time // since when the gate cannot be reached; zero: it can
}

// machine is what the machine has to know of it.
func (g *membership) machine() swap.Membership {
	switch {
	case g == nil:
		return swap.Alone
	case g.role == gatewire.Holder:
		return swap.JoinsAsHolder
	case g.role == gatewire.Successor:
		return swap.JoinsAsNewest
	}
	return swap.JoinsWithout
}

// listens has the endpoints as in SWAPINIT_LISTEN.
func (g *membership) listens() (text string) {
	if g != nil {
		for _, e := range g.endpoints {
			text += " " + e.Text
		}
	}
	return text
}

// lent makes the endpoints of the gate ours. Their sockets come with the generations.
func (i *Init) lent() error {
	var specs []listen.Spec
	for _, e := range i.gate.endpoints {
		list, err := listen.Parse(e.Text)
		if err != nil || len(list) != 1 {
			return errors.New("the gate at " + i.gate.path + " names an endpoint that this swapinit cannot use: " + e.Text)
		}
		specs = append(specs, list[0])
	}
	i.endpoints = listen.Lent(specs)
	for n, e := range i.endpoints.Endpoints() {
		group := i.gate.member.Group(i.gate.endpoints[n])
		s := &endpoint{Endpoint: e, index: n, remote: group}
		if e.IsTCP() {
			s.tcp = group
		}
		i.endpoints.Steer(n, group)
		i.steering.steer(s, group)
		i.steering.add(s)
	}
	return nil
}

// follow begins to hear what the gate says.
func (i *Init) follow() {
	if i.gate != nil {
		i.claim()
		i.gate.member.Start(
			func(m *gatewire.Message) { i.post(func() { i.gateSays(m) }) },
			func(away bool) { i.post(func() { i.gateAway(away) }) })
	}
}

// claim is what the next hello says of us, in case that the gate goes.
func (i *Init) claim() {
	g := i.gate
	state, n := gatewire.Holder, i.machine.Active()
	if n == 0 {
		state = g.role
		if state == gatewire.Holder {
			state = gatewire.Kept
		}
		for _, v := range i.machine.Views() { // oldest first
			if v.State == swap.Draining && !v.Failed && !v.Ended {
				state, n = gatewire.Kept, v.Number
			}
		}
	}
	g.member.Claim(state, n, g.epoch)
}

// gateSays does what the gate has said.
func (i *Init) gateSays(m *gatewire.Message) {
	g := i.gate
	if m.Epoch > g.epoch {
		g.epoch = m.Epoch
	}
	i.debug("gate.said", "the gate says "+string(m.Kind)+" "+string(m.Role)+" "+m.Reason, 0, 0)
	switch m.Kind {
	case gatewire.Welcome: // again, it was away
		if g.role = m.Role; m.Role != gatewire.Holder && i.machine.Active() != 0 {
			i.step(&swap.ContainerEvent{Kind: swap.Lost, Reason: "another container has the traffic"})
		}
	case gatewire.Lost:
		g.role = gatewire.Kept
		i.step(&swap.ContainerEvent{Kind: swap.Lost, Reason: m.Reason, Back: m.RolledBack})
	case gatewire.Back:
		i.step(&swap.ContainerEvent{Kind: swap.Regained, Reason: m.Reason})
	case gatewire.Serve:
		i.step(&swap.ContainerEvent{Kind: swap.Called, Reason: m.Reason})
	case gatewire.Cut:
		i.step(&swap.ContainerEvent{Kind: swap.Denied, Reason: m.Reason})
	case gatewire.Promote:
		i.step(&swap.ContainerEvent{Kind: swap.Promote})
	case gatewire.Renew:
		i.renew()
	}
	i.claim()
}

// renew swaps for sockets that get connections: those that the server has are of a gate
// that has gone with its network.
func (i *Init) renew() {
	i.warn("gate.renew", "the gate has come back with new sockets, and those of the server get no connection any more: it is swapped for one with new ones", 0, 0)
	i.step(&swap.ContainerEvent{Kind: swap.Swap, Request: swap.Request{Again: true}})
}

// gateAway notes that the gate cannot be reached, or can again.
func (i *Init) gateAway(away bool) {
	g := i.gate
	switch {
	case away && g.away.IsZero():
		g.away = clock.Now()
		i.warn("gate.away", "the gate at "+g.path+" cannot be reached: the server goes on, nobody is retired and "+doctor.NoSwap, 0, 0)
		i.step(&swap.ContainerEvent{Kind: swap.Away})
	case !away && !g.away.IsZero():
		i.info("gate.back", "the gate at "+g.path+" is back after "+clock.Since(g.away).Round(time.Millisecond).String(), 0, 0)
		g.away = 0
		i.step(&swap.ContainerEvent{Kind: swap.Here})
	}
}

// asked passes on what the machine asks of the gate.
func (i *Init) askGate(f *swap.Ask) {
	call := &gatewire.Message{Op: gatewire.OpAsk, Generation: f.Generation, Share: f.Share, By: string(i.gens.by(f.Generation, f.Share)), Operator: f.Operator}
	if f.Share == 0 {
		call = &gatewire.Message{Op: gatewire.OpTurn}
	}
	i.gate.member.Post(call, func(a *gatewire.Message, err error) {
		e := &swap.ContainerEvent{Kind: swap.Granted, Swap: f.Number, Share: f.Share}
		switch {
		case err != nil:
			e.Kind, e.Reason = swap.Denied, err.Error()
		case a.Error != "":
			e.Kind, e.Reason, e.Superseded = swap.Denied, a.Error, a.Code == gatewire.CodeSuperseded
		}
		i.post(func() {
			if a != nil && a.Epoch > i.gate.epoch {
				i.gate.epoch = a.Epoch
			}
			switch {
			case e.Kind == swap.Granted && f.Share == shares.Full:
				i.gate.role = gatewire.Holder
			case e.Superseded:
				i.gate.role = gatewire.Superseded
				i.info("gate.superseded", e.Reason, 0, 0)
			}
			i.step(e)
			if i.gate.role == gatewire.Holder && e.Kind == swap.Granted && f.Share == shares.Full {
				i.settled()
			}
			i.claim()
		})
	})
}

// settled: it has the traffic, and is healthy from now on. The gate is told each time.
func (i *Init) settled() {
	if g := i.gate; g != nil && i.machine.Active() != 0 {
		g.healthy = true
		g.member.Post(&gatewire.Message{Op: gatewire.OpSettled}, nil)
	}
}

// settles is called when the generation with the traffic is ready: one that had it from
// its start has yet to settle.
func (i *Init) settles(n int) {
	if i.gate == nil || i.machine.Active() != n {
		return
	}
	time.AfterFunc(i.set.Settle, func() {
		i.post(func() {
			if g := i.gens.live[n]; i.machine.Active() == n && g != nil && !g.ended() {
				i.settled()
			}
		})
	})
}

// tellGate tells the gate something. While hold, what the machine does next waits until
// the gate has answered, or could not within yieldTime.
func (i *Init) tellGate(call *gatewire.Message, hold bool) {
	if !hold {
		i.gate.member.Post(call, nil)
		return
	}
	i.steering.yielding++
	over := make(chan struct{})
	i.gate.member.Post(call, func(*gatewire.Message, error) { close(over) })
	go func() {
		select {
		case <-over:
		case <-clock.After(yieldTime):
		}
		i.post(func() {
			i.steering.yielding--
			i.release()
		})
	}()
}

const yieldTime = 2 * time.Second

// noServer: there is no generation any more.
func (i *Init) noServer() {
	if g := i.gate; g.role == gatewire.Kept {
		g.role = gatewire.Retired
		i.info("gate.retired", "the last server of this container has ended; it stays, and swapinit swap starts one that takes the traffic back", 0, 0)
	}
	i.claim()
	i.tellGate(&gatewire.Message{Op: gatewire.OpRetired}, false)
}

// giveBack passes an operator's rollback on.
func (i *Init) giveBack(id uint64) {
	i.gate.member.Post(&gatewire.Message{Op: gatewire.OpRollback}, func(a *gatewire.Message, err error) {
		r := control.Reply{}
		if err != nil {
			r.Error = err.Error()
		} else {
			r.Error, r.Container, r.Release = a.Error, a.Container, a.Release
		}
		r.OK = r.Error == ""
		i.post(func() { i.clients.done(id, &r) })
	})
}

// reportGate adds to a status what this container is at its gate.
func (g *membership) report(s *control.Status) {
	if g == nil {
		return
	}
	s.Joined = &control.Joined{Gate: g.path, Role: string(g.role)}
	if !g.away.IsZero() {
		s.Joined.AwayMS = new(clock.Since(g.away).Milliseconds())
	}
}

// unhealthy is why a container that has no traffic is not healthy, "" if it is.
func (g *membership) unhealthy() string {
	if g.healthy {
		return ""
	}
	switch g.role {
	case gatewire.Successor:
		return "its server does not have the traffic yet"
	case gatewire.Holder:
		return "its server has not settled yet"
	}
	return "it is " + string(g.role) + ": another container has the traffic"
}
