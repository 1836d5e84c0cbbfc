// Package swap is the state machine of generations: which incarnation of the
// entrypoint serves, which one is coming up, which ones are on their way out.
//
// It is pure. An event and the time go in, effects come out; it has no
// goroutine, no clock, no file and no signal of its own, so that a simulation
// can drive it through millions of schedules and a bug report can be replayed.
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
// A generation's way, with the event that takes each step:
//
//	             Ready, then                     cut-over to
//	starting ──────────────▶ ready ───────▶ active ──────────▶ draining
//	   │      Verified and     │   settle     │    a successor     │ Drained,
//	   │      settled          │              │                    │ or deadline
//	   │ Exited, StartFailed,  │              │ Stop               ▼
//	   └── Never, deadline ────┴──▶ failed ───┴───────────────▶ stopping
//	                                                               │ Exited,
//	                                                               ▼ Swept
//	                                                              gone
//
// Between ready and active a canary may lie: the successor, still ready, gets a
// share of the new connections, in stages. And a draining predecessor may first
// be kept warm. As long as it was not told to stop, the traffic can go back to it:
// by itself, when the active generation dies, or by a rollback.
//
// The first generation is active from its start. "failed" is no resting place
// but a mark: a failed successor is stopping like a retired predecessor.
//
// The machine as a whole goes through the phases running, delaying (told to
// stop, the stop delay is not over), stopping, sweeping (the active generation
// has ended, what is left is being ended) and over.
package swap
