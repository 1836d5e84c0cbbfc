package main

import (
	"context"
	"fmt"
	"os"
)

// The one that the group is compared with, in the place of another init.
const single = "single socket"

const (
	nameHandshake  = "connect, accept, close"
	nameThroughput = "time a request under load"
)

// measureGroup compares a steered group of two sockets (a kept predecessor's
// and that of the one which gets the connections) with the single socket that
// there is without steering, in turns.
func measureGroup(ctx context.Context, b *bench) ([]metric, error) {
	if b.refused != nil {
		fmt.Fprintln(os.Stderr, "bench: the cost of the group is left out: both sides want one address at the same time")
		return nil, nil
	}
	sides := func(mode string) [2]contender {
		return [2]contender{
			{kind: steered, server: abrupt, mode: mode, work: "0", kept: true},
			{kind: shared, server: abrupt, mode: mode, work: "0"},
		}
	}
	shake := metric{Name: nameHandshake, How: fmt.Sprintf("one thread does all of it, %d times a round", handshakes), Unit: "us", As: "steered", Of: single}
	err := b.pair(ctx, pair{sides: sides("accept"), rounds: b.rounds.shakes}, &shake, func(s *site, _ *clients) (float64, error) {
		ns, err := s.measure('g')
		return ns / handshakes / 1e3, err
	})
	if err != nil {
		return nil, err
	}
	load := metric{Name: nameThroughput, How: fmt.Sprintf("%d clients without a pause, a connection for each request, net/http answers at once; %v a round", loadClients, slice), Unit: "us", As: "steered", Of: single}
	err = b.pair(ctx, pair{sides: sides("serve"), load: "load", rounds: b.rounds.slices}, &load, func(_ *site, c *clients) (float64, error) {
		rate, err := c.rate(ctx)
		return 1e6 / rate, err
	})
	return []metric{shake, load}, err
}
