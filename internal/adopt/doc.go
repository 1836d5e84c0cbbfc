// Package adopt lets an init answer the bind(2) and listen(2) of servers that know
// nothing of it, so that they get its sockets in place of their own. The means is
// the user notification of seccomp, seccomp_unotify(2): a filter stops a few system
// calls of the server and all that comes of it, and hands them to a supervisor.
//
//	           exec stage                       server
//	fork ─── Install: filter ── execve ──── socket  bind ─────────── listen ──► accept
//	             │ listener fd                       │ stopped         │ stopped
//	             ▼                                   ▼                 ▼
//	init ─── Supervise ───────────────── read address, choose    listen on it,
//	                                     a socket, ADDFD over    answer 0
//	                                     the server's, answer 0
//
// What is stopped: bind, listen, and setsockopt for the few options that count for
// a listener before it is bound; options of connections are not, so serving costs
// nothing. Whatever is not to be adopted goes on as if nobody had looked
// (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
//
// Nothing that the supervisor reads is trusted. The address is copied once, the
// notification is asked for again (NOTIF_ID_VALID) before the copy counts, and the
// copy alone is acted upon: whoever changes the memory meanwhile changes nothing.
//
// Files: filter.go (the program), install.go (the exec stage's part), notify.go (the
// kernel's calls), task.go (what /proc tells of the server), address.go, supervise.go.
package adopt
