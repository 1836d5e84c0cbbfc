//go:build linux

package main

import (
	"strconv"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/text"
)

// What the verbs print at a gate. A container is shown as engines show it.
const shortID = 12

func container(id string) string {
	if len(id) > shortID {
		return id[:shortID]
	}
	return id
}

// member names who has the traffic.
func member(r *control.Reply) string { return release(r.Release, r.Container) }

func release(name, id string) string {
	if name == "" || name == container(id) {
		return container(id)
	}
	return name + " (" + container(id) + ")"
}

// gate adds what status prints at a gate.
func (p *page) gate(s *control.Status) {
	rows := []row{{cells: []string{"RELEASE", "CONTAINER", "STATE", "SINCE", "SHARE", "OPEN", "IDLE", "QUEUED"}, last: "REASON"}}
	gone, passed := 0, false // passed: what follows is older than the holder
	for i := range s.Gate.Members {
		m := &s.Gate.Members[i]
		if passed && m.State == "away" { // mostly a container that was recreated: its id does not come back
			gone++
			continue
		}
		passed = passed || m.Container == s.Gate.Holder
		if m.Release == m.Container {
			m.Release = container(m.Container)
		}
		r := row{cells: append([]string{m.Release, container(m.Container), m.State, span(m.SinceMS)}, traffic(m.Share, m.Open, m.Idle, m.Queued)...), last: m.Reason}
		switch m.State {
		case "holder":
			r.paint = logline.Green
		case "rising", "canary", "draining", "leaving":
			r.paint = logline.Yellow
		case "failed":
			r.paint = logline.Red
		}
		rows = append(rows, r)
	}
	if len(rows) > 1 {
		p.table("", rows...)
	} else {
		p.line(0, "no container has joined")
	}
	if gone > 0 {
		p.line(0, strconv.Itoa(gone)+" older, away: status --json lists them")
	}
	p.endpoints(s.Endpoints)
	p.canary(s)
	last := "none"
	if t := s.Gate.LastTakeover; t != nil {
		last = release(t.Release, t.Container) + ", " + span(t.AgoMS) + " ago"
		if t.Predecessor != "" {
			last += ", from " + container(t.Predecessor)
		}
		if t.Waited != nil {
			last += ", " + strconv.Itoa(*t.Waited) + " waited"
		}
		if t.Drained != nil {
			last += ", " + strconv.Itoa(*t.Drained) + " to drain"
		}
		if t.Reset != nil {
			last += ", " + strconv.Itoa(*t.Reset) + " reset"
		}
		if t.Reason != "" {
			last += ": " + t.Reason
		}
	}
	if !s.Ready {
		p.line(0, "")
		p.line(logline.Yellow, "not ready: the gate waits for the sockets of its members")
	}
	p.line(0, "")
	p.wrap(0, "", text.Escape("last takeover: "+last))
}

// checked prints what check has found: nothing is 0, anything 1.
func (v *verbRun) checked(a verbArgs, p *control.Problems) int {
	switch {
	case p == nil:
		return v.fail(exitFailed, "the gate sent no result")
	case a.json:
		v.say(0, p.JSON())
	case p.NotReady != "":
		v.say(0, p.NotReady)
	case len(p.List) == 0:
		v.say(0, "nothing to mend")
	}
	for i := range p.List {
		if e := &p.List[i]; !a.json {
			v.put(text.Escape(e.What+": "+e.Why+"; "+e.Set) + "\n")
		}
	}
	if len(p.List) > 0 {
		return v.fail(exitFailed, "check found "+strconv.Itoa(len(p.List))+" to mend")
	}
	return exitDone
}
