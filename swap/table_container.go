package swap

// containerAction is what an event that concerns the container does in a phase.
type containerAction struct {
	do  func(*Machine, *ContainerEvent)
	why string
}

func ignore(*Machine, *ContainerEvent) {}

func (m *Machine) raiseRequest(e *ContainerEvent) {
	m.raise(&raised{kind: requested, request: &e.Request})
}
func (m *Machine) raiseRollback(e *ContainerEvent) { m.raise(&raised{kind: back, request: &e.Request}) }
func (m *Machine) raisePromote(e *ContainerEvent) {
	m.raise(&raised{kind: promoted, request: &e.Request})
}

func (m *Machine) raisePrepared(e *ContainerEvent) {
	if e.Swap == m.swaps { // else it comes too late, for a swap that did not wait for it
		m.raise(&raised{kind: hooked, reason: e.Reason, command: e.Command})
	}
}

func (m *Machine) refuse(e *ContainerEvent) { m.answer(e.Request, 0, stopping) }

// containerActions is the table of all pairs of phase and container event.
var containerActions = [numPhases][numContainerKinds]containerAction{
	Running: {
		Swap:        {do: (*Machine).raiseRequest},
		Prepared:    {do: (*Machine).raisePrepared},
		Rollback:    {do: (*Machine).raiseRollback},
		Promote:     {do: (*Machine).raisePromote},
		Stop:        {do: (*Machine).stop},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Delaying: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: ignore, why: "a second one shortens nothing, the stop delay included"},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	StoppingAll: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: (*Machine).stopAgain},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Sweeping: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: ignore, why: "everything that is left has got its signal"},
		Forward:     {do: ignore, why: "the generation that it was meant for has ended"},
		NothingLeft: {do: (*Machine).nothingLeft},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	KillingAll: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: ignore, why: "everything that is left has got its signal"},
		Forward:     {do: ignore, why: "the generation that it was meant for has ended"},
		NothingLeft: {do: (*Machine).nothingLeft},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Over: {
		Swap:        {do: ignore, why: "nothing follows the exit"},
		Prepared:    {do: ignore, why: "nothing follows the exit"},
		Rollback:    {do: ignore, why: "nothing follows the exit"},
		Promote:     {do: ignore, why: "nothing follows the exit"},
		Stop:        {do: ignore, why: "nothing follows the exit"},
		Forward:     {do: ignore, why: "nothing follows the exit"},
		NothingLeft: {do: ignore, why: "nothing follows the exit"},
		Tick:        {do: ignore, why: "nothing follows the exit"},
	},
}
