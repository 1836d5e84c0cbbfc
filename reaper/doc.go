// Package reaper reaps every child of the process and gives each exit status,
// once, to the one who started the child.
//
// One goroutine, woken by SIGCHLD, calls wait4(-1) until nothing is left. It reaps, finds
// the owner and delivers under one lock, and signals are sent under the same lock. So the
// number of a child is its own whenever one is sent, and no status is lost, late or
// somebody else's. Two cases need more than that, and there the pidfd proves:
//
//   - a child that dies before its pid is known here: statuses without an owner are kept
//     while a fork goes on, and one counts only for a process that has been reaped;
//   - a process that was adopted and is not our child: its pidfd tells that it has ended,
//     and on Linux 6.15 how (PIDFD_GET_INFO), for some other process reaps it.
//
// Signals go through the pidfd too. Where the kernel has none (before Linux 5.4) or refuses
// them (gVisor, seccomp) a child is known by its number alone, and strangers are not adopted.
//
// One invariant lives here, EveryChildOnce: every child that dies is reaped,
// its status reported once, to its owner; no signal ever reaches a recycled
// pid.
//
//	SIGCHLD ──> wait4(-1) ──> route ──┬─> Process.Exited
//	                                  ├─> early ──> Start, Adopt ──> Process.Exited
//	                                  └─> Options.Orphan
//	pidfd of a stranger ──> Process.watch ──> Process.Exited
//
// An orphan reaches this process only when it is PID 1 of its pid namespace or
// a child subreaper (PR_SET_CHILD_SUBREAPER); the caller sees to that.
package reaper
