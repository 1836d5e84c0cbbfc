package main

import (
	"context"
	"fmt"
	"os"
)

// What an adopted server is compared with, in the place of another init.
const (
	given      = "fd 3, no filter"
	unfiltered = "no filter"
)

const (
	nameNew     = "requests a second, a connection each"
	nameKept    = "requests a second, kept connections"
	nameBind    = "bind() of the endpoint's family"
	nameBind4   = "bind() of IPv4 alone"
	nameListen  = "listen()"
	nameGetppid = "getppid()"
	nameNoted   = "setsockopt(), a noted option"
	nameOther   = "setsockopt(), another option"
)

// measureFilter compares a server that binds for itself and is adopted with the
// same one that takes fd 3 from a swapinit that adopts nothing, and then single
// system calls with those of a process that has no filter at all.
func measureFilter(ctx context.Context, b *bench) ([]metric, error) {
	if b.refused != nil {
		fmt.Fprintln(os.Stderr, "bench: the cost of the filter is left out: both sides want one address at the same time")
		return nil, nil
	}
	var all []metric
	for _, l := range []struct{ name, mode string }{{nameNew, "load"}, {nameKept, "keep"}} {
		m := metric{Name: l.name, How: fmt.Sprintf("%d clients without a pause, net/http answers at once; %v a round", loadClients, slice), As: "adopted", Of: given}
		sides := [2]contender{{kind: adopted, server: abrupt, work: "0"}, {kind: steered, server: abrupt, work: "0"}}
		if err := b.pair(ctx, pair{sides: sides, load: l.mode, rounds: b.rounds.slices}, &m, func(_ *site, c *clients) (float64, error) {
			return c.rate(ctx)
		}); err != nil {
			return all, err
		}
		all = append(all, m)
	}
	binds, err := b.measureBinds(ctx)
	all = append(all, binds...)
	if err != nil {
		return all, err
	}
	for _, c := range []struct {
		name, how, unit string
		order           byte
		each            float64 // of a thousand calls' nanoseconds to the unit of one
	}{
		{nameGetppid, "the fastest 1000 of 100,000 in a row", "ns", 'p', 1e3},
		{nameNoted, "SO_RCVBUF on a connection, 1000 times a round", "us", 'n', 1e6},
		{nameOther, "TCP_NODELAY on a connection, the fastest 1000 of 100,000 in a row", "ns", 'o', 1e3},
	} {
		m := metric{Name: c.name, How: c.how, Unit: c.unit, As: "adopted", Of: unfiltered}
		if err := b.pair(ctx, pair{sides: callers, first: '4', rounds: b.rounds.calls}, &m, func(s *site, _ *clients) (float64, error) {
			ns, err := s.measure(c.order)
			return ns / c.each, err
		}); err != nil {
			return all, err
		}
		all = append(all, m)
	}
	return all, nil
}

// callers time system calls: adopted, and with nothing above them.
var callers = [2]contender{{kind: adopted, server: abrupt, mode: "calls"}, {kind: bare, mode: "calls"}}

// measureBinds has a new process for each bind(), as a server has: what comes
// first to a swapinit is what costs most.
func (b *bench) measureBinds(ctx context.Context) ([]metric, error) {
	const how = "the first of a new process, in a new container"
	all := []metric{{Name: nameBind, How: "to [::], as Go and Node do; " + how}, {Name: nameBind4, How: "to 0.0.0.0; " + how}, {Name: nameListen, How: how}}
	for i := range all {
		all[i].Unit, all[i].As, all[i].Of = "us", "adopted", unfiltered
	}
	for round := range b.rounds.binds + 1 {
		b.progress.show(nameBind, round, b.rounds.binds)
		for which, order := range []byte{'6', '4'} {
			for i, name := range []string{us, unfiltered} {
				bound, listened, err := b.bindOnce(ctx, callers[i], order)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				if round == 0 { // it fills the caches
					continue
				}
				all[which].add(name, bound/1e3)
				if order == '6' {
					all[2].add(name, listened/1e3)
				}
			}
		}
	}
	return all, nil
}

// bindOnce returns nanoseconds.
func (b *bench) bindOnce(ctx context.Context, c contender, order byte) (bound, listened float64, err error) {
	s, err := b.open(c)
	if err != nil {
		return 0, 0, err
	}
	defer s.close()
	pause(ctx, between)
	if ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	if bound, err = s.measure(order); err == nil {
		listened, err = s.measure('l')
	}
	return bound, listened, err
}
