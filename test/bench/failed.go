package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const nameFailed = "failed requests a swap"

// loadClients is how many clients there are; each waits for its answer.
const loadClients = 32

// apartSwaps is the time between two swaps, in which the load is as usual.
const apartSwaps = 200 * time.Millisecond

// tally is what became of one contender.
type tally struct {
	contender
	count
	swaps int
	err   error
}

// failedRequests replaces each contender's server under the same load, in
// turns, and counts the requests that failed.
func failedRequests(ctx context.Context, b *bench) (*table, error) {
	var rows []*tally
	for _, c := range contenders() {
		rows = append(rows, &tally{contender: c})
	}
	swaps := b.swapsOr(b.rounds.failing)
	each := (swaps + b.rounds.turns - 1) / b.rounds.turns
	for turn := range b.rounds.turns {
		for i, r := range rows {
			b.progress.show("failed requests", turn*len(rows)+i, b.rounds.turns*len(rows))
			if name := r.kind.needs(); r.err != nil || missing(name) {
				continue
			}
			if r.err = r.run(ctx, b, each); ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return failedTable(rows), failures(rows)
}

func missing(name string) bool {
	if name == "" {
		return false
	}
	_, err := find(name)
	return err != nil
}

// run swaps a server in a box of its own, so often.
func (r *tally) run(ctx context.Context, b *bench, swaps int) error {
	s, err := b.open(r.contender)
	if err != nil {
		return err
	}
	defer s.close()
	swap, err := s.replacing(r.contender)
	if err != nil {
		return err
	}
	load, err := s.enter("load", fmt.Sprint(loadClients))
	if err != nil {
		return err
	}
	defer load.close()
	if _, err := load.order("go"); err != nil {
		return err
	}
	for range swaps {
		pause(ctx, apartSwaps)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := swap(); err != nil {
			return err
		}
		r.swaps++
	}
	pause(ctx, apartSwaps)
	now, err := load.order("stop")
	if err != nil {
		return err
	}
	r.add(now)
	return nil
}

// replacing is how this contender's server is replaced.
func (s *site) replacing(c contender) (func() error, error) {
	if c.reports() {
		return s.swap, nil
	}
	_, _, err := s.workers()
	return s.reload, err
}

// add puts another box's count to it.
func (c *count) add(n count) {
	c.Requests += n.Requests
	c.Failed += n.Failed
	c.Refused += n.Refused
	c.Reset += n.Reset
	c.Cut += n.Cut
	c.Timeout += n.Timeout
	c.Running += n.Running
	c.Slowest = max(c.Slowest, n.Slowest)
	if len(c.Errors) < 5 {
		c.Errors = append(c.Errors, n.Errors...)
	}
}

func failedTable(rows []*tally) *table {
	t := &table{Name: nameFailed,
		How:     fmt.Sprintf("%d clients, a connection for each request, answers after 5 ms; failed: refused, reset, or closed before the whole answer", loadClients),
		Columns: []string{"replaced by", "the old server", "failed a swap", "failed", "requests", "swaps"}}
	for _, r := range rows {
		cells := []string{kindNames[r.kind], r.server.name}
		switch {
		case r.err != nil:
			cells = append(cells, "could not be measured", "-", "-", "-")
		case r.swaps == 0:
			cells = append(cells, "not installed", "-", "-", "-")
		default:
			cells = append(cells, number(float64(r.Failed)/float64(r.swaps)), fmt.Sprint(r.Failed), fmt.Sprint(r.Requests), fmt.Sprint(r.swaps))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func failures(rows []*tally) (failed error) {
	for _, r := range rows {
		if r.err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s, %s: %w", kindNames[r.kind], r.server.name, r.err))
		}
	}
	return failed
}
