package swap

import "time"

// Unlimited is the deadline of what may take as long as it wants.
const Unlimited = never

// View is what can be told about a generation from outside the machine.
type View struct {
	Number  int
	State   State // one that the contract has a word for
	Failed  bool
	Ready   bool
	Ended   bool
	Command []string

	Kept    bool          // out of service, but warm
	Watched bool          // its connections are waited for
	Since   time.Duration // when it came to where it stands, by the machine's clock
	By      time.Duration // when that is over at the latest; Unlimited: no limit, or it stands still
}

// Views lists the generations that are not gone, oldest first.
func (m *Machine) Views() []View {
	views := make([]View, 0, len(m.gens))
	for _, g := range m.gens {
		views = append(views, View{g.number, g.state.Shown(), g.standing >= failed, g.ready, g.dead(), g.command, g.state == Kept, g.watched, g.since, m.due(g)})
	}
	return views
}

// due is when what g is doing is over at the latest.
func (m *Machine) due(g *generation) time.Duration {
	switch {
	case m.standsStill(g):
		return never
	case g.state == Settling && g.settleAt != never:
		return g.settleAt
	case g.state == Active && g.watched: // before the container stops
		return m.by
	}
	return g.by
}

// SwapView is what can be told about the swap that runs.
type SwapView struct {
	Generation int // the successor, which may be yet to come
	Stage      string
	Share      int           // what the successor has of the new connections, of Full
	Since, By  time.Duration // as in View
}

// SwapStages says what the stages of a SwapView mean, in the order in which they can come.
var SwapStages = [...]struct{ Stage, Means string }{
	{"asking", "the gate is asked for a turn or, later, for the traffic"},
	{"preparing", "SWAPINIT_PRE_SWAP runs"},
	{"waiting", "for room: older generations have to end first"},
	{"stopping", "`replace`: the predecessor was told to stop"},
	{"starting", "the successor is to become ready"},
	{"settling", "it has said that it is ready, and is to live on for the settle time"},
	{"handover", "`handover`: it waits for what the predecessor is to release"},
	{"canary", "it has `share` of the new connections"},
	{"rolling", "a part of its workers serves (SWAPINIT_BATCH), the next ones start"},
}

// Swap tells of the swap that runs; false: none does.
func (m *Machine) Swap() (v SwapView, runs bool) {
	r := &m.rollout
	v = SwapView{Generation: m.last + 1, Share: r.share, Since: r.since, By: r.by}
	g := r.successor
	if g != nil {
		v.Generation, v.By = g.number, min(r.by, m.due(g))
	}
	switch r.state {
	case preparing:
		v.Stage = "preparing"
	case waitingRoom:
		v.Stage = "waiting"
		if r.dismissed {
			v.Stage, v.Since, v.By = "stopping", m.active.since, m.active.by
		}
	case asking:
		v.Stage = "asking"
	case rising:
		v.Stage, v.Since = "starting", g.since
		if g.state == Settling {
			v.Stage = "settling"
		}
	case inCanary:
		v.Stage = "canary"
	case rolling:
		v.Stage = "rolling"
	case handingOver:
		v.Stage = "handover"
	}
	return v, m.Swapping()
}
