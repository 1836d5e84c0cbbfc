package pid1

import (
	"os"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/swap"
)

// unhealthy is why the container is not healthy, "" if it is. A server of which nobody
// wants to know whether it is ready is healthy while it lives: nobody has asked for
// readiness by a setting or an endpoint, nor has a server spoken of it.
func (c *clients) unhealthy() string {
	if c.machine.Phase() != swap.Running {
		return "the container is stopping"
	}
	why := "no generation is active: its successor is still starting"
	if gate := c.gate(); gate != nil && (!gate.healthy || c.machine.Active() == 0) {
		if why := gate.unhealthy(); why != "" {
			if g := c.gens.live[c.gens.newest]; g != nil && g.readyAfter == 0 && !g.ended() {
				why += ": " + c.unready(g, named(g.number))
			}
			return why
		}
		return ""
	}
	g := c.gens.live[c.machine.Active()]
	if g == nil {
		return why
	}
	if !c.machine.Swapping() {
		why = named(g.number) + " has ended, and is to be started again"
	}
	for _, w := range g.all() {
		switch {
		case w.ended.Load():
		case w.leaving:
			why = w.named() + " is stopping"
		case !c.asked && w.running:
			return ""
		case g.readyAfter == 0:
			return c.unready(g, named(g.number))
		case w.readyAfter == 0:
			why = c.unready(g, w.named())
		default:
			return "" // one is enough to serve
		}
	}
	return why
}

// unready says that g, or one of its workers, is not ready, and why, as far as that is known.
func (c *clients) unready(g *generation, who string) string {
	why := c.hint
	for _, w := range g.all() {
		if w.readyAfter == 0 && w.note != "" && !w.ended.Load() {
			why = w.note
			break
		}
	}
	if why == "" {
		return who + " is not ready; swapinit check tells why"
	}
	return who + " is not ready: " + why
}

// report answers status: the loop's part here, the rest, for which the process
// table is read, in a goroutine.
func (c *clients) report(call *control.Call) {
	s := control.Status{V: control.Version, Pid: os.Getpid(), Ready: c.unhealthy() == "", LastSwap: c.lastSwap.tell(), CanaryBy: c.canaryBy, OneAddress: c.oneAddress, Version: c.version}
	totals := c.totals
	totals.Orphans = c.orphans()
	s.Totals = &totals
	c.gate().report(&s)
	c.sides.report(&s)
	now := c.now()
	since := func(from time.Duration) int64 { return max(0, now-from).Milliseconds() }
	left := func(by time.Duration) *int64 {
		if by == swap.Unlimited {
			return nil
		}
		return new(max(0, by-now).Milliseconds())
	}
	if v, runs := c.machine.Swap(); runs {
		s.Swap = &control.RunningSwap{Generation: v.Generation, Stage: v.Stage, SinceMS: since(v.Since), LeftMS: left(v.By), Share: v.Share}
		if shares.By(c.canaryBy).ByNetworks() {
			s.Swap.Share = 0 // nobody knows it
		}
	}
	var gens []*generation
	for _, v := range c.machine.Views() {
		g := c.gens.live[v.Number]
		if g == nil {
			continue
		}
		gens = append(gens, g)
		r := control.Generation{Generation: g.number, State: v.State.String(), Pid: g.pid(), UptimeMS: clock.Since(g.born).Milliseconds(),
			Command: g.command, Dir: g.workDir, Status: g.statusText, SinceMS: since(v.Since), LeftMS: left(v.By), Kept: v.Kept}
		if v.Watched {
			seen, _ := g.drain.saw()
			r.Busy, r.BusyMore = seen.List, seen.More
		}
		if g.readyAfter > 0 {
			r.ReadyMS = new(g.readyAfter.Milliseconds())
		}
		for k := range g.workers {
			v := control.Worker{Worker: k}
			if w := g.worker(k); w != nil {
				v.Restarts = w.restarts
				if !w.ended.Load() {
					v.Pid, v.Ready = w.pid(), w.readyAfter > 0
				}
			}
			r.Workers = append(r.Workers, v)
		}
		s.Generations = append(s.Generations, r)
	}
	go func() {
		table := snapshot()
		for n, g := range gens {
			if g.pid() == 0 {
				continue
			}
			for _, p := range c.procs.members(g, table, map[life]mark{}) {
				s.Generations[n].Pids = append(s.Generations[n].Pids, p.pid)
			}
		}
		c.endpoints(&s)
		call.Done(&control.Reply{OK: true, Status: &s})
	}()
}
