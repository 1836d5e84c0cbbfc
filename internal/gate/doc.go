// Package gate is `swapinit gate`: the process that has the endpoints, and lends the
// sockets of their groups to the containers that join it (members, see
// internal/gatewire). It starts nothing and carries no byte.
//
//	connections of members ─┐
//	control socket ─────────┤           ┌── arbiter.Step(now, event) ──┐
//	moves, looks, saves ────┼─> Gate.run┤                              ├─> perform: save, aim,
//	signals ────────────────┤           └── Deadline() -> one timer ───┘   answer, tell
//	timer ──────────────────┘
//
// One goroutine owns the state, as in package pid1. The others wait for one thing
// each and post a func:
//
//   - one for each connection reads what its member says, and another writes what
//     it is told; one that does not read is disconnected
//   - the writer of the state file
//   - the mover does in order what changes the endpoints, where that can take a file
//     system; effects of the arbiter that come after a move wait for it
//   - one for each look, probe and the like that a member has asked for
//
// A member is not trusted: what it may ask for is checked against the slots that it
// has (see slots), and what it may have at a time is bounded. What it is trusted with is
// the traffic, as it holds a listening socket.
//
// Files: run.go (the loop), setup.go and recover.go (the start), perform.go (effects),
// session.go, accept.go, hello.go (members), call.go and look.go (what they ask for),
// state.go (the state file), verb.go, wait.go, status.go, check.go (the control socket).
package gate
