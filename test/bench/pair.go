package main

import (
	"context"
	"fmt"
	"time"
)

// slice is how long each side serves the load before it is the other's turn.
const slice = 500 * time.Millisecond

// pair is two contenders that run at the same time, each in a network of its
// own, and are measured one after the other: what the machine does besides meets
// both.
type pair struct {
	sides  [2]contender // what is measured, and what it is compared with
	load   string       // the mode of web that is their load; "": none
	first  byte         // an order that each one gets before all rounds; 0: none
	rounds int
}

func (b *bench) pair(ctx context.Context, p pair, m *metric, once func(*site, *clients) (float64, error)) error {
	var sites [2]*site
	var loads [2]*clients
	for i, c := range p.sides {
		s, err := b.open(c)
		if err != nil {
			return err
		}
		defer s.close()
		if c.kept { // now there are two sockets
			if _, err := s.ask(); err != nil {
				return err
			}
			if err := s.wait(func() bool { return len(s.living) == 2 }); err != nil {
				return err
			}
		}
		if p.load != "" {
			if loads[i], err = s.enter(p.load, fmt.Sprint(loadClients)); err != nil {
				return err
			}
			defer loads[i].close()
		}
		if p.first != 0 {
			if _, err := s.measure(p.first); err != nil {
				return err
			}
		}
		sites[i] = s
	}
	pause(ctx, rest)
	for round := range p.rounds + 1 {
		b.progress.show(m.Name, round, p.rounds)
		for i, name := range []string{us, m.Of} {
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

// rate lets the clients go for a while, and returns their requests a second.
func (c *clients) rate(ctx context.Context) (float64, error) {
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
	return float64(now.Requests) / now.Running.Seconds(), nil
}
