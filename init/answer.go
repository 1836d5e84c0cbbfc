package pid1

import (
	"os"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// handle is called in the goroutine of a client; the answer comes from the loop.
func (i *Init) handle(c control.Call) { i.post(func() { i.answer(c) }) }

func (i *Init) answer(c control.Call) {
	switch c.Verb {
	case control.VerbSwap, control.VerbRestart:
		i.askSwap(c)
	case control.VerbRollback:
		i.ask(c, swap.Rollback, swap.Request{})
	case control.VerbPromote:
		i.ask(c, swap.Promote, swap.Request{})
	case control.VerbMessage:
		i.deliver(c)
	case control.VerbStatus:
		i.report(c)
	case control.VerbHealth:
		reason := i.unhealthy()
		c.Done(control.Reply{OK: reason == "", Error: reason})
	case control.VerbStop:
		// The client may be among those that are stopped: it is answered first.
		c.Done(control.Reply{OK: true})
		i.step(&swap.ContainerEvent{Kind: swap.Stop})
	case control.VerbVersion:
		c.Done(control.Reply{OK: true, Version: i.opt.Version})
	default:
		c.Done(control.Reply{Error: "unknown verb " + c.Verb})
	}
}

func (i *Init) askSwap(c control.Call) {
	if problem := StrategyProblem(c.Swap); problem != "" {
		c.Done(control.Reply{Code: control.CodeRequest, Error: "cannot use args of swap: " + problem})
		return
	}
	if i.machine.Phase() != swap.Running {
		c.Done(control.Reply{Error: "the container is stopping"})
		return
	}
	r := swap.Request{Timeout: c.Swap.Timeout(), Strategy: strategy(c.Swap.Strategy), Again: c.Verb == control.VerbRestart, Force: c.Swap.Force}
	if c.Swap.Canary != "" {
		list, err := config.ParseStages(c.Swap.Canary)
		if err != nil {
			c.Done(control.Reply{Error: "cannot use canary " + strconv.Quote(c.Swap.Canary) + ": " + err.Error()})
			return
		}
		r.Canary = stages(list)
	}
	if len(c.Swap.Command) > 0 {
		r.Command = c.Swap.Command
	}
	i.ask(c, swap.Swap, r)
}

// ask passes on what the machine answers.
func (i *Init) ask(c control.Call, kind swap.ContainerKind, r swap.Request) {
	i.lastCall++
	r.ID = i.lastCall
	if c.Swap.NoWait {
		c.Done(control.Reply{OK: true})
	} else {
		i.calls[r.ID] = c
	}
	i.step(&swap.ContainerEvent{Kind: kind, Request: r})
}

// unhealthy is why the container is not healthy, "" if it is.
func (i *Init) unhealthy() string {
	if i.machine.Phase() != swap.Running {
		return "the container is stopping"
	}
	why := "no generation is active: its successor is still starting"
	g := i.gens[i.machine.Active()]
	if g == nil {
		return why
	}
	if !i.machine.Swapping() {
		why = named(g.number) + " has ended, and is to be started again"
	}
	for _, w := range g.all() {
		switch {
		case w.ended.Load():
		case w.leaving:
			why = w.named() + " is stopping"
		case g.readyAfter == 0:
			return named(g.number) + " is not ready"
		case w.readyAfter == 0:
			why = w.named() + " is not ready"
		default:
			return "" // one is enough to serve
		}
	}
	return why
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
			for _, p := range i.members(g, table, map[life]mark{}) {
				s.Generations[n].Pids = append(s.Generations[n].Pids, p.pid)
			}
		}
		_ = i.probeSteering()
		i.reportSteering(&s)
		c.Done(control.Reply{OK: true, Status: &s})
	}()
}
