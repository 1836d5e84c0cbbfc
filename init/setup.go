package pid1

import (
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/cpu"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// Parsers are what config needs to know of the other packages to be strict.
func Parsers() config.Parsers {
	return config.Parsers{
		Signal:      signals.Parse,
		SignalName:  signals.Name,
		Uncatchable: signals.Uncatchable,
		Strategies:  swap.StrategyNames(),
		Beside:      func(s string) bool { return strategy(s).Gradual() },
		Listen: func(s string) error {
			_, err := listen.Parse(s)
			return err
		},
		Metrics: func(s string) error {
			_, err := listen.ParseOwn(s)
			return err
		},
		Ready: func(s string) error {
			_, err := ready.Parse(s, config.Words)
			return err
		},
	}
}

// newInit does everything that can fail before the first child runs. The Init
// is usable for logging and closing even when there is an error.
func newInit(o Options) (*Init, error) {
	s := o.Settings
	i := &Init{set: s, opt: o, posted: make(chan func(), 256), over: make(chan struct{}),
		logger: logger{logline.New(logline.Options{Level: logline.ParseLevel(s.Log), JSON: s.LogFormat == "json", Color: s.Color, Env: os.Getenv})}}
	var err error
	if i.check.mode, err = checkMode(s.CanaryCheck); err != nil {
		return i, err
	}
	if i.mode, err = ready.Parse(s.Ready, config.Words); err != nil {
		return i, text.Errorf("SWAPINIT_READY: %w", err)
	}
	if err := i.join(); err != nil {
		return i, err
	}
	i.assemble()
	if err := i.open(); err != nil {
		return i, err
	}
	if !procIsOurs() {
		i.warn("proc", "cannot see processes: /proc is not mounted, or is that of another pid namespace (unshare needs --mount-proc)", 0, 0)
	}
	if i.launcher.environ = o.Environ; !s.Plain {
		i.openManager(o.Environ)
		i.launcher.environ = listen.Scrub(o.Environ)
	}
	i.launcher.leaveDir()
	if os.Getpid() != 1 {
		// Orphans below us come to us, as they come to PID 1.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			i.warn("subreaper", "cannot become a child subreaper, orphans will not be reaped: "+err.Error(), 0, 0)
		}
	}
	i.launcher.terminal = openTerminal()
	level := logline.Debug
	if s.LogOrphans {
		level = min(logline.Info, logline.ParseLevel(s.Log)) // it was asked for
	}
	i.launcher.reaper = reaper.New(reaper.Options{Reaped: i.sweepers.wake, Orphan: i.orphans(level)})
	return i, nil
}

// assemble makes the parts of the init, each with what it needs of the others.
func (i *Init) assemble() {
	i.began = clock.Now()
	if i.gens.workers = i.set.Workers; i.gens.workers == 0 { // auto
		i.gens.workers = cpu.Allowed()
	}
	i.gens.canaryBy = i.set.CanaryBy
	i.machine = swap.New(i.machineConfig(), nil)
	i.gens.live = map[int]*generation{}
	i.steering.unmoved = i.unmoved
	i.sweepers = &sweepers{all: map[*sweeper]struct{}{}}
	i.launcher = &launcher{set: i.set, ignored: i.opt.Ignored, procs: &processes{}, wake: i.sweepers.wake, newSockets: i.give,
		sockets: func(n int) listen.Given { return i.endpoints.Generation(n) }}
	i.adoption = &adoption{logger: i.logger, wish: i.set.Adopt, steering: &i.steering, endpoints: func() *listen.Set { return i.endpoints }, procs: i.launcher.procs, note: i.note,
		gens: map[int]*adopted{}, fresh: map[uint64]*unused{}}
	i.launcher.adoption = i.adoption
	i.clients = clients{version: i.opt.Version, orphans: func() int64 { return i.launcher.reaper.Orphans() }, machine: i.machine, gens: &i.gens, sides: &i.sides, procs: i.launcher.procs, calls: map[uint64]*control.Call{}, gate: func() *membership { return i.gate }, now: i.now, endpoints: func(s *control.Status) {
		_ = i.probeSteering()
		i.reportSteering(s)
	}}
	i.hooks = hooks{set: i.set, run: i.launcher.run, post: i.post, warn: i.warn,
		stopping: func() bool { return i.machine.Phase() != swap.Running }}
}

// open opens the endpoints and the control socket.
func (i *Init) open() error {
	specs, err := listen.Parse(i.set.Listen)
	if err != nil {
		return text.Errorf("SWAPINIT_LISTEN: %w", err)
	}
	var files []listen.File
	if !i.set.Plain { // else what was inherited is the child's
		if files, err = listen.Inherited(i.opt.Environ, os.Getpid()); err != nil {
			return err
		}
		closeInherited()
	}
	prepare := steer.Prepare
	if i.set.Steer == "off" {
		prepare = nil
	}
	if i.gate != nil && len(files) > 0 {
		err = text.Errorf("SWAPINIT_GATE=%s: sockets were inherited too (LISTEN_FDS), and only one of the two can have the endpoints", i.gate.path)
	} else if i.gate != nil {
		err = i.lent()
	} else if i.endpoints, err = listen.Open(specs, files, prepare); err == nil {
		err = i.openSteering()
	} else {
		err = text.Errorf("cannot use SWAPINIT_LISTEN=%q: %w", i.set.Listen, err)
	}
	if err != nil {
		return err
	}
	i.clients.asked = len(i.endpoints.Endpoints()) > 0 || lookup(i.opt.Environ, "SWAPINIT_READY") != ""
	i.clients.hint = strings.TrimPrefix(i.readyHint(), "; ")
	if err := i.checkProbe("SWAPINIT_READY", &i.mode, strategy(i.set.Strategy)); err != nil {
		return err
	}
	if err := i.checkProbe("SWAPINIT_CANARY_CHECK", &i.check.mode, swap.Overlap); err != nil {
		return err
	}
	if i.metrics, err = listen.OpenOwn(i.set.Metrics); err != nil {
		return text.Errorf("cannot use SWAPINIT_METRICS=%q: %w", i.set.Metrics, err)
	}
	if i.gate == nil { // else it is open
		err = i.openControl()
	}
	if i.server != nil {
		i.launcher.procs.control = i.server.Address()
	}
	return err
}

// openControl opens the control socket.
func (i *Init) openControl() error {
	if i.set.Control == "off" {
		return nil
	}
	server, err := control.Listen(i.set.Control, os.Getpid(), os.Getuid())
	switch {
	case err == nil:
		i.server = server
	case i.set.Control == "auto":
		// Nobody asked for it by name; the container is worth more than its verbs.
		i.warn("control", err.Error(), 0, 0)
	default:
		return text.Errorf("cannot use SWAPINIT_CONTROL=%q: %w; want auto, off, an absolute path or @name", i.set.Control, err)
	}
	return nil
}

// checkProbe refuses a probe of an endpoint: swapinit itself listens there, so that a
// connection stands before the successor even runs. An answer by HTTP is one of the
// successor's own, where the probe can be steered to it: not with strategy s, if that has
// both share a socket.
func (i *Init) checkProbe(variable string, mode *ready.Mode, s swap.Strategy) error {
	e := i.probed(mode)
	if e == nil {
		return nil
	}
	why := "so a connection there says nothing about the server"
	if mode.Aims {
		if e.tcp != nil {
			_ = i.probeSteering()
		}
		if why = e.whyShared(); s == swap.Handover {
			why = "in a handover it has its predecessor's socket"
		}
		if why == "" {
			return nil
		}
		why = "and the probe cannot be steered to the successor (" + why + ")"
	}
	return text.Errorf("%s=%s: %s is an endpoint, where swapinit itself listens, %s; "+
		"probe an address of the server's own, or use fd, notify, exec or delay", variable, mode.Text, e.Address, why)
}

// closeInherited closes what is open above stderr without close-on-exec: only
// an inherited descriptor can be so. Endpoints were marked before.
func closeInherited() {
	names, err := entries("/proc/self/fd")
	if err != nil {
		// No /proc: the children at least must not get them.
		_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
		return
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil && fd > 2 && inherited(fd) {
			_ = unix.Close(fd)
		}
	}
}

// inherited tells our own descriptors from others.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

func (i *Init) machineConfig() swap.Config {
	s := i.set
	c := swap.Config{ReadyTimeout: s.ReadyTimeout, Settle: s.Settle, RetireTimeout: s.RetireTimeout, StopDelay: s.StopDelay, StopTimeout: s.StopTimeout,
		LeftoverTimeout: s.LeftoverTimeout, Watchdog: s.Watchdog, MaxGenerations: s.MaxGenerations,
		Drain: s.Drain != "off", DrainTimeout: s.DrainTimeout, Keep: s.Keep, Canary: stages(s.Canary),
		Workers: i.gens.workers, Batch: s.Batch.Of(i.gens.workers), Strategy: strategy(s.Strategy), Prepare: len(s.PreSwap) > 0,
		StopSignal: swap.Signal(s.EffectiveStop()), RetireSignal: swap.Signal(s.EffectiveRetire()), AbortSignal: swap.Signal(syscall.SIGABRT),
		StopDrain: s.StopDrain, Membership: i.gate.machine(), ReadyHint: i.readyHint()}
	if specs, _ := i.specs(); len(specs) > 0 {
		if i.mode.Accepts != 0 && c.Strategy != swap.Handover && slices.ContainsFunc(specs, func(s listen.Spec) bool { return s.IsTCP() }) {
			c.SettleHint = "; one that says that it is ready before its workers are needs SWAPINIT_READY=http://host:port/path, a probe of the endpoint"
		}
	}
	if s.HookTimeout > 0 {
		// It gets KILL then, and may not come back even so (a file system that hangs).
		c.PrepareTimeout = s.HookTimeout + hookGrace
	}
	switch {
	case s.Respawn == "always":
		c.Respawn = swap.RespawnAlways
	case s.Respawn == "on-failure", s.Respawn == "auto" && i.gens.workers > 1:
		c.Respawn = swap.RespawnOnFailure
	}
	return c
}

// specs are the endpoints that the settings name. Where they cannot be read none is opened.
func (i *Init) specs() ([]listen.Spec, error) { return listen.Parse(i.set.Listen + i.gate.listens()) }

// readyHint is what a server that was not ready has to do, as the end of a sentence.
func (i *Init) readyHint() string {
	if specs, _ := i.specs(); len(specs) > 0 {
		return i.mode.EndpointHint
	}
	return i.mode.Hint
}

const hookGrace = 10 * time.Second

// stages translates those of the settings for the machine.
func stages(list []config.Stage) []swap.Canary {
	canary := []swap.Canary{}
	for _, s := range list {
		canary = append(canary, swap.Canary{Share: s.Share, For: s.For})
	}
	return canary
}

// lateAfter is when the rest of the start is done. Until then the signals that
// hardly anybody sends have no handler, and the control socket queues its
// clients.
const lateAfter = 5 * time.Millisecond

// afterFirstFork puts off what the first child need not wait for. It takes
// milliseconds, most of them in the runtime, for registering signals and making
// threads, and would compete with the child's own start.
func (i *Init) afterFirstFork() {
	time.AfterFunc(lateAfter, func() {
		handle := func(c *control.Call) { i.post(func() { i.answer(c) }) }
		if i.metrics != nil {
			go control.ServeMetrics(i.metrics.File, handle)
		}
		if i.server != nil && i.gate == nil { // else it is served
			i.serve(handle)
		}
		signal.Notify(i.opt.Signals, signals.Late()...)
		spareThreads()
		i.launcher.outOfMemory() // of what was before nobody wants to hear
		_ = i.probeSteering()
		i.sayShared()
		// Last, as it looks at paths.
		if err := i.endpoints.Guard(func(line string) { i.warn("endpoint", line, 0, 0) }); err != nil {
			i.post(func() { i.warn("endpoint", "cannot watch over the endpoints: "+err.Error(), 0, 0) })
		}
	})
}

// serve lets clients of the control socket in.
func (i *Init) serve(handle func(*control.Call)) {
	i.server.Serve(handle, func(line string) { i.warn("control", line, 0, 0) })
}

// threads is how many threads of ours may be in the kernel at a time: waiting for
// children, for events, in a write of the log, in a fork, and reading files and
// the process table for a swap. The runtime has three or four of its own by then, and
// each costs an idle init 12 KiB.
const threads = 6

// spareThreads lets the runtime make its threads now. It ends the process when
// it wants one more and the kernel refuses (a pids limit that a swap has
// reached, say); those that it has, it keeps and reuses.
func spareThreads() {
	var all, done sync.WaitGroup
	all.Add(threads)
	for range threads {
		done.Go(func() {
			runtime.LockOSThread() // one thread each, all at the same time
			all.Done()
			all.Wait()
			runtime.UnlockOSThread()
		})
	}
	done.Wait()
}

// ParentDeath asks the kernel for sig when the parent of this process ends. The
// parent is looked at again: it may have ended before (prctl(2)). The setting
// belongs to the calling thread, which must live as long as the process.
func ParentDeath(sig syscall.Signal) error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0); err != nil {
		return text.Errorf("cannot ask for a signal on the parent's death: %w", err)
	}
	if os.Getppid() != parent {
		return syscall.Kill(os.Getpid(), sig)
	}
	return nil
}
