package swap

import "fmt"

// Op is what is to be done.
type Op uint8

const (
	OpPrepare    Op = iota // a swap begins: do what comes before it, answer Prepared
	OpStart                // start Worker of Generation with Command (nil: the default one; Again: that of Other); a Generation that was started before has its command; Canary: it is to get only a share first
	OpSignal               // send Signal to Worker of Generation; Resume
	OpKill                 // KILL every process of Generation; Reason
	OpKillWorker           // KILL Worker of Generation
	OpTakedown             // ask Generation to release Resource; answer Released
	OpGo                   // Generation may use Resource
	OpVerify               // find out whether Generation holds the endpoints; answer Verified or Refused
	OpAim                  // Share of the new connections go to Generation, the rest to Other
	OpCutOver              // Generation is active and gets all new connections; Other is the predecessor, 0 if it is dead
	OpDrain                // watch Generation's connections; answer Drained, or Busy first
	OpSweep                // TERM what is left of Generation; answer Swept when nothing is
	OpForget               // Generation is gone: release what belongs to it
	OpSweepAll             // TERM everything that is left in the container; answer NothingLeft when nothing is
	OpKillAll              // KILL everything that is left in the container
	OpReply                // answer request ID: OK, or Reason
	OpProgress             // Generation has come to Stage because of Reason, Other is the predecessor: for the log if ID is 0, else for that request
	OpSwapped              // the swap to Generation (0: none was started) has ended: OK, or Reason; Command if one was given
	OpTransition           // for the log: Generation went From -> To because of Reason
	OpExit                 // the end: exit with Status. Nothing follows
)

var opNames = [...]string{"prepare", "start", "signal", "kill", "kill-worker", "takedown", "go", "verify", "aim", "cut-over", "drain", "sweep", "forget", "sweep-all", "kill-all",
	"reply", "progress", "swapped", "transition", "exit"}

func (o Op) String() string { return opNames[o] }

// EveryWorker is the Worker of an effect that is for all of a generation.
const EveryWorker = -1

// Effect is one thing to do. Which fields count is said at its Op. Effects are
// to be performed in their order.
type Effect struct {
	Op         Op
	Generation int
	Worker     int
	Resource   string
	Other      int
	Share      int // of Full
	Canary     bool
	Careful    bool // OpStart: it must have sockets of its own
	Together   bool // OpStart: it must share its predecessor's
	Again      bool
	Command    []string
	Signal     Signal
	Resume     bool // let it run again if it is stopped, or it would never see Signal
	ID         uint64
	OK         bool
	Reason     string
	Stage      Stage
	From, To   State
	Status     Status
}

func (e Effect) String() string {
	return fmt.Sprintf("%s{gen %d worker %d other %d share %d sig %d id %d ok %v stage %q %s->%s status %d reason %q}",
		e.Op, e.Generation, e.Worker, e.Other, e.Share, e.Signal, e.ID, e.OK, e.Stage, e.From, e.To, e.Status.ExitCode(), e.Reason)
}
