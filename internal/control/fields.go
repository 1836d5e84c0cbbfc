package control

// What the types are on the wire, in both directions: see codec. The order is
// that in which they are written.

func (r *Request) fields(c *codec) {
	c.text("verb", &r.Verb)
	if len(argNames(r.Verb)) > 0 && c.from == nil {
		c.object("args", (*args)(r))
	}
}

// args are those of a request's verb.
type args Request

func (r *args) fields(c *codec) {
	a, swap := &r.Swap, r.Verb == VerbSwap
	switch r.Verb {
	case VerbMessage:
		c.json("data", &r.Data)
		return
	case VerbSwap, VerbRestart:
	default:
		return
	}
	c.sparse = true
	if swap {
		list(c, "command", &a.Command, (*codec).text)
	}
	c.int64("timeout_ms", &a.TimeoutMS)
	c.bool("no_wait", &a.NoWait)
	if swap {
		c.text("canary", &a.Canary)
		c.text("strategy", &a.Strategy)
		c.bool("follow", &a.Follow)
	} else {
		c.bool("force", &a.Force)
	}
}

func (e *Event) fields(c *codec) {
	c.sparse = true
	c.text("event", &e.Event)
	c.int("generation", &e.Generation)
	c.int("pid", &e.Pid)
	c.text("message", &e.Message)
	c.int64("ms", &e.MS)
	c.share("share", &e.Share)
}

func (r *Reply) fields(c *codec) {
	c.bool("ok", &r.OK)
	c.sparse = true
	c.text("error", &r.Error)
	c.text("code", &r.Code)
	c.int("generation", &r.Generation)
	c.text("version", &r.Version)
	orNull(c, "status", &r.Status, func(c *codec, name string, v *Status) { c.object(name, v) })
	orNull(c, "delivered", &r.Delivered, (*codec).int)
	orNull(c, "exit", &r.Exit, (*codec).int)
}

func (s *Status) fields(c *codec) {
	c.version(&s.V)
	c.int("pid", &s.Pid)
	c.bool("ready", &s.Ready)
	list(c, "generations", &s.Generations, func(c *codec, name string, v *Generation) { c.object(name, v) })
	list(c, "endpoints", &s.Endpoints, func(c *codec, name string, v *Endpoint) { c.object(name, v) })
	orNull(c, "last_swap", &s.LastSwap, func(c *codec, name string, v *LastSwap) { c.object(name, v) })
}

func (g *Generation) fields(c *codec) {
	c.int("generation", &g.Generation)
	c.text("state", &g.State)
	c.int("pid", &g.Pid)
	list(c, "pids", &g.Pids, (*codec).int)
	c.int64("uptime_ms", &g.UptimeMS)
	orNull(c, "ready_ms", &g.ReadyMS, (*codec).int64)
	list(c, "command", &g.Command, (*codec).text)
	c.text("dir", &g.Dir)
	c.text("status", &g.Status)
	orNull(c, "share", &g.Share, (*codec).share)
	orNull(c, "open", &g.Open, (*codec).int)
	orNull(c, "idle", &g.Idle, (*codec).int)
	orNull(c, "queued", &g.Queued, (*codec).int)
	list(c, "workers", &g.Workers, func(c *codec, name string, v *Worker) { c.object(name, v) })
}

func (w *Worker) fields(c *codec) {
	c.int("worker", &w.Worker)
	c.int("pid", &w.Pid)
	c.bool("ready", &w.Ready)
	c.int("restarts", &w.Restarts)
}

func (p *Endpoint) fields(c *codec) {
	c.text("name", &p.Name)
	c.text("address", &p.Address)
	c.bool("inherited", &p.Inherited)
	c.bool("steered", &p.Steered)
	c.text("reason", &p.Reason)
}

func (l *LastSwap) fields(c *codec) {
	c.int("generation", &l.Generation)
	c.bool("ok", &l.OK)
	c.text("reason", &l.Reason)
}
