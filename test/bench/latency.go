package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

const nameLatency = "latency through swaps"

const (
	// tracePace is far below what the servers can do: what is slow has another reason.
	tracePace  = 500 // requests a second
	traceSwaps = 4
	traceApart = 2 * time.Second // from the end of a swap to the next
)

// trace is what one contender's clients noticed.
type trace struct {
	contender
	count
	swaps []time.Duration // when each began, in the time of the requests
	err   error
}

// latencies replaces each contender's server a few times under requests at fixed times, and
// tells how long they took, and draws them if it is asked to.
func latencies(ctx context.Context, b *bench) (*table, error) {
	var all []*trace
	for _, c := range contenders() {
		if c.server != killed {
			all = append(all, &trace{contender: c})
		}
	}
	for i, t := range all {
		b.progress.show("latency", i, len(all))
		if name := t.kind.needs(); missing(name) {
			continue
		}
		if t.err = t.run(ctx, b); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if b.svg != "" {
		if err := os.WriteFile(b.svg, []byte(plot(all)), 0o644); err != nil {
			return nil, err
		}
	}
	var failed error
	for _, t := range all {
		if t.err != nil {
			failed = fmt.Errorf("%s, %s: %w", kindNames[t.kind], t.server.name, t.err)
		}
	}
	return latencyTable(all), failed
}

func (t *trace) run(ctx context.Context, b *bench) error {
	s, err := b.open(t.contender)
	if err != nil {
		return err
	}
	defer s.close()
	swap, err := s.replacing(t.contender)
	if err != nil {
		return err
	}
	clients, err := s.enter("trace", fmt.Sprint(tracePace))
	if err != nil {
		return err
	}
	defer clients.close()
	if _, err := clients.order("go"); err != nil {
		return err
	}
	begin := time.Now() // a little after the clients' own
	for range b.swapsOr(traceSwaps) {
		pause(ctx, traceApart)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.swaps = append(t.swaps, time.Since(begin))
		if err := swap(); err != nil {
			return err
		}
	}
	pause(ctx, traceApart)
	t.count, err = clients.order("stop")
	return err
}

// took is the time within which this share of all requests was answered.
func (t *trace) took(share float64) time.Duration {
	all := make([]time.Duration, 0, len(t.Trace))
	for _, r := range t.Trace {
		if !r.Failed {
			all = append(all, r.Took)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(share*float64(len(all))))]
}

func latencyTable(all []*trace) *table {
	t := &table{Name: nameLatency,
		How:     fmt.Sprintf("%d requests a second, each on a connection of its own and when it is due, whatever becomes of the others; answers after 5 ms; a swap every two seconds", tracePace),
		Columns: []string{"replaced by", "the old server", "half within", "99 % within", "99.9 % within", "slowest", "failed", "requests", "swaps"}}
	for _, r := range all {
		cells := []string{kindNames[r.kind], r.server.name}
		switch {
		case r.err != nil:
			cells = append(cells, "could not be measured", "-", "-", "-", "-", "-", "-")
		case len(r.Trace) == 0:
			cells = append(cells, "not installed", "-", "-", "-", "-", "-", "-")
		default:
			for _, share := range []float64{0.5, 0.99, 0.999, 1} {
				cells = append(cells, milliseconds(r.took(share)))
			}
			cells = append(cells, fmt.Sprint(r.Failed), fmt.Sprint(r.Requests), fmt.Sprint(len(r.swaps)))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func milliseconds(d time.Duration) string { return number(float64(d)/1e6) + " ms" }
