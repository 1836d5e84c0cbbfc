package pid1

import (
	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
)

// launch starts the program of a worker and waits for its end, in a goroutine of
// its own: an exec can hang on a file system, and a child in its exec stage on
// anything. old is the worker whose place it takes, or nil; cautious is for give.
func (i *Init) launch(w, old *worker, cautious bool) {
	if old != nil {
		old.unlink() // its path is to be the new one's
	}
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
	l.notify.Watch(func(pid int, _ uint32) bool { return i.launcher.procs.belongs(w.g, pid) }, func(m ready.Message) { i.received(w, l.notify, m) })
	l.pipe.Watch(func(e ready.PipeEvent) { i.post(func() { i.piped(w, e) }) })
	for n, c := range l.channels {
		c.Watch(func(m channel.Message) { i.post(func() { i.said(w, n, m) }) })
	}
	if err := l.child.Exec(); err != nil {
		i.post(func() { i.launchFailed(w, err, exitStatus(err)) })
		<-l.proc.Exited()
		i.sweepers.wake()
		return
	}
	i.post(func() { i.started(w) })
	i.await(w, l.proc, l.notify)
}

// received passes a message of sd_notify(3) on to the loop. It is called for one
// after the other.
func (i *Init) received(w *worker, n *ready.Notify, m ready.Message) {
	var p *reaper.Process
	if m.MainPid > 0 && m.MainPid != w.claimed {
		p = i.followMain(w, m.MainPid)
	}
	i.post(func() { i.notified(w, m, p) })
	if p != nil {
		go i.await(w, p, n) // its end comes after that
	}
}

// followMain makes sure that another process of the generation can be the
// worker's main one: a server that has forked itself into the background says so.
func (i *Init) followMain(w *worker, pid int) *reaper.Process {
	if pid == w.pid() || w.ended.Load() {
		return nil
	}
	if pid == 1 || !i.launcher.procs.belongs(w.g, pid) {
		i.warn("mainpid", w.named()+" names pid "+itoa(pid)+" as its main process, which is none of its own", w.g.number, pid)
		return nil
	}
	p, err := i.launcher.reaper.Adopt(pid) // not another worker's: that is watched already
	if err != nil {
		i.warn("mainpid", "cannot follow MAINPID="+itoa(pid)+": "+err.Error(), w.g.number, pid)
		return nil
	}
	w.claimed = pid
	return p
}

// await posts the end of p. It reads what the process has still said first: the
// message that names its successor may have come just before.
func (i *Init) await(w *worker, p *reaper.Process, said *ready.Notify) {
	e := <-p.Exited()
	said.Drain()
	i.post(func() { i.exited(w, p, e) })
}
