// Package channel is swapinit's end of the socketpair that a child has: JSON,
// one value a line, in both directions.
//
//	child                                              swapinit
//	  {"swapinit":"ready"}                        ──────>
//	  {"swapinit":"readyFor","resource":":8080"}  ──────>
//	  <──────  {"swapinit":"go","resource":":8080"}
//	  <──────  {"swapinit":"takedown","resource":":8080"}
//	  {"swapinit":"released","resource":":8080"}  ──────>
//	  <──────  {"swapinit":"message","data":…}
//
// Over a Node IPC channel (NODE_CHANNEL_FD, with "json" as its serialization)
// Node frames what process.send gets in just this way, so the same objects pass.
// There the string "ready" also means ready, and a message is the bare data.
// Whatever else a Node program sends is its own business, and Node's internal
// messages ({"cmd":"NODE_…"}) are nobody's here: both are ignored. A socket that
// it sends along is closed and not acknowledged; Node then holds back all that
// the program sends later.
//
// A channel is one fd in this process, close-on-exec and above 2, and one
// goroutine in the runtime's poller. A child that floods it waits; one that
// does not read costs 256 KiB here, and what the kernel lets a socket hold.
package channel
