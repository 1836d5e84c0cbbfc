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
//
// There are three machines, each with a table of its own for all pairs of state
// and event.
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
// What happens to a generation's processes is the generation's affair. What that
// means for the swap is raised, and heard by the rollout when the handler that
// raised it is done: no generation calls the rollout.
//
// The container as a whole goes through the phases running, delaying (told to
// stop, the stop delay is not over), stopping, sweeping (the active generation
// has ended, what is left is being ended), killing and over.
//
// # Interrupted transitions
//
// Nothing that is under way has to finish before something else may happen.
//
//   - Told to stop: the rollout is idle at once, whatever its state was, and
//     everybody who asked has the answer. A successor that serves alone, its
//     predecessor being dead, becomes active first; any other is stopped with the
//     rest. Workers that a failed roll has still to give back are not started.
//   - The active generation dies: a kept or draining predecessor takes the traffic
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
//     generation, or by a rollback to an older one: what is left of it is dropped.
//     Requests that came meanwhile are one swap that begins after it.
//
// # Room for a foreign predecessor
//
// A rollout's predecessor may come to be another container's generation. Then the
// cut-over is asked for, and granted or denied: a state between rising (or canary)
// and the cut-over, with a deadline, entered from proceed in place of cutOver. That
// traffic is lost and regained are two more rollout events, handled like ended and
// takeBack. A phase beside running, in which the init lives on without a server, is
// a row of the container's table and another end of activeEnded than finish.
package swap
