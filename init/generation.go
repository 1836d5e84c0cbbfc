package pid1

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/swapinit/swapinit/swap"
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

// source is a generation's command as it was given: the templates are still in
// it. Whoever is started later, of this generation or of one that is to be the
// same, gets these words too, whatever the default is by then.
type source struct {
	once    sync.Once
	words   []string // nil: the default command, until resolved
	current []string // the newest command that a swap has named
	err     error
}

func (i *Init) resolve(g *generation) ([]string, error) {
	s := g.source
	s.once.Do(func() {
		if s.words == nil {
			s.words, s.err = i.defaultCommand(g.number, s.current)
		}
	})
	return s.words, s.err
}

// forksMax bounds the threads that wait in forks of one generation's workers: the
// runtime makes as many as there are.
const forksMax = 4

// newGeneration makes one with room for that many workers.
func newGeneration(number, workers int) *generation {
	return &generation{record: &record{number: number, source: &source{}}, born: time.Now(),
		starting: make(chan struct{}, forksMax), workers: make([]atomic.Pointer[worker], workers)}
}

// start starts a worker, and with its first one the generation.
func (i *Init) start(f *swap.Start) {
	g := i.gens[f.Generation]
	cautious := false
	if g == nil {
		g = newGeneration(f.Generation, i.workers)
		g.canary = f.Canary
		cautious = f.Sockets == swap.OwnSockets
		g.together = f.Sockets == swap.SharedSockets
		g.source.words, g.source.current = f.Command, i.current
		if other := i.recordOf(f.Like); other != nil {
			g.source = other.source
		}
		i.gens[f.Generation] = g
	}
	w := &worker{g: g, index: f.Worker, born: time.Now()}
	if old := g.workers[f.Worker].Load(); old != nil {
		old.close()
		w.restarts, w.former = old.restarts+1, old.pid()
	}
	g.workers[f.Worker].Store(w)
	go i.launch(w, cautious)
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

// close gives back what belongs to the generation. It may be called again.
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

// forget releases a generation of which nothing is left.
func (i *Init) forget(g *generation) {
	i.leaveSockets(g.number)
	g.close()
	delete(i.gens, g.number)
	if i.past = append(i.past, g.record); len(i.past) > pastMax {
		i.past = i.past[1:]
	}
	// A server on its way out may have shut down a socket, or removed a path,
	// that its successor serves.
	go i.endpoints.Check()
}
