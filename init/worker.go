package pid1

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
)

// worker is one process of a generation, from its start to its end: when it is
// started again, that is another worker with the same index. Its fields are the
// loop's, but for those of the last group.
type worker struct {
	ipc
	index      int
	born       clock.Time
	restarts   int
	proc       *reaper.Process // nil until forked; MAINPID= may replace it
	running    bool            // its own program runs
	held       []syscall.Signal
	joined     [2]bool       // it speaks on its channels
	hungUp     [2]bool       // the same: every copy of its end is closed
	stopProbes func()        // nil: none run; may be called again
	readyAfter time.Duration // 0: not ready
	leaving    bool          // it said STOPPING=1
	note       string        // the last that was seen of why it is not ready
	patient    clock.Time    // until when it has asked for more time

	// For the goroutines that wait for it or ask who belongs to it.
	g       *generation
	former  int // the main process of the worker that it replaces, which has ended; 0: none
	mainPid atomic.Int32
	ended   atomic.Bool             // its main process has ended, the number may be another's
	killed  atomic.Bool             // it alone gets KILL
	claimed int                     // the last MAINPID= that was followed; for one goroutine at a time
	heir    atomic.Pointer[process] // what has called itself the main process beside the one that is, or nil

	bindOnce sync.Once
	bound    chan struct{} // closed when it has bound an endpoint for itself, see adoption
}

func (w *worker) pid() int { return int(w.mainPid.Load()) }

// named is how messages speak of a worker.
func (w *worker) named() string {
	if len(w.g.workers) == 1 {
		return named(w.g.number)
	}
	return named(w.g.number) + " worker " + itoa(w.index)
}

// endProbes ends those that ask whether it is ready, if there are any.
func (w *worker) endProbes() {
	if w.stopProbes != nil {
		w.stopProbes()
	}
}

// launch starts the program of a worker and waits for its end, in a goroutine of
// its own: an exec can hang on a file system, and a child in its exec stage on
// anything. old is the worker whose place it takes, or nil; cautious is for give.
func (i *Init) launch(w, old *worker, cautious bool) {
	if old != nil {
		old.unlink() // its path is to be the new one's
	}
	i.sides.await()
	w.g.starting <- struct{}{}
	l, err := i.launcher.fork(w, cautious)
	<-w.g.starting
	if err != nil {
		l.close()
		l.unlink()
		i.post(func() { i.launchFailed(w, err, exitStatus(err)) })
		return
	}
	w.mainPid.Store(int32(l.proc.Pid()))
	i.post(func() { i.forked(w, &l) })
	// After that, so that the loop knows the process of which it is told
	// something; and here, so that await can ask for what was said last.
	if !i.set.Plain {
		l.notify.Watch(func(pid int, uid uint32) bool { return i.launcher.procs.accepts(w.g, pid, uid, l.uid) }, func(m ready.Message) { i.received(w, l.notify, m) })
		l.pipe.Watch(func(e ready.PipeEvent) { i.post(func() { i.piped(w, e) }) })
	}
	for n, c := range l.channels {
		c.Watch(func(m channel.Message) { i.post(func() { i.said(w, n, m) }) })
	}
	if err := l.child.Exec(); err != nil {
		_ = l.proc.Signal(syscall.SIGKILL) // it mostly ends by itself
		i.post(func() { i.launchFailed(w, err, exitStatus(err)) })
		<-l.proc.Exited()
		i.sweepers.wake()
		return
	}
	i.adoption.supervise(w, l.child.Listener, l.child.NotAdopted, l.given)
	i.post(func() { i.started(w) })
	i.await(w, l.proc, l.notify)
}

// received passes a message of sd_notify(3) on to the loop. It is called for one
// after the other.
func (i *Init) received(w *worker, n *ready.Notify, m ready.Message) {
	if p, ok := readProcess(m.MainPid); ok && m.MainPid == m.Pid && m.Pid != w.pid() && i.launcher.procs.belongs(w.g, m.Pid, false) {
		// A child that a script has started beside the server thinks that it is the
		// service (php-fpm). A daemon says the same, but its parent will end.
		w.heir.Store(&p)
		m.MainPid = 0
	}
	p, err := i.launcher.followMain(w, m.MainPid)
	if err != nil {
		i.warn("mainpid", err.Error(), w.g.number, m.MainPid)
	}
	i.post(func() { i.notified(w, m, p) })
	if p != nil {
		go i.await(w, p, n) // its end comes after that
	}
}

// followMain makes sure that another process of the generation can be the
// worker's main one: a server that has forked itself into the background says so.
func (l *launcher) followMain(w *worker, pid int) (*reaper.Process, error) {
	if pid == 0 || pid == w.claimed || pid == w.pid() || w.ended.Load() {
		return nil, nil
	}
	if pid == 1 || !l.procs.belongs(w.g, pid, true) {
		return nil, errors.New(w.named() + " names pid " + itoa(pid) + " as its main process, which is none of its own")
	}
	p, err := l.reaper.Adopt(pid) // not another worker's: that is watched already
	if err != nil {
		return nil, text.Errorf("cannot follow MAINPID=%d: %w", pid, err)
	}
	w.claimed = pid
	return p, nil
}

// heir is what takes the place of the main process that has ended, nil if nothing does.
func (l *launcher) heir(w *worker, ended *reaper.Process) *reaper.Process {
	named := w.heir.Swap(nil)
	if named == nil || ended.Pid() != w.pid() || w.ended.Load() {
		return nil
	}
	if p, ok := readProcess(named.pid); !ok || p.life != named.life || p.dead() {
		return nil
	}
	p, err := l.reaper.Adopt(named.pid)
	if err != nil {
		return nil
	}
	w.claimed = named.pid
	return p
}

// await posts the end of p. It reads what the process has still said first: the
// message that names its successor may have come just before.
func (i *Init) await(w *worker, p *reaper.Process, said *ready.Notify) {
	e := <-p.Exited()
	if said != nil { // it could say something
		said.Drain()
	}
	if heir := i.launcher.heir(w, p); heir != nil {
		i.post(func() { i.notified(w, ready.Message{}, heir) })
		go i.await(w, heir, said) // its end comes after that
	}
	hint := ""
	if e.Status.Exited() && !i.set.Plain { // whose log is the server's alone
		hint = i.adoption.hint(w.g, e.Status.ExitStatus())
	}
	starved := e.Status.Signaled() && e.Status.Signal() == syscall.SIGKILL && !w.killed.Load() && !w.g.killed.Load() && i.launcher.outOfMemory()
	i.post(func() {
		if starved {
			i.starved(w)
		}
		over := func(v swap.View) bool { return v.Number == w.g.number && v.Failed } // we have told it to stop
		if hint != "" && w.readyAfter == 0 && i.machine.Phase() == swap.Running && !slices.ContainsFunc(i.machine.Views(), over) {
			if !i.machine.Swapping() { // else the swap tells it
				i.about(logline.Warn, "adopt.hint", w, " ended before it was ready; "+hint)
			}
			i.from(w, swap.Note, hint, 0)
		}
		i.exited(w, p, e)
	})
}

// from passes on what w has caused; text is the Reason or the Resource. Once
// another one has its place it has no say any more.
func (i *Init) from(w *worker, k swap.GenerationKind, text string, d time.Duration) {
	if w.g.workers[w.index].Load() == w {
		if k == swap.Note {
			w.note = text
		}
		i.step(&swap.GenerationEvent{Kind: k, Generation: w.g.number, Worker: w.index, Reason: text, Resource: text, Duration: d, Status: w.g.status})
	}
}

// note is for other goroutines: text tells why w has failed, if it will.
func (i *Init) note(w *worker, text string) { i.post(func() { i.from(w, swap.Note, text, 0) }) }

// forked takes over what launch has made, before the program runs.
func (i *Init) forked(w *worker, l *launched) {
	if !i.serving { // not by its number: generation 1 may have failed before
		i.serving = true
		i.afterFirstFork()
	}
	w.proc, w.ipc = l.proc, l.ipc
	if t := i.launcher.terminal; t.forFirst(w) >= 0 {
		t.group = w.pid()
	} else if w.index == 0 && w.g.number == i.machine.Active() {
		t.foreground(w.pid()) // the one in whose place it was started had it
	}
	w.g.command, w.g.workDir = l.shown, l.dir
	if w.g.killed.Load() || w.killed.Load() {
		_ = w.proc.SignalGroup(syscall.SIGKILL)
	}
}

// launchFailed is the end of a worker whose program never ran.
func (i *Init) launchFailed(w *worker, err error, status int) {
	w.ended.Store(true)
	why := err.Error()
	if w.g.number == 1 && status == notFound && i.opt.Verb != "" && i.set.TargetFile == "" {
		why += ", did you mean the verb " + i.opt.Verb + "?"
	}
	// The swap that is going on tells by itself why it failed. Of all workers that cannot be
	// started for one reason one is enough.
	if (i.ran || w.g.end != why) && (w.g.number == 1 || i.machine.Phase() == swap.Running && !i.machine.Swapping()) {
		i.fail("start.failed", why, w.g.number)
	}
	w.g.status, w.g.end = swap.Status{Code: status}, why
	i.from(w, swap.StartFailed, w.g.end, 0)
}

// started is called when the worker's own program runs: whoever waits for its exec says so,
// or it has spoken before that.
func (i *Init) started(w *worker) {
	if w.running {
		return
	}
	w.running, i.ran = true, true
	if w.g.number == 1 || w.restarts > 0 {
		i.about(logline.Debug, "started", w, " started: "+shown(w.g))
	}
	i.from(w, swap.Started, "", 0)
	held := w.held
	w.held = nil
	for _, sig := range held {
		i.send(w, sig)
	}
	i.probe(w)
}

// exited is called when the process p, once started for w, has ended.
func (i *Init) exited(w *worker, p *reaper.Process, e reaper.Exit) {
	i.sweepers.wake()
	if p != w.proc {
		return // it has named another main process (MAINPID=) before
	}
	w.ended.Store(true)
	w.endProbes()
	st, what := swap.Status{Code: e.Status.ExitStatus()}, describe(e.Status)
	switch {
	case !e.Known:
		// It was never our child, or the kernel is too old to tell afterwards.
		st, what = swap.Status{}, "ended with a status that cannot be known, taken as 0"
		i.about(logline.Warn, "status.unknown", w, " "+what)
	case e.Status.Signaled():
		st = swap.Status{Signal: swap.Signal(e.Status.Signal())}
	}
	i.about(logline.Debug, "exited", w, " "+what)
	w.g.status, w.g.end = st, what
	i.from(w, swap.Exited, "", 0)
}

// starved is called when the kernel has killed w for want of memory.
func (i *Init) starved(w *worker) {
	const why = "the kernel has killed it for want of memory: --memory (memory.max) is too small for it"
	i.about(logline.Warn, "memory", w, ": "+why)
	// For a successor that was not ready.
	i.from(w, swap.Note, why+" beside its predecessor; "+doctor.OneRoom, 0)
}

// ready passes readiness on, from whichever source the setting names.
func (i *Init) ready(w *worker) {
	g := w.g
	i.clients.asked = true
	i.started(w)
	if w.readyAfter == 0 {
		w.readyAfter = max(1, clock.Since(w.born))
		w.endProbes()
		if g.readyAfter == 0 && g.ready() {
			g.readyAfter = max(1, clock.Since(g.born))
			i.adoption.becameReady(g.number)
			i.settles(g.number)
			go i.lookForStrangers(g)
		}
		i.about(logline.Debug, "ready", w, " is ready")
	}
	i.from(w, swap.Ready, "", 0)
}

// saysReady is ready for what a worker says itself. A server whose predecessor has bound
// its ports for itself is not ready before it has, too: until then it is observed. It may
// be something beside the server that has spoken.
func (i *Init) saysReady(w *worker) {
	if missing := i.adoption.missing(w.g.number); i.mode.Observes && missing != "" {
		i.clients.asked = true
		i.from(w, swap.Note, "it says that it is ready, but does not listen on "+missing+" yet, as its predecessor does", 0)
		return
	}
	i.ready(w)
}

func (i *Init) piped(w *worker, e ready.PipeEvent) {
	switch {
	case e == ready.Ready && i.mode.Accepts&ready.OnPipe != 0:
		i.saysReady(w)
	case e == ready.Never && i.mode.Accepts == ready.OnPipe:
		i.from(w, swap.Never, "closed the readiness pipe without having written a line", 0)
	}
	// Never in auto: another source may still report, or the end is near.
}

// notified handles a message of sd_notify(3), in the order of its meaning:
// who it is (main: another main process, see received), what it asks for, what it
// says.
func (i *Init) notified(w *worker, m ready.Message, main *reaper.Process) {
	if m.Barrier != nil {
		// Everything before has been handled: that is what the sender waits for.
		// Whatever it is that it has sent to be closed, the loop does not wait.
		defer func() { go m.Barrier() }()
	}
	if main != nil && !w.ended.Load() {
		w.proc = main
		w.mainPid.Store(int32(main.Pid()))
	}
	i.clients.asked = true
	if m.Status != nil {
		w.g.statusText = *m.Status
		// If it fails, this is the best account of why.
		i.from(w, swap.Note, "its status was: "+*m.Status, 0)
	}
	if m.Errno != 0 {
		i.from(w, swap.Note, syscall.Errno(m.Errno).Error(), 0)
	}
	if m.Stopping {
		w.leaving = true
		// A successor that goes before it has begun has failed, in whichever of
		// its two states; an active generation only is not healthy any more.
		const reason = "says that it is stopping (STOPPING=1)"
		i.from(w, swap.Never, reason, 0)
		i.from(w, swap.Refused, reason, 0)
	}
	if m.Extend > 0 {
		w.patient = clock.Now().Add(m.Extend)
		i.from(w, swap.Extend, "", m.Extend)
	}
	if i.set.Watchdog == 0 { // nobody asked for one
		m.Watchdog, m.WatchdogUsec, m.WatchdogTrigger = false, 0, false
	}
	if m.Watchdog || m.WatchdogUsec != 0 {
		i.from(w, swap.Ping, "", m.WatchdogUsec)
	}
	if m.Ready && i.mode.Accepts&ready.OnSocket != 0 {
		i.saysReady(w)
	}
	if m.WatchdogTrigger {
		i.from(w, swap.Hung, "", 0)
	}
}
