package gate

import (
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
)

// Config is what main has gathered.
type Config struct {
	Settings *config.Settings // with AsGate
	Signals  chan os.Signal   // registered before anything else was done
	Environ  []string
	Version  string
}

const (
	exitOwn   = config.ExitStatus
	closeTime = 2 * time.Second        // for paths to be unlinked and clients to read their answer
	flushTime = 200 * time.Millisecond // for the last log lines
)

// Gate is the loop and what it has. The fields after the first group are the loop's.
type Gate struct {
	logger
	set       *config.Settings
	uid       int // our own
	config    Config
	lock      *lock
	listener  *gatewire.Listener
	server    *control.Server // nil: off
	metrics   *listen.Own     // nil: not served
	endpoints *Endpoints      // nil while they are gathered
	posted    chan func()
	over      chan struct{} // closed when the loop has ended
	began     clock.Time    // the arbiter's time is what has passed since then

	arbiter   *arbiter.Arbiter
	file      stateFile
	sessions  map[arbiter.Session]*session
	last      arbiter.Session
	slots     slots
	moves     queue  // what changes endpoints
	moving    bool   // an effect is being done there; the next ones wait
	aimed     string // who got new connections last; the jobs of moves know it
	effects   []arbiter.Effect
	later     []func() // when all effects are done
	gather    *gather  // nil: the endpoints are open
	requests  map[uint64]func(*arbiter.Reply)
	lastID    uint64
	waiters   []*waiter
	takeover  *control.Takeover // the last one, or nil
	tookAt    time.Duration     // when that was
	reasons   map[string]string // by container: why it fails or leaves, as it said last
	strangers control.Limiter
	exiting   bool
	status    int
}

// Run runs the gate and returns the exit status. It is called once in a process.
func Run(c Config) int {
	s := c.Settings
	return newGate(c, logline.New(logline.Options{Level: logline.ParseLevel(s.Log), JSON: s.LogFormat == "json", Color: s.Color, Env: os.Getenv})).main()
}

// newGate makes a gate that logs to out, which it closes.
func newGate(c Config, out *logline.Logger) *Gate {
	return &Gate{logger: logger{out}, set: c.Settings, config: c, uid: os.Getuid(), began: clock.Now(),
		posted: make(chan func(), 64), over: make(chan struct{}), sessions: map[arbiter.Session]*session{}, slots: newSlots(),
		reasons: map[string]string{}, requests: map[uint64]func(*arbiter.Reply){}}
}

func (g *Gate) main() int {
	if err := g.open(); err != nil {
		g.fail("start.failed", err.Error())
		g.status = exitOwn
	} else {
		g.run()
	}
	g.close()
	return g.status
}

// run is the loop.
func (g *Gate) run() {
	g.step(&arbiter.Tick{})
	for !g.exiting {
		slept, rest := clock.Now(), time.Duration(0)
		var due <-chan struct{}
		stop := func() bool { return false }
		at, armed := g.deadline()
		if armed {
			rest = max(0, at-slept.Sub(g.began))
			timer := clock.NewTimer(rest)
			stop, due = timer.Stop, timer.C
		}
		var do func()
		select {
		case do = <-g.posted:
		case sig := <-g.config.Signals:
			do = func() { g.signal(sig.(syscall.Signal)) }
		case <-due:
			do = g.tick
		}
		stop() // else it is kept until it is due, one for each event
		if armed && awake.Overslept(slept, rest) {
			// Members stood still with us, or have said something that waits in its socket.
			g.began = g.began.Add(clock.Since(slept))
			g.info("thawed", "stood still for "+clock.Since(slept).Round(time.Millisecond).String()+": whoever had a deadline gets the rest of its time now")
		}
		do()
	}
	close(g.over)
}

// now is the time of the arbiter and of everything else that waits.
func (g *Gate) now() time.Duration { return clock.Since(g.began) }

// deadline is when something is due next.
func (g *Gate) deadline() (at time.Duration, armed bool) {
	if g.gather != nil {
		at, armed = g.gather.due(), true
	} else {
		at, armed = g.arbiter.Deadline()
	}
	for _, w := range g.waiters {
		if !armed || w.until < at {
			at, armed = w.until, true
		}
	}
	return at, armed
}

func (g *Gate) tick() {
	if g.gather != nil {
		g.gathered()
		return
	}
	g.step(&arbiter.Tick{})
}

// post hands f to the loop, or drops it when that has ended. Only other goroutines may
// call it.
func (g *Gate) post(f func()) {
	select {
	case g.posted <- f:
	case <-g.over:
	}
}

// signal: TERM and INT end the gate. It says nothing to its members, who keep their
// sockets and come to the next gate.
func (g *Gate) signal(sig syscall.Signal) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT:
		g.exiting = true
		return
	}
	for _, s := range g.set.SwapSignals {
		if s == sig {
			g.info("signal", signalName(sig)+" means nothing to a gate, which has no server: swap in a member")
			return
		}
	}
	g.debug("signal", "got "+signalName(sig)+", which means nothing to a gate")
}

// close gives back what outlives the process. The sockets of members stay theirs.
func (g *Gate) close() {
	var all sync.WaitGroup
	if g.listener != nil {
		all.Go(func() { g.listener.Close() })
	}
	if g.server != nil {
		all.Go(g.server.Close)
	}
	if g.endpoints != nil && len(g.sessions) == 0 {
		all.Go(g.endpoints.Close) // else the paths of Unix endpoints lead to members
	}
	all.Go(g.file.flush)
	all.Go(g.metrics.Close)
	closed := make(chan struct{})
	go func() {
		all.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-clock.After(closeTime):
		g.warn("close", "cannot remove what is left in the file system: it does not answer")
	}
	g.lock.close()
	g.out.Close(flushTime)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
