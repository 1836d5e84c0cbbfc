// Package reaper reaps every child of the process and gives each exit status,
// once, to the one who started the child.
//
// The reaping itself, a wait4(-1) loop woken by SIGCHLD, is go-reaper's. It
// offers the statuses on a channel without waiting for a reader, each from a
// goroutine of its own, so they come late, out of order, or not at all, and
// statuses of strangers are among them: orphans, children whose exec failed.
// This package adds what makes that dependable:
//
//   - a pidfd for each process says that it is dead and cannot be lost or
//     confused with a later bearer of the pid;
//   - a status counts only for a process that is proven to have been reaped;
//   - a status that does not come is asked for: first by waking go-reaper
//     (SIGCHLD to oneself), then by waitid(P_PIDFD), then by PIDFD_GET_INFO;
//   - signals go through the pidfd, never through a number;
//   - in a storm of deaths it reaps some itself, see routeAll.
//
// Where the kernel has no pidfds (before Linux 5.4) or refuses them (gVisor, seccomp) a
// process is known by its number, which is its own as long as it is our child and was not
// reaped: waitid(2) tells.
//
// One invariant lives here, EveryChildOnce: every child that dies is reaped,
// its status reported once, to its owner; no signal ever reaches a recycled
// pid.
//
//	SIGCHLD, kick ──> go-reaper ──channel──> route ──┬─> Process.status ─┐
//	                                                 ├─> early ─ Start ──┤
//	                                                 └─> Options.Orphan  │
//	pidfd readable ──> Process.watch <───────────────────────────────────┘
//	                        └──> Process.Exited
//
// An orphan reaches this process only when it is PID 1 of its pid namespace or
// a child subreaper (PR_SET_CHILD_SUBREAPER); the caller sees to that.
package reaper
