//go:build linux

package main

import (
	"io"
	"strconv"

	"github.com/swapinit/swapinit/internal/control"
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

// gateTable is what status prints at a gate.
func gateTable(s *control.Status) string {
	rows := [][]string{{"RELEASE", "CONTAINER", "STATE", "SINCE", "SHARE", "OPEN", "IDLE", "QUEUED", "REASON"}}
	for i := range s.Gate.Members {
		m := &s.Gate.Members[i]
		rows = append(rows, []string{m.Release, container(m.Container), m.State, span(m.SinceMS),
			known(m.Share, percent), known(m.Open, strconv.Itoa), known(m.Idle, strconv.Itoa), known(m.Queued, strconv.Itoa), m.Reason})
	}
	out := "no container has joined\n"
	if len(rows) > 1 {
		out = table(rows, cellWidth)
	}
	if len(s.Endpoints) > 0 {
		out += "\n" + table(endpointRows(s.Endpoints), 1<<20)
	}
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
		out += "\nnot ready: the gate waits for the sockets of its members\n"
	}
	return out + "\nlast takeover: " + text.Escape(last) + "\n"
}

// checked prints what check has found: nothing is 0, anything 1.
func (v *verbRun) checked(a verbArgs, p *control.Problems) int {
	switch {
	case p == nil:
		return v.fail(exitFailed, "the gate sent no result")
	case a.json:
		v.say(0, p.JSON())
	case len(p.List) == 0:
		v.say(0, "nothing to mend")
	}
	for i := range p.List {
		if e := &p.List[i]; !a.json {
			io.WriteString(v.out, text.Escape(e.What+": "+e.Why+"; "+e.Set)+"\n")
		}
	}
	if len(p.List) > 0 {
		return v.fail(exitFailed, "check found "+strconv.Itoa(len(p.List))+" to mend")
	}
	return exitDone
}
