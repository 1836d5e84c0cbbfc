// Package arbiter decides which of the containers that have joined a gate has the
// traffic: the holder. It is pure, as package swap is: an event and the time go in,
// effects come out, so that a simulation can drive it through crashes, full disks and
// reboots in any order. It knows nothing of sockets but the names of slots, and nothing
// of servers: each member's own init decides about those.
//
// The invariants that it keeps, whatever the order of events:
//
//   - AlwaysAccepting: connections always go to a socket, and where somebody serves and
//     was not told to stop they go to one that is accepted from.
//   - ReadyBeforeRetire: a holder hears that it has lost the traffic only after another
//     one was written down and the traffic has moved.
//   - FailureIsFree: a newcomer that fails in any way before it has the traffic changes
//     nothing for the holder.
//   - OneSwapAtATime: one turn for takeovers and for swaps inside members. Whoever is
//     silent for 10 s in its turn loses it.
//   - NewestWins: by itself only a member with a higher number than the holder's takes
//     over, and none from which the traffic was taken by death or rollback.
//   - NoQueueForgotten: connections wait in one socket, which is the next one's that
//     starts; those of a dead server are dropped once the traffic is elsewhere.
//   - StateFirst: who has the traffic, and a member's number, are on the disk before the
//     traffic moves and before the member is told.
//   - Every wait has an end, and every request one answer.
//
// Where nobody serves, StateFirst yields to AlwaysAccepting: traffic that nobody accepts
// goes to one that serves at once, and a disk that is full or hangs keeps nobody from
// it. What is missing is written when the disk can be written.
//
// The gate as a whole is recovering (it has started, the recorded holder is awaited),
// vacant (nobody has the traffic) or serving:
//
//	            the holder is back               it ends, or leaves
//	recovering ───────────────────▶ serving ◀──────────────────────▶ vacant
//	     │                             somebody joins, asks, is told     ▲
//	     └───────────────────────────────────────────────────────────────┘
//	       after 60 s; after 10 s if another one serves, as then only the gate was away
//
// While it is vacant the traffic goes to the first of these: the recorded holder if it is
// back; whoever asks, or is in canary; after a death the newest one that is kept; whoever
// joins; 10 s after the holder's end one that is kept though the holder was told to stop,
// then the newest one without a server, which is told to start it.
//
// A member's way; table.go has all pairs of state and event:
//
//	        welcome        Ask, a share         Ask, all       Saved
//	joining ──────▶ rising ──────────▶ canary ─────────▶ commit ─────▶ holding
//	   ▲  │            ▲ Done, Cut,      │                 │             │  ▲
//	   │  │            └─────────────────┴── disk full ────┘        Lost │  │ Took
//	   │  │ had the traffic before,                                      ▼  │
//	   │  ├──────────────────────────────────────────────────────────▶ kept │
//	   │  │ or another one has it                             NoServer │ │ Back
//	   │  └──────────────────────────────────────────────────▶ idle ◀──┘ ▼  │
//	  away ◀── Ended ── leaving ◀── Leaving ── any             └────▶ regaining
//	                                                             Serve
//
// (commit is the state committing; one in canary keeps that state and its share until
// the disk has answered.) Out says of one that may not hold by itself why: retired,
// superseded or failed. The member a.holder is the record: it has the traffic, or was
// the last that had it.
//
// # A change of the holder
//
// All go the same way (takeover.go). begin emits a Save of the state in which the change
// has happened; nothing else is decided until its answer. Saved: if the new holder is
// still as it was, the change happens, and its effects come in this order: Aim, the
// answer to whoever asked, Lost to the predecessor. If it is not, or if somebody serves
// and the disk has an error, nothing has happened, and the state is written again. A gate
// that starts with either state does the right thing:
//
//   - written, not aimed: the predecessor claims to be the holder, with an older epoch.
//     The traffic is its for as long as the new holder is not back, and its welcome (kept)
//     tells it. If the new one has ended too it holds again.
//   - not written: the newcomer asks again.
//   - the file is lost: the highest epoch that is claimed wins.
//
// # Interrupted transitions
//
//   - The holder ends while another one's takeover is written: that takes place.
//   - The newcomer ends, leaves or calls it off while its takeover is written: nothing
//     has happened; the disk is put right.
//   - One that was told Back or Serve refuses, ends or is silent for 10 s: the next one.
//     If it answers later it has the traffic if nobody else has, else it hears Lost.
//   - A rollback tells the holder only after the other one has taken the traffic (the
//     member unaware). If that one refuses, the holder has it as before.
//   - A member comes back before the end of its old connection was seen: another life
//     means that the old one has ended, the same one that only the connection has; the
//     old connection is refused.
//   - Messages cross. A member that moves its traffic, or says Took, takes itself for the
//     holder: if it is not, the traffic is put right and it is told.
//
// # What the two ends must do
//
// The gate answers each Save once, in order; until a Save that hangs is answered there is
// no other one. It performs effects in their order. Aim of the zero Slot after the Drop
// of the slot that had the traffic is the same socket. It makes a Moved of what the
// holder moves, and lets nobody else move.
//
// A member says Done for each turn it was granted, a NoServer when its last server has
// ended (one that rises counts), and answers Back and Serve at once: Took names the
// generation that has the traffic, or for Serve is about to. One whose Ask was granted
// after it had given it up says Moved or NoServer. After a new connection it repeats
// what was not answered, in order.
package arbiter
