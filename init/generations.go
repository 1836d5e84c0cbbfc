package pid1

import (
	"time"

	"github.com/swapinit/swapinit/swap"
)

// generations are those of which something is left, and what is remembered of
// others. It is the loop's.
type generations struct {
	workers int // of each
	live    map[int]*generation
	past    []*record // of those that went last
	current []string  // the command that a swap without one starts, if an earlier swap named one
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

// worker is that of generation n with index k, nil if there is none.
func (gs *generations) worker(n, k int) *worker {
	if g := gs.live[n]; g != nil {
		return g.worker(k)
	}
	return nil
}

// pid is that of generation n's first worker, 0 if there is none.
func (gs *generations) pid(n int) int {
	if w := gs.worker(n, 0); w != nil {
		return w.pid()
	}
	return 0
}

// next makes the worker that f is to start, and with the first one of its
// generation that as well. old is the one whose place it takes, or nil.
func (gs *generations) next(f *swap.Start) (w, old *worker) {
	g := gs.live[f.Generation]
	if g == nil {
		g = newGeneration(f.Generation, gs.workers)
		g.canary = f.Canary
		g.together = f.Sockets == swap.SharedSockets
		g.source.words, g.source.current = f.Command, gs.current
		if other := gs.recordOf(f.Like); other != nil {
			g.source = other.source
		}
		gs.live[f.Generation] = g
	}
	w = &worker{g: g, index: f.Worker, born: time.Now()}
	if old = g.workers[f.Worker].Load(); old != nil {
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
