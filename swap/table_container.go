package swap

type containerAction func(*Machine, *ContainerEvent)

func notSweeping(*Machine, *ContainerEvent)  {} // asked for only when sweeping
func tick(*Machine, *ContainerEvent)         {} // deadlines are looked at in every step
func offAlready(*Machine, *ContainerEvent)   {} // the swap has been called off
func delayRuns(*Machine, *ContainerEvent)    {} // a second one shortens nothing, the stop delay included
func allTold(*Machine, *ContainerEvent)      {} // everything that is left has got its signal
func nobodyToTell(*Machine, *ContainerEvent) {} // the generation that it was meant for has ended
func leavesAnyway(*Machine, *ContainerEvent) {} // it is stopped, whoever has the traffic
func afterExit(*Machine, *ContainerEvent)    {} // nothing follows the exit

var containerActions = [numPhases][numContainerKinds]containerAction{
	Running: {
		Swap: (*Machine).raiseRequest, Prepared: (*Machine).raisePrepared, Rollback: (*Machine).raiseRollback, Cancel: (*Machine).raiseCancel,
		Promote: (*Machine).raisePromote, Stop: (*Machine).stop, Forward: (*Machine).forward,
		Granted: (*Machine).raiseGranted, Denied: (*Machine).raiseDenied, Lost: (*Machine).raiseLost,
		Regained: (*Machine).raiseRegained, Called: (*Machine).raiseCalled, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
		NothingLeft: notSweeping, Tick: tick,
	},
	Delaying: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: delayRuns, Forward: (*Machine).forward, NothingLeft: notSweeping, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	StopDraining: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: delayRuns, Forward: (*Machine).forward, NothingLeft: notSweeping, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	StoppingAll: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: (*Machine).stopAgain, Forward: (*Machine).forward, NothingLeft: notSweeping, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	Finishing: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: (*Machine).stopFinishing, Forward: nobodyToTell, NothingLeft: notSweeping, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	Sweeping: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: allTold, Forward: nobodyToTell, NothingLeft: (*Machine).nothingLeft, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	KillingAll: {
		Swap: (*Machine).refuse, Prepared: offAlready, Rollback: (*Machine).refuse, Cancel: (*Machine).refuse, Promote: (*Machine).refuse,
		Stop: allTold, Forward: nobodyToTell, NothingLeft: (*Machine).nothingLeft, Tick: tick,
		Granted: (*Machine).tooLate, Denied: offAlready, Lost: leavesAnyway, Regained: (*Machine).cannotServe,
		Called: (*Machine).cannotServe, Away: (*Machine).gateAway, Here: (*Machine).gateHere,
	},
	Over: {
		Swap: afterExit, Prepared: afterExit, Rollback: afterExit, Cancel: afterExit, Promote: afterExit, Stop: afterExit,
		Forward: afterExit, NothingLeft: afterExit, Tick: afterExit, Granted: afterExit, Denied: afterExit, Lost: afterExit,
		Regained: afterExit, Called: afterExit, Away: afterExit, Here: afterExit,
	},
}

// Requests are the rollout's.

func (m *Machine) raiseRequest(e *ContainerEvent) {
	m.raise(&raised{kind: requested, request: &e.Request})
}
func (m *Machine) raiseRollback(e *ContainerEvent) { m.raise(&raised{kind: back, request: &e.Request}) }
func (m *Machine) raiseCancel(e *ContainerEvent) {
	m.raise(&raised{kind: cancelled, request: &e.Request})
}
func (m *Machine) raisePromote(e *ContainerEvent) {
	m.raise(&raised{kind: promoted, request: &e.Request})
}

func (m *Machine) raisePrepared(e *ContainerEvent) {
	if e.Swap == m.swaps { // else it comes too late, for a swap that did not wait for it
		m.raise(&raised{kind: hooked, reason: e.Reason, command: e.Command})
	}
}

func (m *Machine) cannotServe(*ContainerEvent) { m.emit(&Took{}) }

func (m *Machine) refuse(e *ContainerEvent) { m.answer(e.Request, 0, stopping) }
