// Package member is a member's end of a gate (docs/gate.md): it joins, keeps the
// connection, asks for what the init needs, and has the endpoints of the gate as groups
// that steer's are like.
//
//	Join ── the first welcome ──> Start ── notices, in their order ──> the init's loop
//	                                │
//	                                └─ the gate is away: dial, hello, welcome, the calls
//	                                   that have no answer once more
//
// One goroutine reads, one passes notices on; whoever calls waits for its answer, which
// has an end of its own where the gate may be silent. Whatever a gate says or leaves out,
// a member lives on: its server goes on with the sockets that it has.
package member
