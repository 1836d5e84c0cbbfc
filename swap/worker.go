package swap

import (
	"fmt"
	"time"
)

// A worker that ends is started again after respawnFirst, doubling with each
// death to respawnLast. One that has lived for steady begins anew.
const (
	respawnFirst  = 100 * time.Millisecond
	respawnLast   = 30 * time.Second
	respawnDeaths = 5 // in a row before it was ready: the end of a crash loop
	steady        = time.Minute
)

// worker is one process of a generation, which has Config.Workers of them.
type worker struct {
	asked    bool // it was started at least once
	alive    bool // started, and not ended
	ready    bool
	told     bool // it has got a signal that ends it, ahead of its generation
	wanted   bool // told, but needed again: it is started anew when it has ended
	born     time.Duration
	deaths   int           // in a row before it was ready
	crashes  int           // in a row
	watchdog time.Duration // interval of its pings, 0: none

	startAt time.Duration // started again
	pingBy  time.Duration // next ping of the watchdog
	killAt  time.Duration // KILL for it alone
}

func newWorkers(n int, watchdog time.Duration) []worker {
	workers := make([]worker, n)
	for k := range workers {
		workers[k] = worker{watchdog: watchdog, startAt: never, pingBy: never, killAt: never}
	}
	return workers
}

// worker is the one with that index if it lives, else nil.
func (g *generation) worker(k int) *worker {
	if k < 0 || k >= len(g.workers) || !g.workers[k].alive {
		return nil
	}
	return &g.workers[k]
}

// living counts the workers that live, or will again.
func (g *generation) living() (n int) {
	for k := range g.workers {
		if w := &g.workers[k]; w.alive || w.startAt != never {
			n++
		}
	}
	return n
}

// begun counts the workers that were asked for, first to last.
func (g *generation) begun() (n int) {
	for k := range g.workers {
		if g.workers[k].asked {
			n = k + 1
		}
	}
	return n
}

// whole: all workers that were asked for are ready.
func (g *generation) whole() bool {
	for k := range g.workers[:g.begun()] {
		if w := &g.workers[k]; !w.alive || !w.ready || w.told {
			return false
		}
	}
	return true
}

// start asks for worker k. e says with which command the first of a generation
// is started; the others have the same.
func (m *Machine) start(g *generation, k int, e Start) {
	w := &g.workers[k]
	w.asked, w.alive, w.ready, w.told, w.wanted = true, true, false, false, false
	w.born, w.startAt = m.now, never
	e.Generation, e.Worker = g.number, k
	m.emit(&e)
}

func (m *Machine) started(g *generation, e *GenerationEvent) {
	g.ran = true
	if g.rising() && e.Worker == 0 {
		m.progress(g, StageStarted, "")
	}
}

func (m *Machine) becameReady(g *generation, e *GenerationEvent) {
	w := g.worker(e.Worker)
	if w == nil || w.ready {
		return
	}
	w.ready, w.deaths = true, 0
	if w.watchdog > 0 && !g.told && !w.told {
		w.pingBy = m.now + w.watchdog
	}
	if !g.whole() {
		return
	}
	g.ready = true
	switch {
	case g == m.active:
		m.restored()
	case g.state == Starting:
		m.settle(g)
	case g.state == Settling:
		m.settleBatch(g)
	}
}

func (m *Machine) startFailed(g *generation, e *GenerationEvent) { m.workerEnded(g, e, e.Reason) }

func (m *Machine) exited(g *generation, e *GenerationEvent) {
	reason := e.Status.String()
	if len(g.workers) > 1 {
		reason = fmt.Sprintf("worker %d %s", e.Worker, reason)
	}
	switch w := g.worker(e.Worker); {
	case w == nil || !g.rising():
	case w.ready:
		reason += " while it settled"
	case g.note != "":
		reason += " before it was ready: " + g.note
	default:
		reason += " before it was ready"
	}
	m.workerEnded(g, e, reason)
}

func (m *Machine) workerEnded(g *generation, e *GenerationEvent, reason string) {
	w := g.worker(e.Worker)
	if w == nil {
		return
	}
	leading := w.told // it was to go
	w.alive, w.startAt, w.pingBy, w.killAt = false, never, never, never
	if !g.ended {
		g.status = e.Status
	}
	if !w.ready {
		w.deaths++
	}
	switch {
	case g.ended:
	case w.wanted && m.phase == Running:
		m.giveTime()
		m.start(g, e.Worker, Start{})
	case g.rising():
		g.ended = g.living() == 0
		m.fail(g, reason)
	case !leading && m.respawns(g, e.Status):
		m.respawn(g, e.Worker, reason)
	case g.living() > 0:
		if leading && g == m.active {
			m.nextBatch()
		}
	default:
		g.ended = true
		if g == m.giving {
			m.giveBack()
			return
		}
		m.ended(g)
	}
}

// respawns reports whether a worker that has ended so is started again.
func (m *Machine) respawns(g *generation, st Status) bool {
	if m.phase != Running || g.told || !g.ran || g.state != Active && !g.kept {
		return false
	}
	return m.cfg.Respawn == RespawnAlways || m.cfg.Respawn == RespawnOnFailure && st != Status{}
}

func (m *Machine) respawn(g *generation, k int, reason string) {
	w := &g.workers[k]
	if m.now-w.born >= steady {
		w.deaths, w.crashes = 0, 0
	}
	w.ready = false
	w.crashes++
	if w.deaths >= respawnDeaths {
		// A crash loop ends. Whoever is left of the generation is swept with it.
		reason = fmt.Sprintf("%s, for the %dth time in a row before it was ready: given up", reason, respawnDeaths)
		m.emit(&Progress{Generation: g.number, Worker: k, Stage: StageRespawn, Detail: reason})
		g.ended = true
		m.ended(g)
		return
	}
	delay := respawnLast
	if w.crashes < 10 {
		delay = min(delay, respawnFirst<<(w.crashes-1))
	}
	w.startAt = m.now + delay
	m.emit(&Progress{Generation: g.number, Worker: k, Stage: StageRespawn, Detail: reason + ", started again in " + seconds(delay)})
}

// expireWorkers deals with the deadlines of single workers.
func (m *Machine) expireWorkers(g *generation) {
	for k := range g.workers {
		w := &g.workers[k]
		switch {
		case w.startAt <= m.now:
			m.start(g, k, Start{})
		case w.pingBy <= m.now:
			m.hung(g, &GenerationEvent{Worker: k})
		case w.killAt <= m.now:
			// Not kill: the generation stays what it is until it is dead.
			w.killAt = never
			if len(g.workers) == 1 && !m.respawns(g, Status{Signal: 9}) {
				m.emit(&Kill{Generation: g.number, Reason: "it has not ended in time"})
			} else {
				m.emit(&KillWorker{Generation: g.number, Worker: k})
			}
		}
	}
}

// signal sends a signal to every worker that lives.
func (m *Machine) signal(g *generation, sig Signal, resume bool) {
	if g.ended {
		return // whoever is left is swept
	}
	for k := range g.workers {
		if g.workers[k].alive {
			m.emit(&SignalWorker{Generation: g.number, Worker: k, Signal: sig, Resume: resume})
		}
	}
}

// serves reports whether a worker lives that is ready.
func (g *generation) serves() bool {
	for k := range g.workers {
		if g.workers[k].alive && g.workers[k].ready {
			return true
		}
	}
	return false
}
