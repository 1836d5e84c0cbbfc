package pid1

import (
	"sync/atomic"
	"time"
)

// generation is what its workers have in common. Its fields are the loop's, but
// for those of the last group.
type generation struct {
	*record
	born       time.Time
	together   bool   // it has its predecessor's sockets; set before it is launched
	canary     bool   // it is to get only a share of the connections first
	stopDrain  func() // ends who watches its connections; nil: nobody does; may be called again
	sweeper    *sweeper
	readyAfter time.Duration // until all workers were ready for the first time; 0: they were not yet
	statusText string        // the last STATUS=
	command    []string      // as run, the path resolved
	workDir    string

	// For the goroutines that start it or ask who belongs to it.
	starting chan struct{}            // has room for those that are being forked at a time
	workers  []atomic.Pointer[worker] // by index, nil until started for the first time; a fixed number
	killed   atomic.Bool              // whoever is left of it gets KILL
}

// forksMax bounds the threads that wait in forks of one generation's workers: the
// runtime makes as many as there are.
const forksMax = 4

// newGeneration makes one with room for that many workers.
func newGeneration(number, workers int) *generation {
	return &generation{record: &record{number: number, source: &source{}}, born: time.Now(),
		starting: make(chan struct{}, forksMax), workers: make([]atomic.Pointer[worker], workers)}
}

// all lists the workers that were started, in their order.
func (g *generation) all() []*worker {
	var list []*worker
	for k := range g.workers {
		if w := g.workers[k].Load(); w != nil {
			list = append(list, w)
		}
	}
	return list
}

// worker is nil if it was not started yet.
func (g *generation) worker(k int) *worker {
	if k < 0 || k >= len(g.workers) {
		return nil
	}
	return g.workers[k].Load()
}

// pid is that of its first worker, 0 if there is none yet.
func (g *generation) pid() int {
	if w := g.worker(0); w != nil {
		return w.pid()
	}
	return 0
}

// ended reports whether no worker lives.
func (g *generation) ended() bool {
	for _, w := range g.all() {
		if !w.ended.Load() {
			return false
		}
	}
	return true
}

// close gives back what belongs to the generation, but for its paths. It may be
// called again.
func (g *generation) close() {
	g.endDrain()
	if g.sweeper != nil {
		g.sweeper.stop()
	}
	for _, w := range g.all() {
		w.close()
	}
}

// endDrain ends the watch of its connections, if there is one.
func (g *generation) endDrain() {
	if g.stopDrain != nil {
		g.stopDrain()
	}
}

// unlink closes what has a path in the file system. Not for the loop; it may be
// called again.
func (g *generation) unlink() {
	for _, w := range g.all() {
		if w.notify != nil {
			w.notify.Close()
		}
	}
}
