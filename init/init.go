package pid1

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
)

// Options are what main has gathered before anything is started.
type Options struct {
	Settings *config.Settings
	Signals  chan os.Signal   // registered for signals.Early before anything else was done
	Ignored  []syscall.Signal // ignored when swapinit was started; the child ignores them again
	Environ  []string
	Version  string
}

// Init is the state of the init. Its fields belong to the loop, but for those
// of the first group, which never change once run has begun.
type Init struct {
	set       *config.Settings
	opt       Options
	log       *logline.Logger
	environ   []string // the children's, before the environment file and what is theirs alone
	dir       string   // the working directory at the start, "" if it had no name
	childDir  string   // what a child changes to without SWAPINIT_DIR, "" to stay where we are
	mode      ready.Mode
	workers   int // of a generation
	policy    signals.Policy
	endpoints *listen.Set
	steering  steering
	server    *control.Server // nil: off
	reaper    *reaper.Reaper
	terminal  *terminal
	posted    chan func()
	over      chan struct{} // closed when the loop has ended
	began     time.Time

	machine   *swap.Machine
	serving   bool // the first child was forked: see afterFirstFork
	gens      map[int]*generation
	past      []*record // of the generations that went last
	current   []string  // the command that a swap without one starts, if an earlier swap named one
	calls     map[uint64]control.Call
	lastCall  uint64
	followers []follower
	lastSwap  *control.LastSwap
	check     func()        // stops the canary's check; nil: none runs
	withheld  int           // target files being written, and moves of connections
	answers   []swap.Effect // replies that wait for them
	hooks     []hook        // swaps after which the hook has still to run
	hooking   bool          // it runs
	ran       bool          // a generation's own program has run
	exiting   bool
	status    int

	bells    bells
	target   sync.Mutex   // one writer of the target file at a time
	forking  atomic.Int32 // forks going on
	sweeping atomic.Bool  // everything is being ended: no more forks
	killing  atomic.Bool  // whatever is left of the container gets KILL
}

// bells wake the sweepers whenever a process has been reaped.
type bells struct {
	mu sync.Mutex
	of map[*sweeper]struct{}
}

func (b *bells) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.of {
		select {
		case s.bell <- struct{}{}:
		default: // it is awake already
		}
	}
}

func (b *bells) add(s *sweeper) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[s] = struct{}{}
}

func (b *bells) remove(s *sweeper) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, s)
}

// Run runs the command of the settings as the first generation and returns the
// exit status of swapinit. It is called once in a process.
func Run(o Options) int {
	i, err := newInit(o)
	if err != nil {
		// Nothing runs yet: this is the one kind of failure that ends swapinit.
		i.log.Log(logline.Error, "start.failed", err.Error(), logline.Fields{})
		i.close()
		return exitOwn
	}
	i.run()
	i.close()
	return i.status
}

const (
	exitOwn   = 125                    // swapinit's own failure
	flushTime = 200 * time.Millisecond // for the last log lines; a stderr that nobody reads costs no more
)

// run is the loop.
func (i *Init) run() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	if len(i.set.Watch) > 0 {
		go i.watch(watchEvery) // before the first child, which may be what changes them
	}
	i.happened(swap.Tick, 0, "")
	for !i.exiting {
		if at, armed := i.machine.Deadline(); armed {
			timer.Reset(max(0, at-i.clock()))
		} else {
			timer.Stop()
		}
		select {
		case f := <-i.posted:
			f()
		case sig := <-i.opt.Signals:
			i.signal(sig.(syscall.Signal))
		case <-timer.C:
			i.happened(swap.Tick, 0, "")
		}
	}
	close(i.over)
}

// clock is the machine's time: monotonic, since the start.
func (i *Init) clock() time.Duration { return time.Since(i.began) }

// post hands f to the loop, or drops it when that has ended. Only other
// goroutines may call it: the loop would wait for itself.
func (i *Init) post(f func()) {
	select {
	case i.posted <- f:
	case <-i.over:
	}
}

// step gives the machine an event and performs what comes out. No effect calls
// it: an event that comes of one is posted.
func (i *Init) step(e swap.Event) {
	for _, f := range i.machine.Step(i.clock(), e) {
		i.perform(f)
	}
}

// happened is step for an event that has no more to it.
func (i *Init) happened(k swap.Kind, generation int, reason string) {
	i.step(swap.Event{Kind: k, Generation: generation, Reason: reason})
}

// signal decides what a signal to swapinit means.
func (i *Init) signal(sig syscall.Signal) {
	kind, forward := i.policy.Decide(sig)
	if kind == signals.Swap && sig == syscall.SIGHUP && i.terminal.hungUp() {
		kind, forward = signals.Forward, sig
	}
	i.debug("signal", "got "+signals.Name(sig)+": "+kind.String(), 0, 0)
	switch kind {
	case signals.Swap:
		i.happened(swap.Swap, 0, "")
	case signals.Stop:
		i.happened(swap.Stop, 0, "")
	case signals.Forward:
		i.step(swap.Event{Kind: swap.Forward, Signal: swap.Signal(forward)})
	case signals.Drop:
	}
}

// close gives everything back that outlives a process: paths in the file system.
func (i *Init) close() {
	for _, g := range i.gens {
		g.close()
	}
	i.withheld = 1
	i.release() // the end of the container does not wait for a file
	if i.server != nil {
		i.server.Close()
	}
	if i.endpoints != nil {
		i.endpoints.Close()
	}
	i.log.Close(flushTime)
}
