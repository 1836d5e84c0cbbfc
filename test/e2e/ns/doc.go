// Package ns runs a program as a true PID 1 without Docker: in new PID, mount,
// network, IPC and UTS namespaces (and a user namespace when the caller is not
// root). It is shared by the end-to-end tests and the demo.
//
//	parent ── clone(NEWPID|NEWNS|NEWNET|…) ──> stage (this binary again, PID 1)
//	                                              / private, /proc, /run, lo up
//	                                              execve(program): still PID 1
//
// A program that uses the package calls Stage first thing in main, and Root
// before it starts anything.
package ns
