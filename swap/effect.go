package swap

// Effect is one thing to do: one of the types below. Effects are to be performed in
// their order. Those that name an event as their answer have a deadline in the
// machine for it: an answer that never comes holds up nothing for ever.
type Effect interface{ effect() }

// EveryWorker is the Worker of an effect that is for all of a generation.
const EveryWorker = -1

// Prepare: a swap to Generation begins, do what comes before it. Answer: Prepared, with
// the same Swap.
type Prepare struct{ Swap, Generation int }

// Sockets says which listening sockets a generation is given.
type Sockets uint8

const (
	AnySockets    Sockets = iota // its own where they can be steered, else shared ones
	OwnSockets                   // its own, or it cannot be started
	SharedSockets                // its predecessor's
)

// Start starts Worker of Generation. What follows Worker counts for the first start
// in a generation; whoever is started later has the same command and sockets.
// Answer: Started or StartFailed, and Exited in the end.
type Start struct {
	Generation, Worker int
	Command            []string // nil: the default one
	Like               int      // the command of this generation instead; 0: none's
	Canary             bool     // it is to get only a share of the connections first
	CanaryBy           string   // which connections these are, as in Request
	Sockets            Sockets
}

// SignalWorker sends Signal to Worker of Generation. Resume: lets it run again if it
// is stopped, or it would never see the signal.
type SignalWorker struct {
	Generation, Worker int
	Signal             Signal
	Resume             bool
}

// Kill sends KILL to every process of Generation, with Main to its main processes alone.
type Kill struct {
	Generation int
	Main       bool
	Reason     string
}

// KillWorker sends KILL to the processes of one Worker.
type KillWorker struct{ Generation, Worker int }

// Takedown asks Generation to release Resource. Answer: Released.
type Takedown struct {
	Generation int
	Resource   string
}

// Go tells Worker, or EveryWorker, that it may use Resource.
type Go struct {
	Generation, Worker int
	Resource           string
}

// Verify finds out whether Generation holds the endpoints. Answer: Verified or
// Refused.
type Verify struct{ Generation int }

// Aim sends Share of the new connections, of Full, to Generation and the others to
// Rest.
type Aim struct{ Generation, Rest, Share int }

// CutOver: Generation is active and gets all new connections. Predecessor is 0 if it
// is dead. Back: it was active before, and its command is the one to resume.
type CutOver struct {
	Generation, Predecessor int
	Back                    bool
}

// Ask asks the gate for Share of the new connections for Generation, or with 0 for the
// turn to swap. Operator: not by being the newest. Answer: Granted or Denied, whose Swap
// is the Number.
type Ask struct {
	Number, Generation, Share int
	Operator                  bool
}

// EndTurn tells the gate that what was asked for is over: a share goes back.
type EndTurn struct{}

// Took answers Regained and Called: Generation has the traffic, 0: none can have it.
type Took struct{ Generation int }

// Leaving tells the gate that the container was told to stop, or (Died) that its server
// has ended, and for which Reason: new connections are not for it any more.
type Leaving struct {
	Died   bool
	Reason string
}

// NoServer tells the gate that the container has no generation left, and stays.
type NoServer struct{}

// GiveBack passes request ID to the gate: another container is to have the traffic again.
type GiveBack struct{ ID uint64 }

// Drain watches Generation's connections. Answer: Drained, perhaps Busy before.
type Drain struct{ Generation int }

// EndDrain ends the watch that Drain began.
type EndDrain struct{ Generation int }

// Sweep sends TERM to what is left of Generation, and KILL once that was asked for.
// Answer: Swept when nothing is left.
type Sweep struct{ Generation int }

// Forget: Generation is gone, what belongs to it can be released.
type Forget struct{ Generation int }

// SweepAll sends TERM to everything that is left in the container. Answer:
// NothingLeft when nothing is.
type SweepAll struct{}

// KillAll sends KILL to everything that is left in the container.
type KillAll struct{}

// Reply answers request ID: done if Reason is empty. Generation is the successor, 0
// if none was started.
type Reply struct {
	ID         uint64
	Generation int
	Reason     string
}

// Progress tells that a swap has come to Stage: to the log if ID is 0, else to whoever
// asked for it. What the fields are is said at the Stage.
type Progress struct {
	ID                        uint64
	Stage                     Stage
	Generation, Worker, Other int
	Share                     int // of Full
	Detail                    string
}

// Swapped: the swap to Generation (0: none was started) has ended, well if Reason is
// empty. Command is the one that was asked for, nil if none was.
type Swapped struct {
	Generation int
	Reason     string
	Command    []string
	First      bool // it is the first start of a container that has joined a gate
}

// Transition is for the log: Generation, or with 0 the rollout, went From -> To.
type Transition struct {
	Generation      int
	From, To, Cause string
}

// Begins reports whether a swap begins with it, to the generation after the newest.
func (t *Transition) Begins() bool {
	return t.Generation == 0 && t.From == rolloutStateNames[noRollout]
}

// Exit is the end. Nothing follows.
type Exit struct{ Status Status }

func (*Prepare) effect()      {}
func (*Start) effect()        {}
func (*SignalWorker) effect() {}
func (*Kill) effect()         {}
func (*KillWorker) effect()   {}
func (*Takedown) effect()     {}
func (*Go) effect()           {}
func (*Verify) effect()       {}
func (*Aim) effect()          {}
func (*CutOver) effect()      {}
func (*Ask) effect()          {}
func (*EndTurn) effect()      {}
func (*Took) effect()         {}
func (*Leaving) effect()      {}
func (*NoServer) effect()     {}
func (*GiveBack) effect()     {}
func (*Drain) effect()        {}
func (*EndDrain) effect()     {}
func (*Sweep) effect()        {}
func (*Forget) effect()       {}
func (*SweepAll) effect()     {}
func (*KillAll) effect()      {}
func (*Reply) effect()        {}
func (*Progress) effect()     {}
func (*Swapped) effect()      {}
func (*Transition) effect()   {}
func (*Exit) effect()         {}
