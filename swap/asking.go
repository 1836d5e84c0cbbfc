package swap

// askGate asks for a share of the traffic for the successor, or with 0 for a turn, and
// does then when that is granted. There is no deadline: the gate gives every turn an end.
func (m *Machine) askGate(share int, cause string, then func()) {
	r := &m.rollout
	m.enter(asking, never, cause)
	m.gate.asked++
	m.gate.then, r.turn = then, true
	a := Ask{Number: m.gate.asked, Share: share, Operator: !r.newcomer}
	if r.successor != nil {
		a.Generation = r.successor.number
	}
	m.emit(&a)
}
