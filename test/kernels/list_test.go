package kernels

import (
	"slices"
	"strings"
)

// The tests of test/e2e that are run on each kernel: some of each kind that asks something
// of the kernel, and none that needs long without it.

// uncounted run while the kernel has no inet_diag: Debian's have it as modules, and the host
// of a container may not have loaded them. Everything but the counts has to work.
var uncounted = []string{
	"TestAlwaysAccepting",
	"TestFailureIsFree",
	"TestReadyBeforeRetire",
	"TestSteerOff",
	"TestSteerUnseen",
	"TestSteerWhereItIsRefused", // one socket for both
}

// counted run with inet_diag.
var counted = []string{
	// Zombies, statuses and the end.
	"TestAllExitCodes",
	"TestEveryChildOnce",
	"TestFaithfulExit",
	"TestNobodyLeftBehind",
	"TestSignalDeaths",
	"TestSubreaperWhenNotPid1",
	"TestWithoutPidfds",
	// Signals.
	"TestProcessGroup",
	"TestSignalsAreForwarded",
	"TestSignalsDuringASwap",
	"TestStopSignal",
	"TestTermDuringASwap",
	"TestTransparent",
	"TestTransparentAfterSwap",
	// The swap.
	"TestChildFds",
	"TestInheritedSockets",
	"TestNotify",
	"TestOneSwapAtATime",
	"TestRace01QueuedConnectionsSurvive",
	"TestRace20ActiveDiesInMidSwap",
	"TestReadiness",
	"TestReplaceConnectionsWait",
	"TestStrategyHandover",
	"TestWorkersSwap",
	// Steering and the drain.
	"TestSteerBusy",
	"TestSteerCanaryShares",
	"TestSteerDrainOfAPath",
	"TestSteerDrainUntilGone",
	"TestSteerDrainUntilIdle",
	"TestSteerDrainsTheQueue",
	"TestSteerFullQueue",
	"TestSteerKeepAndRollback",
	"TestSteerProbeOfAnEndpoint",
	"TestSteerQueueOfADeadPredecessor",
	"TestSteerSlowHandshake",
	"TestSteerStatusCounts",
	"TestSteerSuccessorCrashes",
	"TestSteerSwapsWhileDraining",
	"TestSteerUDPIsShared",
	// Adoption.
	"TestAdoptBindTwice",
	"TestAdoptClosedListener",
	"TestAdoptDescriptor",
	"TestAdoptFamily",
	"TestAdoptFilter",
	"TestAdoptHostile",
	"TestAdoptLowPorts",
	"TestAdoptOn",
	"TestAdoptReadiness",
	"TestAdoptReusePort",
	// The gate.
	"TestGateAdopts",
	"TestGateBusy",
	"TestGateCanary",
	"TestGateHolderDiesAlone",
	"TestGateHostile",
	"TestGateRestart",
	"TestGateRollback",
	"TestGateTakeover",
	"TestGateUnix",
	"TestNoQueueForgotten",
}

// machine are the tests that the guest has itself.
var machine = []string{
	"MachineInit", "MachineZombies", "MachineSignals", "MachineUncounted", "MachineModules", "MachineCounted", "MachineSound", "MachineSwap",
}

// expected is all that has to be heard of.
func expected() []string { return slices.Concat(machine, uncounted, counted) }

// pattern is for -test.run.
func pattern(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }
