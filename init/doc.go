// Package pid1 is the init itself: the only loop, which turns what happens in
// the operating system into events of the state machine (package swap) and
// performs the effects that come out of it.
//
// The folder is called init because that is what it is; the package cannot be,
// as Go refuses to import a package of that name ("init must be a func").
//
//	child exits ─┐
//	signals ─────┤            ┌── swap.Step(now, event) ──┐
//	readiness ───┼─> Init.run ┤                           ├─> perform: start, signal, sweep, exit
//	control ─────┤            └── Deadline() -> one timer ┘
//	timer ───────┘
//
// Init's fields belong to the goroutine of run. Every other goroutine waits for
// one thing (a process's end, a client, a probe) and posts a func that run
// calls; none of them changes state. The loop itself never waits for a child, a
// client, a file or the log: it reads nothing of a file system, /proc included.
//
//	clients      who waits for an answer, follows a generation       the loop's
//	generations  what is left of each, with its workers              the loop's
//	sides        what runs beside the generations                    the loop's
//	hooks        what runs before and after a swap                   the loop's
//	manager      who is told of the container as a whole             the loop's
//	check        the canary's                                        the loop's
//	peers        where connections come from while it runs           the loop's
//	launcher     how a child is made, of what files and settings     any goroutine's but the loop's
//	processes    whose a process is, by /proc                        any goroutine's but the loop's
//	sweepers     who end what nobody waits for                       anybody's
//	logger                                                           anybody's
//
// A generation is what the machine decides about; its workers are processes, each
// with readiness, signals and channels of its own. A worker that is started again
// is another one in the same place, with the command of its generation.
//
// Ownership of file descriptors: a worker owns its readiness pipe, its notification
// socket and its channels until another one has its place or the generation is
// forgotten; the endpoints own their sockets; reaper.Process owns the pidfd; the
// output of a hook owns its pipe until the hook has ended. Everything is
// close-on-exec until it is duplicated into a child.
package pid1
