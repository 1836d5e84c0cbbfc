package swap

import (
	"math/rand/v2"
	"testing"
	"time"
)

// simulatedGate says what a gate may say, with little sense of its own: the machine has
// to hold its invariants whatever comes.
type simulatedGate struct {
	asked *Ask // not answered yet, nor over
	away  bool
}

// newMember is a world whose container has joined a gate.
func newMember(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 0x67617465))
	cfg := anyConfig(r)
	cfg.Membership = JoinsAsHolder + Membership(r.IntN(3))
	return worldOf(r, cfg)
}

// gateHears is how the gate answers.
func (w *world) gateHears(f Effect) {
	if w.cfg.Membership == Alone {
		return
	}
	switch f := f.(type) {
	case *Ask:
		w.gate.asked = f
		if !w.chance(10) || w.calm {
			w.gateAnswers()
		}
	case *EndTurn:
		w.gate.asked = nil
	case *CutOver, *Took:
		if !w.calm && w.chance(40) {
			w.plan(w.later(40*time.Second), &ContainerEvent{Kind: Lost, Reason: "another container has the traffic", Back: w.chance(25)})
			if w.chance(60) {
				w.plan(w.later(60*time.Second), &ContainerEvent{Kind: Regained + ContainerKind(w.r.IntN(2)), Reason: "nobody else serves"})
			}
		}
	}
}

// gateAnswers answers the latest Ask, perhaps after the swap is over.
func (w *world) gateAnswers() {
	a := w.gate.asked
	e := &ContainerEvent{Kind: Granted, Swap: a.Number, Share: a.Share}
	if !w.calm && w.chance(25) {
		e = &ContainerEvent{Kind: Denied, Swap: a.Number, Reason: "denied", Superseded: !a.Operator && w.chance(60)}
	}
	at := w.later(10 * time.Second)
	w.plan(at, e)
	if !w.calm && w.chance(15) {
		w.plan(at+time.Duration(w.r.Int64N(int64(10*time.Second))), &ContainerEvent{Kind: Denied, Reason: "the turn is lost"})
	}
}

// gateCalms: the gate is there, and answers.
func (w *world) gateCalms() {
	if w.cfg.Membership == Alone {
		return
	}
	w.plan(w.now, &ContainerEvent{Kind: Here})
	if w.gate.asked != nil {
		w.gateAnswers()
	}
}

// gateSays is what comes at any time, late or twice.
func (w *world) gateSays() Event {
	switch k := w.r.IntN(12); {
	case k < 3:
		return &ContainerEvent{Kind: Lost, Reason: "another container has the traffic", Back: w.chance(25)}
	case k < 5:
		return &ContainerEvent{Kind: Regained, Reason: "the other one has died"}
	case k < 6:
		return &ContainerEvent{Kind: Called, Reason: "nobody else serves"}
	case k < 8 && w.gate.away:
		w.gate.away = false
		return &ContainerEvent{Kind: Here}
	case k < 8:
		w.gate.away = w.chance(90)
		return &ContainerEvent{Kind: Away}
	case k < 9:
		return &ContainerEvent{Kind: Denied, Reason: "the turn is lost"}
	case k < 10:
		return &ContainerEvent{Kind: Denied, Swap: w.r.IntN(4), Reason: "stray event", Superseded: w.chance(50)}
	default:
		return &ContainerEvent{Kind: Granted, Swap: w.r.IntN(4), Share: []int{0, 100, Full}[w.r.IntN(3)]}
	}
}

// TestMemberSimulation is TestSimulation for a container that has joined a gate.
func TestMemberSimulation(t *testing.T) {
	simulate(t, "TestMemberSimulation", newMember, append(everyEffect, memberEffect...))
}
