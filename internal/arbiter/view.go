package arbiter

import (
	"cmp"

	"github.com/swapinit/swapinit/internal/shares"
)

// Views lists all members that are remembered, in the order of their numbers.
func (a *Arbiter) Views() []View {
	views := make([]View, 0, len(a.members))
	for _, m := range a.members {
		reason := m.reason
		if m.Out == Failed { // whatever became of its connection since
			reason = cmp.Or(m.failure, reason)
		}
		views = append(views, View{
			Member: m.Member, Session: m.session, Role: m.role(), State: m.shown(),
			Share: a.share(m), Since: m.since, Reason: reason,
		})
	}
	return views
}

// By is what decides which connections go to the one that has a share of them.
func (a *Arbiter) By() shares.By { return a.aimed.By }

// shown is the state in the words of the contract, which has fewer.
func (m *member) shown() string {
	switch m.state {
	case away:
		return "away"
	case joining, rising, committing:
		return "rising"
	case canary:
		return "canary"
	case holding, regaining:
		return "holder"
	case kept:
		if m.Out == Failed {
			return "draining"
		}
		return "kept"
	case leaving:
		return "leaving"
	}
	if m.Out == "" {
		return "failed" // the holder, whose server has ended
	}
	return string(m.Out)
}

func (a *Arbiter) share(m *member) int {
	switch {
	case a.aimed.Share < shares.Full && a.aimed.To.Member == m.Container:
		return a.aimed.Share
	case a.aimed.Share < shares.Full && a.aimed.Rest.Member == m.Container:
		return shares.Full - a.aimed.Share
	case a.aimed.To.Member == m.Container:
		return shares.Full
	}
	return 0
}
