// Package listen owns the endpoints: the sockets that swapinit opens, or was
// itself given, and hands to every generation.
//
// The idea. A socket that lives in the init outlives every server, so the
// kernel goes on queueing connections while one server leaves and the next
// comes. For that to be true the init must never lose the socket, whatever a
// server does to the file description that it shares:
//
//	what a server does            what the kernel does          what Guard does
//	shutdown(2), TCP              state CLOSE, refuses          listen(2) on the same socket
//	shutdown(2), unix             refuses for ever              a new socket in its place
//	unlink, rename of the path    connect: ENOENT               links the path to the socket again
//	its own socket at the path    connect: the wrong socket     takes the path back
//	close(2), exit, death         nothing, we still hold it     nothing
//
// A generation may have a socket of its own: then a group (Steered) has the sockets
// of the endpoint. It takes over the first one, and has others opened here
// (Set.TCP, Set.Unix, Set.Steer). The Set asks it for a generation's socket, has it
// repair them, and closes it.
//
// How a child finds its sockets is a matter of dialects (systemd,
// Server::Starter, einhorn): see Given.Environ.
//
// Ownership: Set, or an endpoint's group, owns every socket, from Open (for
// inherited ones: from Inherited) to Set.Close. Those of a Given are duplicates,
// which whoever asked for it closes. Every descriptor of this package is close-on-exec
// and above 2, so that none can be mistaken for a standard stream, not even where
// swapinit was started with those closed.
package listen
