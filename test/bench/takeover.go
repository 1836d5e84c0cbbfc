package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/swapinit/swapinit/test/load"
)

const nameTakeover = "failed requests a takeover"

// takeoverRate is requests a second. They come at that rate, however the earlier ones
// fare: clients that wait for an answer would ask less just when there is none.
const takeoverRate = 200

// taken is what became of one way.
type taken struct {
	way
	load.Count
	waits, gaps []float64 // the longest of each takeover, ms
	err         error
}

// takeovers has new containers take over by each way, under the same load, in turns.
func takeovers(ctx context.Context, b *bench) (*table, error) {
	d, err := b.dockerOr(ctx, "takeovers are")
	if d == nil {
		return nil, err
	}
	defer d.close()
	if err != nil {
		return nil, err
	}
	var rows []*taken
	for w := range wayNames {
		rows = append(rows, &taken{way: way(w)})
	}
	each := (b.swapsOr(b.rounds.takeovers) + b.rounds.turns - 1) / b.rounds.turns
	for turn := range b.rounds.turns {
		for i, r := range rows {
			b.progress.show("takeovers", turn*len(rows)+i, b.rounds.turns*len(rows))
			if r.err != nil || missing(r.way.needs()) {
				continue
			}
			if r.err = r.run(ctx, b, d, each); ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	var failed error
	for _, r := range rows {
		if r.err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", wayNames[r.way], r.err))
		}
	}
	return takeoverTable(rows), failed
}

// run has so many containers take over.
func (r *taken) run(ctx context.Context, b *bench, d *docker, n int) error {
	f, err := b.openFront(ctx, d, r.way, "5ms")
	if err != nil {
		return err
	}
	defer f.close()
	l, w := watch(f.address, load.Options{Rate: takeoverRate})
	defer func() { r.add(l.Stop()) }()
	pause(ctx, apartSwaps)
	for range n {
		w.cut()
		if err := f.replace(ctx); err != nil {
			return err
		}
		pause(ctx, apartSwaps)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		seen := w.cut()
		if len(seen.took) == 0 {
			return errors.New("nothing was answered after a takeover")
		}
		r.waits = append(r.waits, seen.took[len(seen.took)-1])
		r.gaps = append(r.gaps, seen.gap.Seconds()*1e3)
	}
	return nil
}

// add puts another load's count to it.
func (r *taken) add(n load.Count) {
	r.Requests += n.Requests
	r.Failed += n.Failed
	r.Refused += n.Refused
	r.Errors = append(r.Errors, n.Errors...)
}

func takeoverTable(rows []*taken) *table {
	t := &table{Name: nameTakeover,
		How: fmt.Sprintf("another container takes over; %d requests a second, a connection each, answers after 5 ms; failed: refused, reset, closed before the whole answer, or another status than 200. "+
			"Waits and silences are the longest in each takeover, median and (the most)", takeoverRate),
		Columns: []string{"", "failed a takeover", "failed", "requests", "takeovers", "an answer took, ms", "no answer at all for, ms"}}
	for _, r := range rows {
		cells := []string{wayNames[r.way]}
		switch n := len(r.waits); {
		case r.err != nil:
			cells = append(cells, "could not be measured", "-", "-", "-", "-", "-")
		case n == 0:
			cells = append(cells, "not installed", "-", "-", "-", "-", "-")
		default:
			cells = append(cells, number(float64(r.Failed)/float64(n)), fmt.Sprint(r.Failed), fmt.Sprint(r.Requests), fmt.Sprint(n), most(r.waits), most(r.gaps))
		}
		t.Rows = append(t.Rows, cells)
		if r.Failed > 0 && r.way <= bridgeGate {
			t.Notes = append(t.Notes, fmt.Sprintf("%s, the first errors: %q", wayNames[r.way], r.Errors[:min(5, len(r.Errors))]))
		}
	}
	return t
}

// most is a median with the largest.
func most(samples []float64) string {
	largest := 0.0
	for _, s := range samples {
		largest = max(largest, s)
	}
	return number(median(samples)) + " (" + number(largest) + ")"
}
