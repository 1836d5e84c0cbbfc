// Package steer sends the connections of an endpoint to one generation or
// another, and sees when a generation has nothing left to do.
//
// The idea. Each generation has a listening socket of its own for the same
// address, and something leads new connections to one of them: for a Unix path
// the file system (see Unix), for TCP the kernel. It has the sockets in one
// SO_REUSEPORT group, and a small classic BPF program (SO_ATTACH_REUSEPORT_CBPF)
// answers for each new connection with the index of the socket that gets it. A
// cut-over, a canary or a rollback is one setsockopt(2), which takes effect between
// two connections. The predecessor keeps what it has, is watched until that is done,
// and only then told to stop: even one that dies on its stop signal cuts nothing off.
//
//	Add(2)       listens, and gets nothing: the program still answers 0
//	Connect      a probe of ours reaches it at the real address, nobody else
//	Aim(2)       the program answers 1
//	Observe(1)   a Drain looks until generation 1 has nothing left to do
//	Leave(1)     shutdown(2): out of the group; the program answers 0 again
//
// # The kernel's rules
//
// From net/core/sock_reuseport.c and tried out; the tests hold every one of
// them to the kernel that they run on.
//
//   - listen(2) appends a member; one that leaves is replaced by the last; an
//     index beyond the end is overruled by a hash over all. So the layout
//     of this package follows each step, and the program is never out of range for
//     longer than it takes to replace it.
//   - Between those two steps the last member, at its new place, would be
//     missed. That is harmless where all that remain are to get connections
//     anyway. Else a new socket becomes the last one first and moves into the
//     hole. It is the next generation's then.
//   - close(2) takes a socket out of the group only when nobody holds it any
//     more, shutdown(SHUT_RD) at once; it resets what waits in its queue, and
//     does not leave it hanging where nobody accepts. So: shutdown, then close.
//   - An endpoint's first socket is bound with SO_REUSEADDR alone, so that
//     somebody else's listener on the port is still EADDRINUSE, and gets
//     SO_REUSEPORT between bind(2) and listen(2): a full member all the same.
//     All members need the same effective uid, and plain TCP (MPTCP is ENOTSUP).
//   - A full queue drops SYNs, it does not spill over to another member. Hence large
//     backlogs.
//   - A server's own SO_REUSEPORT sockets on the address are members, too.
//     They are behind ours and stay there for as long as ours do not move. So
//     while there are any (inet_diag tells), none is added and none is taken out:
//     generations share a socket, and Reason says why.
//   - Whoever holds a socket can shut it down, and attach or detach programs.
//     Mend puts that right; Add, Aim and Leave look before they rely on an index.
//     None of them can see that a process shut a socket down and made it
//     listen again before anybody looked: it has another index then.
//   - With net.ipv4.tcp_migrate_req=1 the kernel moves what waits in the queue
//     of a member that leaves to any other one; by default it resets it.
//
// # Who is whose
//
// Connections of all generations have the same local address. They are told
// apart by a tag, see tag.go, which the kernel copies from the listener. A
// handshake that is not done shows no tag. So a drain waits for all of those
// that its first look found, whosever they are: that look comes 10 ms after
// the cut-over, as a SYN may be on its way from the lookup of its listener to
// the table that inet_diag reads.
//
// Without inet_diag, or where it shows no tags, a drain has the length of the queue and
// the time (SetUnseen), and strangers are found in /proc/net/tcp.
//
// A group whose sockets are lent to processes that are not ours is guarded (anchor.go),
// and what they have kept of one whose owner has ended makes a group again (restore.go).
//
// What is idle, and why something is not, tells socket.does; Drain.Gone waits for the end of
// event streams and WebSockets, which look like that.
//
// A look is one dump of inet_diag, filtered by the port: about a millisecond, 25 to
// 55 with ten thousand connections. A look for strangers reads only listeners, 20 µs.
// Probe is 70 µs.
package steer
