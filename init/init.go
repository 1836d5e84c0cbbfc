package pid1

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
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
	Verb     string // the verb that the command was meant to be, should there be no such command
}

// Init is the loop and what it has. Its fields belong to the goroutine of run, but
// for those of the first group, which never change once run has begun.
type Init struct {
	logger
	set       *config.Settings
	opt       Options
	mode      ready.Mode
	endpoints *listen.Set
	steering  steering
	server    *control.Server // nil: off
	metrics   *listen.Own     // the same
	launcher  *launcher
	adoption  *adoption
	gate      *membership // nil: there is none
	sweepers  *sweepers
	posted    chan func()
	over      chan struct{} // closed when the loop has ended
	began     clock.Time    // the machine's time is what has passed since then; moves when we stood still

	machine *swap.Machine
	gens    generations
	clients clients
	hooks   hooks
	sides   sides
	manager manager
	check   check         // of the canary
	peers   peers         // the same
	splayed time.Duration // when the swap begins that a watched path has asked for, 0: none waits
	serving bool          // the first child was forked: see afterFirstFork
	ran     bool          // a generation's own program has run
	exiting bool
	status  int
}

// Run runs the command of the settings as the first generation and returns the
// exit status of swapinit. It is called once in a process.
func Run(o Options) int {
	i, err := newInit(o)
	if err == errStopped {
		i.close()
		return exitTerm
	}
	if err != nil {
		// Nothing runs yet: this is the one kind of failure that ends swapinit.
		i.fail("start.failed", err.Error(), 0)
		i.close()
		return exitOwn
	}
	i.run()
	i.close()
	return i.status
}

const (
	exitOwn   = 125                    // swapinit's own failure
	notFound  = 127                    // there is no such command
	closeTime = 2 * time.Second        // for paths to be unlinked and clients to read their answer
	flushTime = 200 * time.Millisecond // for the last log lines
)

// run is the loop.
func (i *Init) run() {
	if len(i.set.Watch) > 0 {
		go i.watch(watchEvery) // before the first child, which may be what changes them
	}
	i.follow()
	i.startSides()
	i.step(&swap.ContainerEvent{Kind: swap.Tick})
	if i.gate.machine() == swap.JoinsWithout {
		i.serving = true
		i.afterFirstFork()
	}
	for !i.exiting {
		slept, rest := clock.Now(), time.Duration(0)
		var due <-chan struct{}
		stop := func() bool { return false }
		at, armed := i.deadline()
		if armed {
			rest = max(0, at-slept.Sub(i.began))
			timer := clock.NewTimer(rest)
			stop, due = timer.Stop, timer.C
		}
		var do func()
		select {
		case do = <-i.posted:
		case sig := <-i.opt.Signals:
			do = func() { i.signal(sig.(syscall.Signal)) }
		case <-due:
			do = i.tick
		case <-i.manager.ping:
			do = func() { _ = i.manager.send("WATCHDOG=1") }
		}
		stop() // else it is kept until it is due, one for each event
		if armed && awake.Overslept(slept, rest) {
			// What stood still with us has missed no deadline, and may have said so: that
			// waits in its sockets. The machine's time goes on where it was.
			i.began = i.began.Add(clock.Since(slept))
			i.info("thawed", "stood still for "+clock.Since(slept).Round(time.Millisecond).String()+": whoever had a deadline gets the rest of its time now", 0, 0)
		}
		do()
	}
	close(i.over)
}

// post hands f to the loop, or drops it when that has ended. Only other
// goroutines may call it: the loop would wait for itself.
func (i *Init) post(f func()) {
	select {
	case i.posted <- f:
	case <-i.over:
	}
}

// now is the machine's time.
func (i *Init) now() time.Duration { return clock.Since(i.began) }

// step gives the machine an event and performs what comes out. No effect calls
// it: an event that comes of one is posted. At debug the log has all events of
// the machine, with its time, as swap/testdata has them.
func (i *Init) step(e swap.Event) {
	now := i.now()
	effects := i.machine.Step(now, e)
	if i.out.Enabled(logline.Debug) {
		if g, ok := e.(*swap.GenerationEvent); ok {
			i.debug("machine.event", now.String()+" "+e.String(), g.Generation, 0)
		} else if len(effects) > 0 || e.(*swap.ContainerEvent).Kind != swap.Tick {
			i.debug("machine.event", now.String()+" "+e.String(), 0, 0)
		}
	}
	for _, f := range effects {
		i.perform(f)
	}
	if i.gate != nil {
		i.claim() // who has the traffic in here may be another one now
	}
	i.tellManager()
}

// deadline is the nearest one of all machines; false: there is none.
func (i *Init) deadline() (at time.Duration, armed bool) {
	if at, armed = i.machine.Deadline(); !armed {
		at = swap.Unlimited
	}
	if i.splayed != 0 && i.machine.Phase() == swap.Running {
		at = min(at, i.splayed)
	}
	for _, s := range i.sides.list {
		at = min(at, s.machine.Deadline())
	}
	return at, at != swap.Unlimited
}

// tick is called when that has passed.
func (i *Init) tick() {
	i.step(&swap.ContainerEvent{Kind: swap.Tick})
	i.tickSides()
	if i.splayed != 0 && i.splayed <= i.now() {
		i.splayed = 0
		i.swapWatched()
	}
}

// happened is step for an event that has no more to it.
func (i *Init) happened(k swap.GenerationKind, generation int, reason string) {
	i.step(&swap.GenerationEvent{Kind: k, Generation: generation, Reason: reason})
}

// signal decides what a signal to swapinit means.
func (i *Init) signal(sig syscall.Signal) {
	policy := signals.Policy{SwapSignals: i.set.SwapSignals, StopSignals: i.set.StopSignals, Rewrite: i.set.SignalMap}
	kind, forward := policy.Decide(sig)
	if kind == signals.Swap && sig == syscall.SIGHUP && i.launcher.terminal.hungUp() {
		kind, forward = signals.Forward, sig
	}
	i.debug("signal", "got "+signals.Name(sig)+": "+kind.String(), 0, 0)
	switch kind {
	case signals.Swap:
		i.step(&swap.ContainerEvent{Kind: swap.Swap})
	case signals.Stop:
		i.step(&swap.ContainerEvent{Kind: swap.Stop})
	case signals.Forward:
		i.step(&swap.ContainerEvent{Kind: swap.Forward, Signal: swap.Signal(forward)})
	case signals.Drop:
	}
}

// close gives everything back that outlives a process: paths in the file system.
// One that hangs, or a stderr that nobody reads, holds up the exit for no longer
// than the times above.
func (i *Init) close() {
	i.clients.writing = 1
	i.clients.release() // the end of the container does not wait for a file
	var all sync.WaitGroup
	for _, g := range i.gens.live {
		g.close()
		all.Go(g.unlink)
	}
	if i.server != nil {
		all.Go(i.server.Close)
	}
	if i.endpoints != nil {
		all.Go(i.endpoints.Close)
	}
	all.Go(i.metrics.Close)
	if i.gate != nil {
		all.Go(i.gate.member.Close)
	}
	closed := make(chan struct{})
	go func() {
		all.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-clock.After(closeTime):
		i.warn("close", "cannot remove what is left in the file system: it does not answer", 0, 0)
	}
	i.out.Close(flushTime)
}
