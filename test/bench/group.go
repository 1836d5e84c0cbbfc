package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// The one that the group is compared with, in the place of another init.
const single = "single socket"

const (
	nameHandshake  = "connect, accept, close"
	nameThroughput = "time a request under load"
)

// slice is how long each side serves the load before it is the other's turn.
const slice = 500 * time.Millisecond

// measureGroup compares a steered group of two sockets (a kept predecessor's
// and that of the one which gets the connections) with the single socket that
// there is without steering, in turns.
func measureGroup(ctx context.Context, b *bench) ([]metric, error) {
	if b.refused != nil {
		fmt.Fprintln(os.Stderr, "bench: the cost of the group is left out: both sides want one address at the same time")
		return nil, nil
	}
	shake := metric{Name: nameHandshake, How: fmt.Sprintf("one thread does all of it, %d times a round", handshakes), Unit: "us", Of: single}
	if err := b.pair(ctx, "handshakes", "accept", b.rounds.shakes, func(s *site, _ *clients) (float64, error) {
		ns, err := s.measure()
		return ns / 1e3, err
	}, &shake); err != nil {
		return nil, err
	}
	load := metric{Name: nameThroughput, How: fmt.Sprintf("%d clients without a pause, a connection for each request, net/http answers at once; %v a round", loadClients, slice), Unit: "us", Of: single}
	err := b.pair(ctx, "throughput", "serve", b.rounds.slices, func(_ *site, c *clients) (float64, error) {
		before, err := c.order("go")
		if err != nil {
			return 0, err
		}
		pause(ctx, slice)
		now, err := c.order("stop")
		if err != nil {
			return 0, err
		}
		now = now.since(before)
		if now.Requests == 0 || now.Failed > 0 {
			return 0, fmt.Errorf("%d of %d requests failed: %q", now.Failed, now.Requests, now.Errors)
		}
		return float64(now.Running.Microseconds()) / float64(now.Requests), nil
	}, &load)
	return []metric{shake, load}, err
}

// pair runs both sides at the same time, and measures them one after the other.
func (b *bench) pair(ctx context.Context, what, mode string, rounds int, once func(*site, *clients) (float64, error), m *metric) error {
	var sites [2]*site
	var loads [2]*clients
	for i, c := range []contender{
		{kind: steered, server: abrupt, mode: mode, work: "0", env: []string{"SWAPINIT_KEEP=24h"}},
		{kind: shared, server: abrupt, mode: mode, work: "0"},
	} {
		s, err := b.open(c)
		if err != nil {
			return err
		}
		defer s.close()
		if c.kind == steered { // now there are two sockets
			if _, err := s.ask(); err != nil {
				return err
			}
			if err := s.wait(func() bool { return len(s.living) == 2 }); err != nil {
				return err
			}
		}
		if mode == "serve" {
			if loads[i], err = s.enter("load", fmt.Sprint(loadClients)); err != nil {
				return err
			}
			defer loads[i].close()
		}
		sites[i] = s
	}
	pause(ctx, rest)
	for round := range rounds + 1 {
		b.progress.show(what, round, rounds)
		for i, name := range []string{us, single} {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v, err := once(sites[i], loads[i])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if round > 0 { // the first one fills the caches
				m.add(name, v)
			}
		}
	}
	return nil
}
