package pid1

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// answer does what a client asks for.
func (i *Init) answer(c *control.Call) {
	switch c.Verb {
	case control.VerbSwap, control.VerbRestart:
		if c.Swap.Side != "" {
			i.restartSide(c)
		} else {
			i.askSwap(c)
		}
	case control.VerbRollback:
		i.ask(c, swap.Rollback, swap.Request{})
	case control.VerbPromote:
		i.ask(c, swap.Promote, swap.Request{})
	case control.VerbMessage:
		n := i.gens.live[i.machine.Active()].tellAll(swap.EveryWorker, channel.Message{Kind: channel.Deliver, Data: c.Data})
		c.Done(&control.Reply{OK: true, Delivered: &n})
	case control.VerbStatus:
		i.clients.report(c)
	case control.VerbHealth:
		reason := i.clients.unhealthy()
		c.Done(&control.Reply{OK: reason == "", Error: reason})
	case control.VerbStop:
		// The client may be among those that are stopped: it is answered first.
		c.Done(&control.Reply{OK: true})
		i.step(&swap.ContainerEvent{Kind: swap.Stop})
	case control.VerbVersion:
		c.Done(&control.Reply{OK: true, Version: i.opt.Version})
	case control.VerbCheck:
		i.examine(c)
	case control.VerbWait:
		c.Done(&control.Reply{Error: "this is not a gate, and wait is a verb of one: docker exec GATE swapinit wait"})
	default:
		c.Done(&control.Reply{Error: "unknown verb " + c.Verb})
	}
}

func (i *Init) askSwap(c *control.Call) {
	effective := c.Swap
	effective.Strategy = cmp.Or(effective.Strategy, i.set.Strategy) // the client does not know the configured one
	problem := StrategyProblem(effective)
	if s := strategy(effective.Strategy); problem == "" && s == swap.Handover && !c.Swap.Cancel && !c.Swap.Force {
		if err := i.checkProbe("SWAPINIT_READY", &i.mode, s); err != nil {
			problem = err.Error()
		}
	}
	if problem != "" {
		c.Done(&control.Reply{Code: control.CodeRequest, Error: "cannot use args of swap: " + problem})
		return
	}
	if i.machine.Phase() != swap.Running {
		c.Done(&control.Reply{Error: "the container is stopping"})
		return
	}
	if c.Swap.Cancel {
		i.ask(c, swap.Cancel, swap.Request{})
		return
	}
	r := swap.Request{Timeout: c.Swap.Timeout(), Strategy: strategy(c.Swap.Strategy), Again: c.Verb == control.VerbRestart, Force: c.Swap.Force,
		Command: c.Swap.Command}
	if c.Swap.Canary != "" {
		list, err := config.ParseStages(c.Swap.Canary)
		if err != nil {
			c.Done(&control.Reply{Error: "cannot use canary " + strconv.Quote(c.Swap.Canary) + ": " + err.Error()})
			return
		}
		r.Canary = stages(list)
	}
	if by := c.Swap.CanaryBy; by != "" {
		_, err := shares.ParseBy(by, 0)
		if err == nil && (r.Canary == nil && len(i.set.Canary) == 0 || r.Canary != nil && len(r.Canary) == 0) {
			err = errors.New("there are no stages of a canary")
		}
		if err != nil {
			c.Done(&control.Reply{Error: "cannot use canary_by " + text.Quote(by, 40) + ": " + err.Error()})
			return
		}
		r.CanaryBy = by
	}
	i.ask(c, swap.Swap, r)
}

// ask passes on what the machine answers.
func (i *Init) ask(c *control.Call, kind swap.ContainerKind, r swap.Request) {
	r.ID = i.clients.add(c)
	i.step(&swap.ContainerEvent{Kind: kind, Request: r})
}

// strategy is the one of that name, swap.Default if there is none.
func strategy(name string) swap.Strategy {
	s, _ := swap.ParseStrategy(name)
	return s
}

// StrategyProblem is what cannot be asked for in the args of a swap, "" if there
// is nothing. It names them so that it fits both the wire and a verb's options.
func StrategyProblem(a control.SwapArgs) string {
	s, known := swap.ParseStrategy(a.Strategy)
	switch {
	case a.Strategy != "" && !known:
		return "unknown strategy " + text.Quote(a.Strategy, 40) + ", accepted: " + strings.Join(swap.StrategyNames(), ", ")
	case (a.Canary != "" && a.Canary != "off" || a.CanaryBy != "") && !s.Gradual():
		return "a canary needs the strategy overlap"
	}
	return ""
}
