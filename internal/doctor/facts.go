// Package doctor tells what would go wrong with a swap of the container that runs, and what
// to do: `swapinit check`. It is pure. Package init gathers the facts, and an error of a swap
// that has failed for one of these reasons has the same words.
package doctor

import "time"

// Problem is one finding: what, why, and what to set.
type Problem struct {
	_ [0]func() // no ==, so no code for it

	What, Why, Set string
}

// Facts are what is known about the container. What could not be seen is left out, and
// nothing is said about it.
type Facts struct {
	Generation int           // that is active, 0: there is none
	Age        time.Duration // that it runs for
	Ready      bool          // all of it has been
	Patient    bool          // it has asked for more time (EXTEND_TIMEOUT_USEC)
	Note       string        // the last that was seen of why it is not ready
	Shown      string        // SWAPINIT_READY
	Hint       string        // what a server has to do for that, as the end of a sentence

	ReadyTimeout, RetireTimeout, LeftoverTimeout, Keep time.Duration

	StopFirst bool // the predecessor is stopped before its successor is started
	Beside    bool // both serve for themselves, side by side
	Joined    bool // a gate has the endpoints

	Endpoints []Endpoint
	Adopts    string   // "", or why the server cannot be adopted, which was asked for by name
	Blind     string   // the same where it was not, and where only a bind was not answered
	Alone     []Passed // addresses that the server has for itself
	Ports     []int    // on which it listens unobserved, and that are no endpoints
	Strangers []Stranger
	Unsteered string // why a canary or a keep is not possible here
	GateAway  string // where the gate is that cannot be reached

	Loopback []int    // the ports, where all endpoints are reached from inside the container only
	First    *Process // PID 1, where swapinit is not, and was started below it

	Mains     []Process // the main processes, one for each worker
	Server    *Process  // the first of the others that has an endpoint
	ListenPid int       // in its environment
	Unused    bool      // nobody waits for, or has accepted, a connection of an endpoint
	Adopted   bool      // the generation has bound one itself
	Elsewhere bool      // it listens on something else

	Signal      string // what a predecessor gets
	Number      int    // the same
	Setting     string // that says so
	KillGroup   bool
	Memory      Room
	Tasks       Room
	Drain       string // what a drain waits for (SWAPINIT_DRAIN)
	Endless     int    // connections that a drain without a limit would wait for
	Oldest      string // of these
	Leaving     []Leaving
	Generations int      // that live
	Most        int      // SWAPINIT_MAX_GENERATIONS
	Next        []string // what would keep a successor from being started
	After       []string // the same of the post-swap hook
}

// Endpoint is one of the sockets that the generation was given.
type Endpoint struct {
	_ [0]func()

	Name, Address string
	Held          bool   // by a process that can serve
	By            string // what holds it, and only passes it on; "" if nothing does
	Binds         bool   // the server may yet bind it for itself
	Waiting       int    // connections of which none was accepted for a while
}

// Passed is an address that a server has for itself, and why.
type Passed struct {
	_ [0]func()

	Address, Why string
	Set          string // what to do, "" where only the strategy helps
}

// Stranger is an endpoint at whose address somebody listens with sockets of its own.
type Stranger struct {
	Endpoint string
	Sockets  int
}

// Room is a limit and what is used of it.
type Room struct {
	Limit int64 // 0: there is none
	Used  int64 // by all but the generations on their way out
	One   int64 // by the active generation
	Batch int64 // by those of its workers that are replaced at a time
}

// Leaving is a generation on its way out that nothing bounds.
type Leaving struct {
	_ [0]func()

	Generation int
	Stopping   bool // it was told to stop
	For        time.Duration
	Waits      int // for so many connections
	Oldest     string
}

// Process is one process as far as it matters here.
type Process struct {
	Pid     int
	Exe     string   // the last part of its program's path, "" where that cannot be read
	Args    []string // its command line, or the title that it has written there
	Config  string   // what else may say how it takes signals, see IsUWSGI
	Ignored uint64   // signals, as in proc_pid_status(5)
	Handled uint64   // caught or blocked, the same
}
