// Package swap is the state machine of generations: which incarnation of the
// entrypoint serves, which one is coming up, which ones are on their way out.
//
// It is pure. An event and the time go in, effects come out; it has no
// goroutine, no clock, no file and no signal of its own, so that a simulation
// can drive it through millions of schedules and a bug report can be replayed:
// testdata has scenarios, and a log at debug can be made one.
//
// The invariants that it keeps, whatever the order of events:
//
//   - ReadyBeforeRetire: a predecessor gets no signal that ends it before its
//     successor is ready, holds the endpoints and has survived its settle time.
//   - FailureIsFree: a successor that fails in any way leaves the predecessor
//     untouched and active.
//   - OneSwapAtATime: at most one successor exists; requests during a swap
//     become one more swap, and each is answered once, by a swap that began
//     after it was made.
//   - FaithfulExit: the status at the end is the active generation's.
//   - KnownGood: the traffic goes back to none but the generation that had it until the
//     swap that gave it to the one which is lost, or was rolled back. What that means for
//     the swap is told.
//
// There are three machines, each with a table of its own for all pairs of state
// and event; and a fourth, Side, of which these know nothing.
//
// A generation's way:
//
//	            Ready           cut-over           a successor's
//	starting ──────────▶ ready ──────────▶ active ──────────────▶ kept ──▶ draining
//	    │                  │                 │       cut-over       │          │ Drained,
//	    │ Exited, Never,   │                 │ Stop                 ◀── back ──┤ deadline
//	    │ deadline         │                 ▼                                 ▼
//	    └──────────────────┴─────────────▶ stopping ◀──────────────────────────┘
//	                                         │    │ deadline
//	                        no worker lives, │    ▼
//	                        nor will again   │  killing
//	                                         ▼    ▼
//	                                       leftovers ──▶ killed leftovers ──▶ gone
//
// A generation whose workers all end goes to leftovers from wherever it is. Those
// who are told about it have fewer words, see State.Shown. The first generation is
// active from its start. That a successor has failed, or that the traffic was taken
// from a generation, is its standing: it is never gone back to.
//
// The rollout's way, which is one swap from its request to its result. Its
// predecessor is the active generation:
//
//	                                            ┌─▶ in canary ──┐
//	idle ─▶ preparing ─▶ waiting for room ─▶ rising ─▶ rolling ─┼─▶ cut-over ─▶ idle
//	             │                 │            └─▶ handing over ┘
//	             │ hook failed     │ no room     failed │
//	             └──────────▶ idle ◀────────────────────┴─▶ restoring (workers) ─▶ idle
//
// In a container that has joined a gate there is one state more. Where the active
// generation is its own, a swap begins with asking for the turn:
//
//	idle ─▶ asking ─▶ preparing ─▶ …
//
// Where another container has the traffic, that is asked for:
//
//	… ─▶ rising ─▶ asking ─▶ in canary ─▶ asking ─▶ … ─▶ asking ─▶ cut-over ─▶ idle
//	                  └─ denied ─▶ idle
//
// What happens to a generation's processes is the generation's affair. What that
// means for the swap is raised, and heard by the rollout when the handler that
// raised it is done: no generation calls the rollout.
//
// The container as a whole goes through the phases running, delaying (told to
// stop, the stop delay is not over), stop draining (its connections have their time),
// stopping, finishing (the active generation has ended, others that were told to stop
// have their time), sweeping (what is left is being ended), killing and over.
//
// # Interrupted transitions
//
// Nothing that is under way has to finish before something else may happen.
//
//   - Told to stop: the rollout is idle at once, whatever its state was, and
//     everybody who asked has the answer. A successor that serves alone, its
//     predecessor being dead, becomes active first; any other is stopped with the
//     rest. Workers that a failed roll has still to give back are not started. Once it
//     waits for the connections, no predecessor takes over any more.
//   - The active generation dies: its predecessor, kept or draining, takes the traffic
//     back and the rollout goes on against that one. Without one, connections wait
//     for the successor (preparing, waiting, rising), or it takes over at once
//     (ready, canary, rolling). If that one fails too, the container ends.
//   - A canary is cut off by failure or rollback: the traffic goes back first, then
//     the successor drains what it has accepted.
//   - A roll is cut off: the rollout is restoring workers. What is ready of the
//     successor serves on until the replaced workers are ready again, or have had
//     their time. A worker that was told to stop and has not ended is started when
//     it has.
//   - A handover is cut off: what the predecessor has released it gets back when the
//     successor is gone, which may still have held it. If it was told to stop for
//     the successor's sake, the rollout is restoring.
//   - A replacement is cut off: the rollout is restoring. The predecessor's command
//     is started again once that one is gone, or has survived KILL.
//   - Restoring is cut off, by the end of the failed successor, by that of the active
//     generation, or by a rollback to its predecessor: what is left of it is dropped.
//     Requests that came meanwhile are one swap that begins after it.
//
// # Another container has the traffic
//
// In a container that has joined a gate the active generation may be another
// container's: the foreign one, number 0, of which the machine knows that it never ends.
// A rollout against it is one like any other, but that the gate is asked (Ask) and
// grants or denies. There is no deadline for that: the gate gives each turn an end.
// EndTurn follows once, whatever becomes of the swap.
//
//   - Denied, or the turn is lost: the swap is called off. One inside of the container
//     whose successor is the only hope, the active generation being dead, goes on.
//   - Granted too late, the swap having ended: Took 0, so that the gate moves the
//     traffic elsewhere.
//   - Lost: what had the traffic goes the way of a predecessor, a swap inside is called
//     off, and nothing is restored. Without a generation the container is retired: it
//     tells so (NoServer) and stays. Rolled back, it ends with 1 in place of that.
//   - Regained, Called: what had the traffic until it was lost, and is kept or drains,
//     takes it back, and a swap that was to take it is called off. Called starts a server
//     where there is none of those and no swap runs. Took is the answer to each, 0 if
//     nothing can serve.
//   - The active generation, its own, dies and nothing of its own takes over: Leaving.
//     While the turn is waited for, the swap goes on without.
//   - The newcomer, which is the first start of a container that is not the first,
//     fails: the container ends with its status, or with 1. If it is only too old
//     (superseded), it is retired.
//   - Told to stop: Leaving, once the stop delay is over. Without the traffic there is
//     no delay, and the status is 0.
//   - The gate is away: the deadlines of those who are kept or drain stand still. A stop
//     waits for no gate.
package swap
