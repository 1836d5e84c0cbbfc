package control

import (
	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/wire"
)

// What the lines have, in their order; see package wire. A test finds fields that are not
// there.

func (r *Request) fields(c *wire.Codec) {
	c.String("verb", &r.Verb)
	c.Object("args?", len(wire.Names(r.args)) > 0, func() { r.args(c) })
}

// args are those of the request's verb.
func (r *Request) args(c *wire.Codec) {
	a := &r.Swap
	switch r.Verb {
	case VerbMessage:
		c.Raw("data", &r.Data)
	case VerbSwap:
		c.Strings("command?", &a.Command)
		c.Int64("timeout_ms?", &a.TimeoutMS)
		c.Bool("no_wait?", &a.NoWait)
		c.String("canary?", &a.Canary)
		c.String("canary_by?", &a.CanaryBy)
		c.String("strategy?", &a.Strategy)
		c.Bool("follow?", &a.Follow)
		c.Bool("cancel?", &a.Cancel)
	case VerbRestart:
		c.Int64("timeout_ms?", &a.TimeoutMS)
		c.Bool("no_wait?", &a.NoWait)
		c.Bool("force?", &a.Force)
		c.String("side?", &a.Side)
	case VerbWait:
		r.Wait.fields(c)
	}
}

func (w *WaitArgs) fields(c *wire.Codec) {
	c.String("name", &w.Name)
	c.Int64("timeout_ms?", &w.TimeoutMS)
	c.Bool("or_rollback?", &w.Rollback)
}

func (e *Event) fields(c *wire.Codec) {
	c.String("event?", &e.Event)
	c.Int("generation?", &e.Generation)
	c.Int("pid?", &e.Pid)
	c.String("message?", &e.Message)
	c.Int64("ms?", &e.MS)
	c.Percent("share?", &e.Share)
}

func (r *Reply) fields(c *wire.Codec) {
	c.Bool("ok", &r.OK)
	c.String("error?", &r.Error)
	c.String("code?", &r.Code)
	c.Int("generation?", &r.Generation)
	c.String("version?", &r.Version)
	c.Object("status?", r.Status != nil, func() {
		if r.Status == nil {
			r.Status = new(Status)
		}
		r.Status.fields(c)
	})
	c.IntOrNull("delivered?", &r.Delivered)
	c.IntOrNull("exit?", &r.Exit)
	c.String("container?", &r.Container)
	c.String("release?", &r.Release)
	c.Object("check?", r.Problems != nil, func() {
		if r.Problems == nil {
			r.Problems = new(Problems)
		}
		r.Problems.fields(c)
	})
	c.Object("swap?", r.Swap != nil, func() {
		if r.Swap == nil {
			r.Swap = new(LastSwap)
		}
		r.Swap.fields(c)
	})
}

func (p *Problems) fields(c *wire.Codec) {
	c.Version("v", &p.V)
	c.List("problems", len(p.List), func(i int) {
		if i == len(p.List) {
			p.List = append(p.List, Problem{})
		}
		p.List[i].fields(c)
	})
	c.String("not_ready?", &p.NotReady)
}

func (p *Problem) fields(c *wire.Codec) {
	c.String("what", &p.What)
	c.String("why", &p.Why)
	c.String("set", &p.Set)
}

func (s *Status) fields(c *wire.Codec) {
	c.Version("v", &s.V)
	c.Int("pid", &s.Pid)
	c.Bool("ready", &s.Ready)
	c.Object("gate?", s.Gate != nil, func() {
		if s.Gate == nil {
			s.Gate = new(Gate)
		}
		s.Gate.fields(c)
	})
	c.List("generations", len(s.Generations), func(i int) {
		if i == len(s.Generations) {
			s.Generations = append(s.Generations, Generation{})
		}
		s.Generations[i].fields(c)
	})
	c.List("endpoints", len(s.Endpoints), func(i int) {
		if i == len(s.Endpoints) {
			s.Endpoints = append(s.Endpoints, Endpoint{})
		}
		s.Endpoints[i].fields(c)
	})
	c.List("sides", len(s.Sides), func(i int) {
		if i == len(s.Sides) {
			s.Sides = append(s.Sides, Side{})
		}
		s.Sides[i].fields(c)
	})
	c.Object("swap", s.Swap != nil, func() {
		if s.Swap == nil {
			s.Swap = new(RunningSwap)
		}
		s.Swap.fields(c)
	})
	c.Object("last_swap", s.LastSwap != nil, func() {
		if s.LastSwap == nil {
			s.LastSwap = new(LastSwap)
		}
		s.LastSwap.fields(c)
	})
	c.String("version?", &s.Version)
	c.Object("totals?", s.Totals != nil, func() {
		if s.Totals == nil {
			s.Totals = new(Totals)
		}
		s.Totals.fields(c)
	})
	c.Object("joined?", s.Joined != nil, func() {
		if s.Joined == nil {
			s.Joined = new(Joined)
		}
		s.Joined.fields(c)
	})
	c.String("canary_by?", &s.CanaryBy)
	c.String("one_address?", &s.OneAddress)
}

func (t *Totals) fields(c *wire.Codec) {
	c.Int64("swaps_ok", &t.SwapsOK)
	c.Int64("swaps_failed", &t.SwapsFailed)
	c.Int64("swaps_undone", &t.SwapsUndone)
	c.Int64("restarts", &t.Restarts)
	c.Int64("orphans", &t.Orphans)
}

func (j *Joined) fields(c *wire.Codec) {
	c.String("gate", &j.Gate)
	c.String("role", &j.Role)
	c.Int64OrNull("away_ms", &j.AwayMS)
}

func (g *Generation) fields(c *wire.Codec) {
	c.Int("generation", &g.Generation)
	c.String("state", &g.State)
	c.Int("pid", &g.Pid)
	c.Ints("pids", &g.Pids)
	c.Int64("uptime_ms", &g.UptimeMS)
	c.Int64OrNull("ready_ms", &g.ReadyMS)
	c.Strings("command", &g.Command)
	c.String("dir", &g.Dir)
	c.String("status", &g.Status)
	c.PercentOrNull("share", &g.Share)
	c.IntOrNull("open", &g.Open)
	c.IntOrNull("idle", &g.Idle)
	c.IntOrNull("queued", &g.Queued)
	c.List("workers", len(g.Workers), func(i int) {
		if i == len(g.Workers) {
			g.Workers = append(g.Workers, Worker{})
		}
		g.Workers[i].fields(c)
	})
	c.Int64("since_ms", &g.SinceMS)
	c.Int64OrNull("left_ms", &g.LeftMS)
	c.Bool("kept", &g.Kept)
	busy.List(c, "busy", &g.Busy)
	c.Int("busy_more", &g.BusyMore)
}

func (w *Worker) fields(c *wire.Codec) {
	c.Int("worker", &w.Worker)
	c.Int("pid", &w.Pid)
	c.Bool("ready", &w.Ready)
	c.Int("restarts", &w.Restarts)
}

func (e *Endpoint) fields(c *wire.Codec) {
	c.String("name", &e.Name)
	c.String("address", &e.Address)
	c.Bool("inherited", &e.Inherited)
	c.Bool("adopted", &e.Adopted)
	c.Bool("steered", &e.Steered)
	c.String("reason", &e.Reason)
	c.String("check_address", &e.Check)
}

func (s *Side) fields(c *wire.Codec) {
	c.String("name", &s.Name)
	c.Int("pid", &s.Pid)
	c.Int64("uptime_ms", &s.UptimeMS)
	c.Int("restarts", &s.Restarts)
	c.Strings("command", &s.Command)
	c.String("reason", &s.Reason)
}

func (r *RunningSwap) fields(c *wire.Codec) {
	c.Int("generation", &r.Generation)
	c.String("stage", &r.Stage)
	c.Int64("since_ms", &r.SinceMS)
	c.Int64OrNull("left_ms", &r.LeftMS)
	c.Percent("share", &r.Share)
}

func (l *LastSwap) fields(c *wire.Codec) {
	c.Int("generation", &l.Generation)
	c.Bool("ok", &l.OK)
	c.String("reason", &l.Reason)
	c.String("outcome", &l.Outcome)
	c.String("outcome_at", &l.OutcomeAt)
	c.Int64("ago_ms", &l.AgoMS)
	c.String("began", &l.Began)
	c.String("ended", &l.Ended)
	c.Int("pid", &l.Pid)
	c.List("stages", len(l.Stages), func(i int) {
		if i == len(l.Stages) {
			l.Stages = append(l.Stages, SwapStage{})
		}
		l.Stages[i].fields(c)
	})
}

func (s *SwapStage) fields(c *wire.Codec) {
	c.String("stage", &s.Stage)
	c.Int64("at_ms", &s.AtMS)
	c.Int64("ms", &s.MS)
	c.Percent("share?", &s.Share)
}

func (g *Gate) fields(c *wire.Codec) {
	c.Int64("epoch", &g.Epoch)
	c.String("holder", &g.Holder)
	c.List("members", len(g.Members), func(i int) {
		if i == len(g.Members) {
			g.Members = append(g.Members, GateMember{})
		}
		g.Members[i].fields(c)
	})
	c.Object("last_takeover", g.LastTakeover != nil, func() {
		if g.LastTakeover == nil {
			g.LastTakeover = new(Takeover)
		}
		g.LastTakeover.fields(c)
	})
}

func (g *GateMember) fields(c *wire.Codec) {
	c.String("container", &g.Container)
	c.String("release", &g.Release)
	c.Int("order", &g.Order)
	c.String("state", &g.State)
	c.Int64("since_ms", &g.SinceMS)
	c.String("reason", &g.Reason)
	c.Bool("connected", &g.Connected)
	c.Bool("settled", &g.Settled)
	c.PercentOrNull("share", &g.Share)
	c.IntOrNull("open", &g.Open)
	c.IntOrNull("idle", &g.Idle)
	c.IntOrNull("queued", &g.Queued)
}

func (t *Takeover) fields(c *wire.Codec) {
	c.String("container", &t.Container)
	c.String("release", &t.Release)
	c.String("predecessor", &t.Predecessor)
	c.String("reason", &t.Reason)
	c.Int64("ago_ms", &t.AgoMS)
	c.IntOrNull("waited", &t.Waited)
	c.IntOrNull("drained", &t.Drained)
	c.IntOrNull("reset", &t.Reset)
}
