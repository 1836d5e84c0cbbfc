//go:build linux

package main

import (
	"strconv"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

// status adds what status prints for people. What steering knows has columns where
// something is steered, or a reason says why it is not; WORKERS (ready ones and all) is one
// where a generation has more than one.
func (p *page) status(s *control.Status) {
	if s.Gate != nil {
		p.gate(s)
		return
	}
	steered, many := false, false
	for i := range s.Generations {
		steered = steered || s.Generations[i].Share != nil || s.CanaryBy != "" && s.Generations[i].Queued != nil // nobody knows that of networks
		many = many || len(s.Generations[i].Workers) > 1
	}
	head := row{cells: []string{"GEN", "STATE", "PID", "UPTIME", "READY"}}
	if many {
		head.cells = append(head.cells, "WORKERS")
	}
	if steered {
		head.cells = append(head.cells, "SHARE", "OPEN", "IDLE", "QUEUED")
	}
	rows := []row{head}
	for i := range s.Generations {
		g := &s.Generations[i]
		r := row{cells: []string{strconv.Itoa(g.Generation), g.State, strconv.Itoa(g.Pid), span(g.UptimeMS), known(g.ReadyMS, span)},
			paint: logline.Yellow, under: func() { p.generation(g, len(s.Endpoints) > 1) }}
		if g.State == "active" {
			r.paint = logline.Green
		}
		if many {
			up := 0
			for _, w := range g.Workers {
				if w.Ready {
					up++
				}
			}
			r.cells = append(r.cells, strconv.Itoa(up)+"/"+strconv.Itoa(len(g.Workers)))
		}
		if steered {
			r.cells = append(r.cells, traffic(g.Share, g.Open, g.Idle, g.Queued)...)
		}
		rows = append(rows, r)
	}
	p.table("", rows...)
	p.endpoints(s.Endpoints)
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; e.Check != "" {
			p.line(0, text.Escape(e.Name+": the successor is reached at "+e.Check))
		}
	}
	p.sides(s.Sides)
	p.canary(s)
	if j := s.Joined; j != nil {
		line := "gate: " + j.Gate + ", " + j.Role
		if j.AwayMS != nil {
			line += ", away for " + span(*j.AwayMS)
		}
		p.line(0, "")
		p.wrap(0, "", text.Escape(line))
	}
	p.line(0, "")
	if w := s.Swap; w != nil {
		line := "swap: " + generation(w.Generation) + ", " + w.Stage
		if w.Share != 0 {
			line += " with " + percent(w.Share)
		}
		p.wrap(logline.Yellow, "", text.Escape(line+times(w.SinceMS, w.LeftMS)))
	}
	paint := logline.Color(0)
	if l := s.LastSwap; l != nil && !l.OK {
		paint = logline.Red
	}
	p.wrap(paint, "", text.Escape("last swap: "+lastSwap(s.LastSwap)))
}

// canary adds what is to be said of one that is not by chance.
func (p *page) canary(s *control.Status) {
	if s.CanaryBy != "" {
		p.line(0, "")
		p.line(0, text.Escape("canary by: "+s.CanaryBy))
	}
	if s.OneAddress != "" {
		p.wrap(logline.Yellow, "", text.Escape("all connections come from one address, "+s.OneAddress+" (a proxy?)"))
	}
}

// times says for how long something has been so, and for how long it may.
func times(since int64, left *int64) string {
	out := " for " + span(since)
	if left != nil {
		out += ", " + span(*left) + " left"
	}
	return out
}

// generation adds what stands below a generation: its command and STATUS=, each cut to a
// line as --json has them, and what it waits for when
// it is on its way out. several: there is more than one endpoint.
func (p *page) generation(g *control.Generation, several bool) {
	p.line(0, nested+text.Escape(text.ShellWords(g.Command)))
	if g.Status != "" {
		p.line(0, nested+"status: "+text.Escape(g.Status))
	}
	state := g.State
	if g.Kept {
		state = "kept"
	}
	n := len(g.Busy) + g.BusyMore
	line := state + times(g.SinceMS, g.LeftMS)
	switch {
	case n == 1:
		line += ", waits for 1 connection"
	case n > 1:
		line += ", waits for " + strconv.Itoa(n) + " connections"
	case g.State != "draining" && g.State != "stopping":
		return
	}
	p.wrap(0, nested, text.Escape(line))
	var rows []row
	for _, b := range g.Busy {
		r := row{cells: []string{b.Peer, span(b.AgeMS)}, last: b.Why}
		if several {
			r.last += ", endpoint " + b.Endpoint
		}
		rows = append(rows, r)
	}
	if len(rows) > 0 {
		p.table(nested+"  ", rows...)
	}
}

// endpoints adds where the init listens.
func (p *page) endpoints(endpoints []control.Endpoint) {
	rows := []row{{cells: []string{"ENDPOINT", "ADDRESS"}}}
	for i := range endpoints {
		e := &endpoints[i]
		r := row{cells: []string{e.Name, e.Address}, last: "no"}
		if e.Inherited {
			r.cells[1] += " (inherited)"
		}
		if e.Adopted {
			r.cells[1] += " (adopted)"
		}
		if e.Steered {
			r.last = "yes"
		}
		if e.Reason != "" {
			r.last += ": " + e.Reason
		}
		if r.last != "no" {
			rows[0].last = "STEERED"
		}
		rows = append(rows, r)
	}
	if rows[0].last == "" { // nothing to tell
		for i := range rows {
			rows[i].last = ""
		}
	}
	if len(endpoints) > 0 {
		p.line(0, "")
		p.table("", rows...)
	}
}

// sides adds what runs beside the server.
func (p *page) sides(sides []control.Side) {
	rows := []row{{cells: []string{"SIDE", "PID", "UPTIME", "RESTARTS"}}}
	for i := range sides {
		s := &sides[i]
		r := row{cells: []string{s.Name, "-", "-", strconv.Itoa(s.Restarts)}, paint: logline.Yellow}
		if s.Pid != 0 {
			r.cells[1], r.cells[2], r.paint = strconv.Itoa(s.Pid), span(s.UptimeMS), logline.Green
		}
		r.under = func() {
			p.line(0, nested+text.Escape(text.ShellWords(s.Command)))
			if s.Reason != "" {
				p.wrap(0, nested, text.Escape(s.Reason))
			}
		}
		rows = append(rows, r)
	}
	if len(sides) > 0 {
		p.line(0, "")
		p.table("", rows...)
	}
}

// traffic is four cells.
func traffic(share, open, idle, queued *int) []string {
	return []string{known(share, percent), known(open, strconv.Itoa), known(idle, strconv.Itoa), known(queued, strconv.Itoa)}
}

// known shows a number that may not be known.
func known[N int | int64](n *N, show func(N) string) string {
	if n == nil {
		return "-"
	}
	return show(*n)
}

func percent(share int) string { return shares.Percent(share) + "%" }

// span is a duration in milliseconds for people: 12 ms, 1.2 s, 3m05s, 2h07m, 4d03h.
func span(ms int64) string {
	s := ms / 1000
	switch {
	case ms < 1000:
		return strconv.FormatInt(ms, 10) + " ms"
	case s < 60:
		return strconv.FormatInt(s, 10) + "." + strconv.FormatInt(ms%1000/100, 10) + " s"
	case s < 3600:
		return twoUnits(s, "m", 60, "s")
	case s < 86400:
		return twoUnits(s/60, "h", 60, "m")
	}
	return twoUnits(s/3600, "d", 24, "h")
}

// twoUnits is n of the small unit, of which size make one big one.
func twoUnits(n int64, big string, size int64, small string) string {
	digits := strconv.FormatInt(100+n%size, 10)[1:] // two of them
	return strconv.FormatInt(n/size, 10) + big + digits + small
}
