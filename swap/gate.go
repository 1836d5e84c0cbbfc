package swap

import "time"

// A container that has joined a gate: another container may have the traffic. That one's
// generation stands in the machine as the foreign one, number 0: it is active, has no
// workers and never ends. So a rollout against it is a rollout like any other, but that
// the gate is asked for the traffic, and that nobody of it is told anything here.
//
//	asked for     granted, or denied (another is newer, or the turn is lost)
//	lost          ours goes the way of a predecessor, the foreign one is active
//	regained      as with rollback: ours takes the traffic back, if it still serves
//	called        nobody else serves: whoever has no server starts one
//
// Without a generation of its own the container stays: its init has nothing to do until
// it is asked for a swap, or told to stop.

// Membership says whether the traffic is a gate's to give, and who this container was for it
// when it joined.
type Membership uint8

const (
	Alone         Membership = iota // there is no gate
	JoinsAsHolder                   // its first generation has the traffic from its start
	JoinsAsNewest                   // its first generation is the successor of the foreign one
	JoinsWithout                    // it starts no server before it is asked to
)

// isForeign reports whether another container has the traffic.
func (m *Machine) isForeign() bool { return m.active == m.foreign }

// gate is what is asked of one, the last time.
type gate struct {
	asked int           // number of the last Ask
	then  func()        // what is done when it is granted
	away  bool          // it cannot be reached
	since time.Duration // that it is so
	ends  bool          // the container ends when its last generation has, with final
	final Status
}

// endTurn tells the gate that the swap which had asked for the traffic, or for a turn, is
// over. A share that its successor had goes back.
func (m *Machine) endTurn() {
	if m.rollout.turn {
		m.rollout.turn = false
		m.emit(&EndTurn{})
	}
}

// stays: it has the traffic, and with it another chance.
func (m *Machine) stays() { m.gate.ends, m.gate.final = false, Status{} }

// gateAway: whoever is kept or drains must not be retired before the gate is back, and
// nobody counts its connections.
func (m *Machine) gateAway(*ContainerEvent) {
	if !m.gate.away {
		m.gate.away, m.gate.since = true, m.now
	}
}

// gateHere: they get the rest of their time.
func (m *Machine) gateHere(*ContainerEvent) {
	if !m.gate.away {
		return
	}
	m.gate.away = false
	for _, g := range m.gens {
		if waitsForGate(g) && g.by != never {
			g.by = later(g.by, m.now-max(m.gate.since, g.since))
		}
	}
}

// standsStill: g's deadline does, while the gate is away. Its workers' go on.
func (m *Machine) standsStill(g *generation) bool { return m.gate.away && waitsForGate(g) }

func waitsForGate(g *generation) bool { return g.state == Kept || g.state == Draining }
