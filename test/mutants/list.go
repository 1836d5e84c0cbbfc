package main

// mutants are the faults: each was either made once, or could be by anybody who changes
// that line. The first nine had survived all tests when they were tried for the first
// time.
var mutants = []mutant{
	{"deaths are not reset at ready", "swap/lifecycle.go", "	w.unready = 0\n", "", "./swap -skip TestSimulation"},
	{"a steady minute does not reset the delays", "swap/worker.go", "w.unready, w.crashes = 0, 0", "w.unready = 0", "./swap -skip TestSimulation"},
	{"ABRT goes to the group", "init/perform.go", "i.set.KillGroup && sig != syscall.SIGABRT", "i.set.KillGroup", "./init"},
	{"a drain does not wait for a move", "init/steering.go", ", Hold: i.moving}", "}", "./init"},
	{"a hook's output is not read to its end", "init/hook.go", "		o.add(buf[:max(n, 0)])\n", "		_ = n\n", "./init"},
	{"no look at the endpoints when a generation is forgotten", "init/perform.go", "		i.endpoints.Check()\n", "", "./init"},
	{"KILL between start and fork: a worker", "init/worker.go", "w.g.killed.Load() || w.killed.Load()", "w.g.killed.Load()", "./init"},
	{"KILL between start and fork: a generation", "init/worker.go", "w.g.killed.Load() || w.killed.Load()", "w.killed.Load()", "./init"},
	{"a stopped server is not continued at stop", "init/perform.go", "				resume(w.proc)\n", "", "./init"},
	{"a stop says nothing of stopped servers", "swap/generation.go", "m.signal(g, sig, m.phase != Running)", "m.signal(g, sig, false)", "./swap -skip TestSimulation"},
	{"the traffic goes back to a predecessor that was told", "swap/rollout.go", "(g.state == Kept || g.state == Draining) &&", "(g.state == Kept || g.state == Draining || g.state == Stopping) &&", "./swap -skip TestSimulation"},
}
