package pid1

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/swap"
)

// generation is what its workers have in common. Its fields are the loop's, but
// for those of the last group.
type generation struct {
	*record
	born       clock.Time
	together   bool      // it has its predecessor's sockets; set before it is launched
	by         shares.By // which connections a share is that it gets first
	drain      *drain    // who watches its connections, or did; nil before
	sweeper    *sweeper
	readyAfter time.Duration // until all workers were ready for the first time; 0: they were not yet
	statusText string        // the last STATUS=
	command    []string      // as run, the path resolved
	workDir    string

	// For the goroutines that start it or ask who belongs to it.
	starting chan struct{}            // has room for those that are being forked at a time
	workers  []atomic.Pointer[worker] // by index, nil until started for the first time; a fixed number
	killed   atomic.Bool              // whoever is left of it gets KILL
	sockets  ownSockets
}

// forksMax bounds the threads that wait in forks of one generation's workers: the
// runtime makes as many as there are.
const forksMax = 4

// newGeneration makes one with room for that many workers.
func newGeneration(number, workers int) *generation {
	return &generation{record: &record{number: number, source: &source{}}, born: clock.Now(),
		starting: make(chan struct{}, forksMax), workers: make([]atomic.Pointer[worker], workers)}
}

// all lists the workers that were started, in their order; there are none if there
// is no such generation (g is nil).
func (g *generation) all() (list []*worker) {
	if g == nil {
		return nil
	}
	for k := range g.workers {
		if w := g.workers[k].Load(); w != nil {
			list = append(list, w)
		}
	}
	return list
}

// worker is nil if it was not started yet, or there is no such generation (g is
// nil).
func (g *generation) worker(k int) *worker {
	if g == nil || k < 0 || k >= len(g.workers) {
		return nil
	}
	return g.workers[k].Load()
}

// pid is that of its first worker, 0 if there is none.
func (g *generation) pid() int {
	if w := g.worker(0); w != nil {
		return w.pid()
	}
	return 0
}

// ended reports whether no worker lives.
func (g *generation) ended() bool {
	return !slices.ContainsFunc(g.all(), func(w *worker) bool { return !w.ended.Load() })
}

// ready reports whether all workers are.
func (g *generation) ready() bool {
	all := g.all()
	return len(all) == len(g.workers) && !slices.ContainsFunc(all, func(w *worker) bool { return w.readyAfter == 0 })
}

// close gives back what belongs to the generation, but for its paths. It may be
// called again.
func (g *generation) close() {
	g.drain.end()
	if g.sweeper != nil {
		g.sweeper.stop()
	}
	for _, w := range g.all() {
		w.endProbes()
		w.close()
	}
}

// unlink closes what has a path in the file system. Not for the loop; it may be
// called again.
func (g *generation) unlink() {
	for _, w := range g.all() {
		w.unlink()
	}
}

// generations are those of which something is left, and what is remembered of
// others. It is the loop's.
type generations struct {
	workers  int // of each
	live     map[int]*generation
	newest   int       // number of the one that was started last
	past     []*record // of those that went last
	current  []string  // the command that a swap without one starts, if an earlier swap named one
	canaryBy string    // SWAPINIT_CANARY_BY
}

// record is what is remembered of a generation when it has gone.
type record struct {
	number int
	source *source
	over   bool        // no worker lives, nor will again
	status swap.Status // of the worker that ended last
	end    string      // the same in words
}

// pastMax is how many generations are remembered. One that had to go first comes
// back by its command when its successor fails.
const pastMax = 8

// recordOf is nil for a generation that was forgotten too long ago.
func (gs *generations) recordOf(n int) *record {
	if g := gs.live[n]; g != nil {
		return g.record
	}
	for _, r := range gs.past {
		if r.number == n {
			return r
		}
	}
	return nil
}

// by is what decides which connections they are where generation n gets share of them.
func (gs *generations) by(n, share int) shares.By {
	if g := gs.live[n]; g != nil && share < shares.Full {
		return g.by
	}
	return shares.Random
}

// with calls do with generation n, unless it is gone.
func (gs *generations) with(n int, do func(*generation)) {
	if g := gs.live[n]; g != nil {
		do(g)
	}
}

// next makes the worker that f is to start, and with the first one of its
// generation that as well. old is the one whose place it takes, or nil.
func (gs *generations) next(f *swap.Start) (w, old *worker) {
	g := gs.live[f.Generation]
	if g == nil {
		g = newGeneration(f.Generation, gs.workers)
		if f.Canary {
			g.by, _ = shares.ParseBy(cmp.Or(f.CanaryBy, gs.canaryBy), salt()) // both were parsed before
		}
		g.together = f.Sockets == swap.SharedSockets
		g.source.words, g.source.current = f.Command, gs.current
		if other := gs.recordOf(f.Like); other != nil {
			g.source = other.source
		}
		gs.live[f.Generation], gs.newest = g, f.Generation
	}
	w = &worker{g: g, index: f.Worker, born: clock.Now(), bound: make(chan struct{})}
	if old = g.workers[f.Worker].Load(); old != nil {
		old.endProbes()
		old.close()
		w.restarts, w.former = old.restarts+1, old.pid()
	}
	g.workers[f.Worker].Store(w)
	return w, old
}

// forget remembers the record of a generation of which nothing is left.
func (gs *generations) forget(g *generation) {
	g.close()
	delete(gs.live, g.number)
	if gs.past = append(gs.past, g.record); len(gs.past) > pastMax {
		gs.past = gs.past[1:]
	}
}
