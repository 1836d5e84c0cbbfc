package pid1

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
)

// worker is one process of a generation, from its start to its end: when it is
// started again, that is another worker with the same index. Its fields are the
// loop's, but for those of the last group.
type worker struct {
	index      int
	born       time.Time
	restarts   int
	proc       *reaper.Process // nil until forked; MAINPID= may replace it
	running    bool            // its own program runs
	held       []syscall.Signal
	pipe       *ready.Pipe
	notify     *ready.Notify
	channels   []*channel.Channel // one or two, see lines and node
	joined     [2]bool            // it speaks there
	hungUp     [2]bool            // the same: every copy of its end is closed
	stopProbes func()             // nil: none run; may be called again
	readyAfter time.Duration      // 0: not ready
	leaving    bool               // it said STOPPING=1

	// For the goroutines that wait for it or ask who belongs to it.
	g       *generation
	former  int // the main process of the worker that it replaces has ended, its number may be another's; 0: none
	mainPid atomic.Int32
	ended   atomic.Bool // its main process has ended, the number may be another's
	killed  atomic.Bool // it alone gets KILL
}

func (w *worker) pid() int { return int(w.mainPid.Load()) }

// named is how messages speak of a worker.
func (w *worker) named() string {
	if len(w.g.workers) == 1 {
		return named(w.g.number)
	}
	return named(w.g.number) + " worker " + itoa(w.index)
}

// close gives back what belongs to the worker. It may be called again.
func (w *worker) close() {
	if w.stopProbes != nil {
		w.stopProbes()
	}
	if w.pipe != nil {
		w.pipe.Close()
	}
	if w.notify != nil {
		w.notify.Close()
	}
	closeAll(w.channels)
}

// from passes on what w has caused; text is the Reason or the Resource. Once
// another one has its place it has no say any more.
func (i *Init) from(w *worker, k swap.Kind, text string, d time.Duration) {
	if w.g.workers[w.index].Load() == w {
		i.step(swap.Event{Kind: k, Generation: w.g.number, Worker: w.index, Reason: text, Resource: text, Duration: d, Status: w.g.status})
	}
}

// about logs what concerns w.
func (i *Init) about(level logline.Level, event string, w *worker, text string) {
	i.say(level, event, w.named()+text, w.g.number, w.pid())
}

// forked takes over what launch has made, before the program runs.
func (i *Init) forked(w *worker, l *launched) {
	if !i.serving { // not by its number: generation 1 may have failed before
		i.serving = true
		i.afterFirstFork()
	}
	w.proc, w.pipe, w.notify, w.channels = l.proc, l.pipe, l.notify, l.channels
	w.g.command, w.g.workDir = l.shown, l.dir
	if w.g.killed.Load() || w.killed.Load() {
		_ = w.proc.SignalGroup(syscall.SIGKILL)
	}
}

// launchFailed is the end of a worker whose program never ran.
func (i *Init) launchFailed(w *worker, err error, status int) {
	w.ended.Store(true)
	// The swap that is going on tells by itself why it failed.
	if w.g.number == 1 || i.machine.Phase() == swap.Running && !i.machine.Swapping() {
		i.fail("start.failed", err.Error(), w.g.number)
	}
	w.g.status, w.g.end = swap.Status{Code: status}, err.Error()
	i.from(w, swap.StartFailed, w.g.end, 0)
}

// started is called when the worker's own program runs.
func (i *Init) started(w *worker) {
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
	i.bells.ring()
	if p != w.proc {
		return // it has named another main process (MAINPID=) before
	}
	w.ended.Store(true)
	if w.stopProbes != nil {
		w.stopProbes()
	}
	st := swap.Status{Code: e.Status.ExitStatus()}
	what := describe(e.Status)
	if e.Status.Signaled() {
		st = swap.Status{Signal: swap.Signal(e.Status.Signal())}
	}
	if !e.Known {
		// It was never our child, or the kernel is too old to tell afterwards.
		st, what = swap.Status{}, "ended with a status that cannot be known, taken as 0"
		i.about(logline.Warn, "status.unknown", w, " "+what)
	}
	i.about(logline.Debug, "exited", w, " "+what)
	w.g.status, w.g.end = st, what
	i.from(w, swap.Exited, "", 0)
}

// ready passes readiness on, from whichever source the setting names.
func (i *Init) ready(w *worker) {
	g := w.g
	if w.readyAfter == 0 {
		w.readyAfter = max(1, time.Since(w.born))
		if w.stopProbes != nil {
			w.stopProbes()
		}
		if g.readyAfter == 0 && g.ready() {
			g.readyAfter = max(1, time.Since(g.born))
			go i.lookForStrangers(g)
		}
		i.about(logline.Debug, "ready", w, " is ready")
	}
	i.from(w, swap.Ready, "", 0)
}

// ready reports whether all workers are.
func (g *generation) ready() bool {
	for k := range g.workers {
		if w := g.workers[k].Load(); w == nil || w.readyAfter == 0 {
			return false
		}
	}
	return true
}

func (i *Init) piped(w *worker, e ready.PipeEvent) {
	switch k := i.mode.Kind; {
	case e == ready.Ready && (k == ready.KindAuto || k == ready.KindFD):
		i.ready(w)
	case e == ready.Never && k == ready.KindFD:
		i.from(w, swap.Never, "closed the readiness pipe without having written a line", 0)
	}
	// Never in auto: the other source may still report, or the end is near.
}

// notified handles a message of sd_notify(3), in the order of its meaning:
// who it is, what it asks for, what it says.
func (i *Init) notified(w *worker, m ready.Message) {
	if m.Barrier != nil {
		// Everything before has been handled: that is what the sender waits for.
		defer m.Barrier()
	}
	if m.MainPid > 0 {
		i.followMain(w, m.MainPid)
	}
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
		i.from(w, swap.Extend, "", m.Extend)
	}
	if m.WatchdogUsec != 0 {
		i.from(w, swap.Ping, "", m.WatchdogUsec)
	}
	if m.Watchdog {
		i.from(w, swap.Ping, "", 0)
	}
	if m.Ready && (i.mode.Kind == ready.KindAuto || i.mode.Kind == ready.KindNotify) {
		i.ready(w)
	}
	if m.WatchdogTrigger {
		i.from(w, swap.Hung, "", 0)
	}
}

// followMain makes another process of the generation the worker's main one: a
// server that has forked itself into the background says so.
func (i *Init) followMain(w *worker, pid int) {
	if w.proc == nil || pid == w.proc.Pid() || w.ended.Load() {
		return
	}
	if pid == 1 || !i.belongs(w.g, pid) {
		i.warn("mainpid", w.named()+" names pid "+itoa(pid)+" as its main process, which is none of its own", w.g.number, pid)
		return
	}
	p, err := i.reaper.Adopt(pid) // not another worker's: that is watched already
	if err != nil {
		i.warn("mainpid", "cannot follow MAINPID="+itoa(pid)+": "+err.Error(), w.g.number, pid)
		return
	}
	w.proc = p
	w.mainPid.Store(int32(pid))
	go i.await(w, p, w.notify)
}

// await posts the end of p. It reads what the process has still said first: the
// message that names its successor may have come just before.
func (i *Init) await(w *worker, p *reaper.Process, said *ready.Notify) {
	e := <-p.Exited()
	said.Drain()
	i.post(func() { i.exited(w, p, e) })
}
