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
	"TestReadyBeforeRetire",
	"TestSteerOff",
	"TestSteerWhereItIsRefused", // one socket for both
}

// counted run with inet_diag.
var counted = []string{
	// Zombies, statuses and the end.
	"TestEveryChildOnce",
	"TestFaithfulExit",
	"TestNobodyLeftBehind",
	"TestSubreaperWhenNotPid1",
	"TestWithoutPidfds",
	// Signals.
	"TestProcessGroup",
	"TestSignalsAreForwarded",
	"TestSignalsDuringASwap",
	"TestTermDuringASwap",
	"TestTransparentAfterSwap",
	// The swap.
	"TestChildFds",
	"TestInheritedSockets",
	"TestNotify",
	"TestRace20ActiveDiesInMidSwap",
	"TestReplaceConnectionsWait",
	"TestStrategyHandover",
	// Steering and the drain.
	"TestSteerBusy",
	"TestSteerDrainOfAPath",
	"TestSteerDrainUntilGone",
	"TestSteerDrainUntilIdle",
	"TestSteerDrainsTheQueue",
	"TestSteerFullQueue",
	"TestSteerKeepAndRollback",
	"TestSteerRollbackOfACanary",
	"TestSteerSlowHandshake",
	"TestSteerStatusCounts",
	"TestSteerUDPIsShared",
	// Adoption.
	"TestAdoptBindTwice",
	"TestAdoptClosedListener",
	"TestAdoptDescriptor",
	"TestAdoptFilter",
	"TestAdoptLowPorts",
	"TestAdoptReusePort",
	// The gate.
	"TestGateAdopts",
	"TestGateBusy",
	"TestGateElsewhere",
	"TestGateRestart",
	"TestGateTakeover",
	"TestGateUnix",
	"TestNoQueueForgotten",
}

// machine are the tests that the guest has itself.
var machine = []string{
	"MachineInit", "MachineZombies", "MachineSignals", "MachineCgroup2", "MachineUncounted",
	"MachineModules", "MachineCounted", "MachineSound", "MachineSwap",
}

// expected is all that has to be heard of.
func expected() []string { return slices.Concat(machine, uncounted, counted) }

// pattern is for -test.run.
func pattern(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }
