// Package spawn starts a child so that it sees what it would see without us:
// the same signal mask, ignored signals, limits, niceness, umask, capabilities
// and environment, and no file descriptor that it was not given.
//
// Almost everything can be had from one fork and exec. Two things can not,
// because Go runs no code of ours between the two: an environment variable
// whose value is the child's own pid, and signals that are to be ignored
// again. Only for those the child first runs the exec stage, which is this
// same binary under another name, and which then becomes the real program:
//
//	          Fork                      Stage()                   Exec() returns
//	init ──────┬─────────────────────────────────────────────────────▲──────
//	           │ fork, pgrp, user, chdir, fds, exec /proc/self/exe   │ EOF, or
//	           └──────────────► pid variables, SIG_IGN ── execve ────┘ a failure
//
// The stage has to exec and not to fork: the pid stays, and the program's
// parent is the init.
//
// Files: fork.go (the parent), stage.go (the stage), protocol.go (what the two say
// to each other), error.go (which step failed).
package spawn
