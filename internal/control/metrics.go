package control

import (
	"strconv"
	"strings"
)

// MetricsType is the media type of Metrics.
const MetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// The states in which something has processes, in the order of their lives. Each has a
// sample, zero or not: a series that comes and goes cannot be compared.
var (
	generationStates = [...]string{"starting", "ready", "active", "draining", "stopping"}
	memberStates     = [...]string{"rising", "canary", "holder", "kept", "draining", "leaving", "away", "retired", "superseded", "failed"}
)

// Metrics is the status as OpenMetrics text (the OpenMetrics specification, 1.0), which
// docs/metrics.md lists. No label has a value that grows with the number of swaps.
func (s *Status) Metrics() string {
	var m metrics
	m.family("swapinit", "info", "the init that runs")
	m.sample("_info", "version", s.Version, "1")
	m.family("swapinit_ready", "gauge", "1 when the container is healthy, as swapinit health says")
	m.sample("", "", "", flag(s.Ready))
	if s.Gate != nil {
		m.gate(s.Gate)
	} else {
		m.init(s)
	}
	return m.out + "# EOF\n"
}

// init has what an init tells.
func (m *metrics) init(s *Status) {
	states := newSums(generationStates[:])
	m.family("swapinit_active_generation", "gauge", "number of the generation that has the traffic, 0 for none")
	active := 0
	for i := range s.Generations {
		g := &s.Generations[i]
		if g.State == "active" {
			active = g.Generation
		}
		states.add(g.State, g.Share, g.Open, g.Idle, g.Queued)
	}
	m.number("", "", "", int64(active))
	m.sums("swapinit_generations", "generations that have processes", states)
	if t := s.Totals; t != nil {
		m.family("swapinit_swaps", "counter", "swaps that have ended")
		m.number("_total", "result", "ok", t.SwapsOK)
		m.number("_total", "result", "failed", t.SwapsFailed)
		m.family("swapinit_swaps_undone", "counter", "swaps that were ok and did not last: rolled back, or the successor died")
		m.number("_total", "", "", t.SwapsUndone)
		m.family("swapinit_worker_restarts", "counter", "workers that ended and were started again")
		m.number("_total", "", "", t.Restarts)
		m.family("swapinit_orphans_reaped", "counter", "processes without a parent of their own that have ended")
		m.number("_total", "", "", t.Orphans)
	}
	if l := s.LastSwap; l != nil {
		m.family("swapinit_last_swap_ok", "gauge", "1 when the last swap was ok, and still is")
		m.sample("", "", "", flag(l.OK))
		m.family("swapinit_last_swap_age_seconds", "gauge", "since the last swap got its outcome")
		m.seconds("", "", l.AgoMS)
		m.family("swapinit_last_swap_stage_seconds", "gauge", "how long the last swap was in each of its stages")
		for i := range l.Stages {
			if ms, first := l.inStage(i); first {
				m.seconds("stage", l.Stages[i].Stage, ms)
			}
		}
	}
	if len(s.Sides) > 0 {
		m.family("swapinit_side_running", "gauge", "1 while that process beside the server runs")
		for i := range s.Sides {
			m.sample("", "side", s.Sides[i].Name, flag(s.Sides[i].Pid != 0))
		}
		m.family("swapinit_side_restarts", "counter", "how often a process beside the server was started again")
		for i := range s.Sides {
			m.number("_total", "side", s.Sides[i].Name, int64(s.Sides[i].Restarts))
		}
	}
	if s.Joined != nil {
		away := int64(0)
		if s.Joined.AwayMS != nil {
			away = *s.Joined.AwayMS
		}
		m.family("swapinit_gate_away_seconds", "gauge", "for how long the gate cannot be reached, 0 while it can")
		m.seconds("", "", away)
	}
}

// inStage is the time in the stage of that index and all of its name; first reports
// whether none of them comes before it.
func (l *LastSwap) inStage(i int) (ms int64, first bool) {
	for n := range l.Stages {
		if l.Stages[n].Stage != l.Stages[i].Stage {
			continue
		}
		if n < i {
			return 0, false
		}
		ms += l.Stages[n].MS
	}
	return ms, true
}

// gate has what a gate tells.
func (m *metrics) gate(g *Gate) {
	states := newSums(memberStates[:])
	connected := int64(0)
	for i := range g.Members {
		c := &g.Members[i]
		if c.Connected {
			connected++
		}
		states.add(c.State, c.Share, c.Open, c.Idle, c.Queued)
	}
	m.sums("swapinit_gate_members", "containers that have joined, or are remembered", states)
	m.family("swapinit_gate_connected_members", "gauge", "containers that are connected to the gate")
	m.number("", "", "", connected)
	m.family("swapinit_gate_epoch", "gauge", "grows with each change of who has the traffic")
	m.number("", "", "", g.Epoch)
}

// sum is what those in one state have together: their share in 1/10000, their open and idle
// connections, and those that nobody has accepted.
type sum struct {
	n     int
	of    [4]int
	known [4]bool
}

// sums are those of the states of a list.
type sums struct {
	states []string
	all    []sum
}

func newSums(states []string) sums { return sums{states, make([]sum, len(states))} }

// add adds one that is in that state; nil counts are not known.
func (s sums) add(state string, counts ...*int) {
	for n := range s.states {
		if s.states[n] != state {
			continue
		}
		t := &s.all[n]
		t.n++
		for k, c := range counts {
			if c != nil {
				t.of[k] += *c
				t.known[k] = true
			}
		}
	}
}

// metrics is the text so far.
type metrics struct{ out, name string }

// sums has how many are in each state, and what they have of the traffic. Of a state in
// which somebody is of whom that is not known there is no sample.
func (m *metrics) sums(name, help string, s sums) {
	m.family(name, "gauge", help)
	for n, state := range s.states {
		m.number("", "state", state, int64(s.all[n].n))
	}
	for k, f := range [...][2]string{{"_share_ratio", "share of new connections"}, {"_open_connections", "connections that are open"},
		{"_idle_connections", "open connections that are idle"}, {"_queued_connections", "connections that nobody has accepted yet"}} {
		m.family(name+f[0], "gauge", f[1])
		for n, state := range s.states {
			switch t := &s.all[n]; {
			case t.n > 0 && !t.known[k]:
			case k == 0:
				m.sample("", "state", state, decimal(int64(t.of[k]), 4))
			default:
				m.number("", "state", state, int64(t.of[k]))
			}
		}
	}
}

// family begins one: what follows are its samples.
func (m *metrics) family(name, kind, help string) {
	m.name = name
	m.out += "# TYPE " + name + " " + kind + "\n"
	if strings.HasSuffix(name, "_seconds") {
		m.out += "# UNIT " + name + " seconds\n"
	}
	m.out += "# HELP " + name + " " + help + "\n"
}

// sample adds one of the family, with a label unless its name is "".
func (m *metrics) sample(suffix, label, of, value string) {
	m.out += m.name + suffix
	if label != "" {
		m.out += "{" + label + "=" + strconv.Quote(of) + "}"
	}
	m.out += " " + value + "\n"
}

func (m *metrics) number(suffix, label, of string, n int64) {
	m.sample(suffix, label, of, strconv.FormatInt(n, 10))
}

func (m *metrics) seconds(label, of string, ms int64) { m.sample("", label, of, decimal(ms, 3)) }

// decimal is n, not negative, divided by ten to the power of places.
func decimal(n int64, places int) string {
	s := strconv.FormatInt(n, 10)
	for len(s) <= places {
		s = "0" + s
	}
	return s[:len(s)-places] + "." + s[len(s)-places:]
}

func flag(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}
