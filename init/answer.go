package pid1

import (
	"os"
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// handle is called in the goroutine of a client; the answer comes from the loop.
func (i *Init) handle(c control.Call) { i.post(func() { i.answer(c) }) }

func (i *Init) answer(c control.Call) {
	switch c.Verb {
	case control.VerbSwap:
		if i.machine.Phase() != swap.Running {
			c.Done(control.Reply{Error: "the container is stopping"})
			return
		}
		i.lastCall++
		id := i.lastCall
		if c.Swap.NoWait {
			c.Done(control.Reply{OK: true})
		} else {
			i.calls[id] = c
		}
		var command []string
		if len(c.Swap.Command) > 0 {
			command = c.Swap.Command
		}
		i.step(swap.Event{Kind: swap.Swap, Request: swap.Request{ID: id, Command: command, Timeout: c.Swap.Timeout()}})
	case control.VerbStatus:
		i.report(c)
	case control.VerbHealth:
		reason := i.unhealthy()
		c.Done(control.Reply{OK: reason == "", Error: reason})
	case control.VerbStop:
		// The client may be among those that are stopped: it is answered first.
		c.Done(control.Reply{OK: true})
		i.step(swap.Event{Kind: swap.Stop})
	case control.VerbVersion:
		c.Done(control.Reply{OK: true, Version: i.opt.Version})
	default:
		c.Done(control.Reply{Error: "unknown verb " + c.Verb})
	}
}

// unhealthy is why the container is not healthy, "" if it is.
func (i *Init) unhealthy() string {
	g := i.gens[i.machine.Active()]
	switch {
	case i.machine.Phase() != swap.Running:
		return "the container is stopping"
	case g == nil || g.ended.Load():
		return "no generation is active: its successor is still starting"
	case g.leaving:
		return named(g.number) + " is stopping"
	case g.readyAfter == 0:
		return named(g.number) + " is not ready"
	}
	return ""
}

// report answers status: the loop's part here, the rest, for which the process
// table is read, in a goroutine.
func (i *Init) report(c control.Call) {
	s := control.Status{V: control.Version, Pid: os.Getpid(), Ready: i.unhealthy() == "", LastSwap: i.lastSwap}
	var gens []*generation
	for _, v := range i.machine.Views() {
		g := i.gens[v.Number]
		if g == nil {
			continue
		}
		gens = append(gens, g)
		r := control.Generation{Generation: g.number, State: v.State.String(), Pid: g.pid(), UptimeMS: time.Since(g.born).Milliseconds(),
			Command: g.command, Dir: g.workDir, Status: g.statusText}
		if g.readyAfter > 0 {
			ms := g.readyAfter.Milliseconds()
			r.ReadyMS = &ms
		}
		s.Generations = append(s.Generations, r)
	}
	go func() {
		table := snapshot()
		for n, g := range gens {
			if g.pid() == 0 {
				continue
			}
			for _, p := range i.members(g, table, map[life]mark{}) {
				s.Generations[n].Pids = append(s.Generations[n].Pids, p.pid)
			}
		}
		for _, e := range i.endpoints.Endpoints() {
			s.Endpoints = append(s.Endpoints, control.Endpoint{Name: e.Name, Address: e.Address, Inherited: e.Inherited})
		}
		c.Done(control.Reply{OK: true, Status: &s})
	}()
}
