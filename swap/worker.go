package swap

import (
	"time"

	"github.com/swapinit/swapinit/internal/text"
)

// A worker that ends is started again after respawnFirst, doubling with each
// death to respawnLast. One that has lived for steady begins again at the first.
const (
	respawnFirst  = 100 * time.Millisecond
	respawnLast   = 30 * time.Second
	respawnDeaths = 5 // in a row before it was ready: the end of a crash loop
	steady        = time.Minute
)

// workerState is where a worker stands. Its deadline belongs to its state.
type workerState uint8

const (
	unborn   workerState = iota // not asked for yet
	booting                     // started, not ready
	serving                     // ready; deadline: the watchdog's next ping
	aborted                     // missed its watchdog and got ABRT; deadline: KILL
	leaving                     // told to stop ahead of its generation; deadline: KILL
	recalled                    // the same, but needed again: started when it has ended
	waiting                     // ended, and started again at its deadline
	dead                        // ended for good
)

// worker is one process of a generation, which has Config.Workers of them.
type worker struct {
	state    workerState
	by       time.Duration
	born     time.Duration
	unready  int           // starts since it was ready the last time
	crashes  int           // ends in a row that nobody asked for
	watchdog time.Duration // interval of its pings, 0: none
}

func (w *worker) alive() bool { return w.state >= booting && w.state <= recalled }

// enter changes its state; the deadline of the one before is over.
func (w *worker) enter(s workerState, by time.Duration) { w.state, w.by = s, by }

func newWorkers(n int, watchdog time.Duration) []worker {
	workers := make([]worker, n)
	for k := range workers {
		workers[k] = worker{watchdog: watchdog, by: never}
	}
	return workers
}

// worker is the one with that index if it lives, else nil.
func (g *generation) worker(k int) *worker {
	if k < 0 || k >= len(g.workers) || !g.workers[k].alive() {
		return nil
	}
	return &g.workers[k]
}

// count counts the workers of which ok is true.
func (g *generation) count(ok func(*worker) bool) (n int) {
	for k := range g.workers {
		if ok(&g.workers[k]) {
			n++
		}
	}
	return n
}

// living counts the workers that live, or will again.
func (g *generation) living() int {
	return g.count(func(w *worker) bool { return w.alive() || w.state == waiting })
}

// serves reports whether a worker of it is ready.
func (g *generation) serves() bool {
	return g.count(func(w *worker) bool { return w.state == serving }) > 0
}

// canServe reports whether a worker of it lives that is ready, or has served without
// ever saying so.
func (g *generation) canServe() bool {
	return g.count(func(w *worker) bool { return w.state == serving || w.state == booting && w.crashes == 0 }) > 0
}

// begun counts the workers that were asked for. They are the first.
func (g *generation) begun() int {
	return g.count(func(w *worker) bool { return w.state != unborn })
}

// whole: all workers that were asked for are ready.
func (g *generation) whole() bool {
	return g.count(func(w *worker) bool { return w.state == serving }) == g.begun()
}

// start asks for worker k. first is what the first of a generation is started with;
// the others get the same.
func (m *Machine) start(g *generation, k int, first Start) {
	w := &g.workers[k]
	w.enter(booting, never)
	w.born = m.now
	w.unready++
	first.Generation, first.Worker = g.number, k
	m.emit(&first)
}

// startNext starts the next n workers that were not asked for yet.
func (m *Machine) startNext(g *generation, n int, first Start) {
	for k := range g.workers {
		if g.workers[k].state == unborn && n > 0 {
			n--
			m.start(g, k, first)
		}
	}
}

// startMissing starts those that do not live.
func (m *Machine) startMissing(g *generation) {
	for k := range g.workers {
		if !g.workers[k].alive() {
			m.start(g, k, Start{})
		}
	}
}

// signal sends a signal to every worker that lives. Who is left when the generation
// has ended is swept.
func (m *Machine) signal(g *generation, sig Signal, resume bool) {
	for k := range g.workers {
		if g.workers[k].alive() && !g.dead() {
			m.emit(&SignalWorker{Generation: g.number, Worker: k, Signal: sig, Resume: resume})
		}
	}
}

// bury notes that a worker has ended and how it stood. false: it did not live.
func (m *Machine) bury(g *generation, e *GenerationEvent) (was workerState, ok bool) {
	w := g.worker(e.Worker)
	if w == nil {
		return dead, false
	}
	was = w.state
	w.enter(dead, never)
	if !g.dead() {
		g.status = e.Status
	}
	return was, true
}

// respawns reports whether a worker that has ended so is started again.
func (m *Machine) respawns(g *generation, st Status) bool {
	if m.phase != Running || !g.ran || g.state != Active && g.state != Kept || g.standing != good {
		return false
	}
	return m.cfg.Respawn == RespawnAlways || m.cfg.Respawn == RespawnOnFailure && st != Status{}
}

// respawn puts a worker that has ended on the way to its next start. false: it has
// ended too often.
func (m *Machine) respawn(g *generation, k int, reason string) bool {
	w := &g.workers[k]
	if m.now-w.born >= steady {
		w.unready, w.crashes = 0, 0
	}
	w.crashes++
	if w.unready >= respawnDeaths {
		reason = text.Sprintf("%s, for the %dth time in a row before it was ready: given up", reason, respawnDeaths)
		m.emit(&Progress{Generation: g.number, Worker: k, Stage: StageRespawn, Detail: reason})
		return false
	}
	delay := backoff(w.crashes)
	w.enter(waiting, m.in(delay))
	m.emit(&Progress{Generation: g.number, Worker: k, Stage: StageRespawn, Detail: reason + ", started again in " + seconds(delay)})
	return true
}

// backoff is the time until the start after so many deaths in a row.
func backoff(deaths int) time.Duration {
	if deaths < 10 {
		return min(respawnLast, respawnFirst<<(deaths-1))
	}
	return respawnLast
}

// watch sets the time of a worker's next ping, if it has a watchdog.
func (m *Machine) watch(w *worker) {
	if w.state != serving {
		return
	}
	if w.by = never; w.watchdog > 0 {
		w.by = m.in(w.watchdog)
	}
}

// abort ends a worker that hangs: ABRT, so that it can leave a core or a trace, and
// KILL. What its death means is decided when it has come.
func (m *Machine) abort(g *generation, k int) {
	w := g.worker(k)
	if w == nil || w.state >= aborted {
		return
	}
	w.enter(aborted, m.in(abortGrace))
	m.progress(g, StageHung, "missed its watchdog")
	m.emit(&SignalWorker{Generation: g.number, Worker: k, Signal: m.cfg.AbortSignal})
}

// dismissWorker tells worker k to stop ahead of its generation.
func (m *Machine) dismissWorker(g *generation, k int) {
	w := &g.workers[k]
	if !w.alive() {
		w.enter(dead, never)
		return
	}
	w.enter(leaving, m.after(m.cfg.RetireTimeout))
	m.emit(&SignalWorker{Generation: g.number, Worker: k, Signal: m.cfg.RetireSignal})
}

// killWorker is for one that has not ended in time. Its generation stays what it is
// until the worker is dead.
func (m *Machine) killWorker(g *generation, k int) {
	w := &g.workers[k]
	w.by = never
	if len(g.workers) == 1 && !m.respawns(g, Status{Signal: 9}) {
		m.emit(&Kill{Generation: g.number, Reason: "it has not ended in time"})
	} else {
		m.emit(&KillWorker{Generation: g.number, Worker: k})
	}
}
