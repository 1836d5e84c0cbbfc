package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// The ways in; the gate on the host is compared with each of the others.
const (
	onHost    = "gate on the host"
	inBridge  = "gate in a bridge"
	direct    = "container address"
	published = "published port"
	behind    = "HAProxy"
)

// entry is one way in, with its samples by what is measured.
type entry struct {
	name, address string
	samples       map[string][]float64
}

// measureFronts asks the same kind of server by each way in, in turns: requests a
// second, and the time that only one request in a hundred exceeds.
func measureFronts(ctx context.Context, b *bench) ([]metric, error) {
	d, err := b.dockerOr(ctx, "requests through a gate are")
	if d == nil {
		return nil, err
	}
	defer d.close()
	if err != nil {
		return nil, err
	}
	var entries []*entry
	add := func(name, address string) {
		entries = append(entries, &entry{name, address, map[string][]float64{}})
	}
	for _, w := range []struct {
		way  way
		name string
	}{{hostGate, onHost}, {bridgeGate, inBridge}, {plainAgain, published}, {proxied, behind}} {
		if missing(w.way.needs()) {
			fmt.Fprintf(os.Stderr, "bench: %s is not installed and is left out\n", w.way.needs())
			continue
		}
		f, err := b.openFront(ctx, d, w.way, "0")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		defer f.close()
		add(w.name, f.address)
		if w.way == plainAgain { // one container, two ways to it
			at, err := d.address(ctx, f.server)
			if err != nil {
				return nil, err
			}
			add(direct, at)
		}
	}
	kinds := []struct {
		text string
		load load.Options
	}{{"a connection each", load.Options{Fresh: loadClients}}, {"kept connections", load.Options{Kept: loadClients}}}
	for _, k := range kinds {
		for round := range b.rounds.slices + 1 {
			b.progress.show("gate, "+k.text, round, b.rounds.slices)
			for _, e := range entries {
				if err := e.sample(ctx, k.text, k.load, round > 0); err != nil { // the first one fills the caches
					return nil, fmt.Errorf("%s: %w", e.name, err)
				}
			}
		}
	}
	var all []metric
	for _, other := range entries[1:] {
		for _, k := range kinds {
			for _, what := range []struct{ name, unit string }{{"requests a second, " + k.text, ""}, {"p99, " + k.text, "ms"}} {
				m := metric{Name: what.name, Unit: what.unit, As: onHost, Of: other.name,
					How: fmt.Sprintf("%d clients without a pause, net/http answers at once; %v a round", loadClients, slice)}
				m.add(us, entries[0].samples[what.name]...)
				m.add(other.name, other.samples[what.name]...)
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// sample has clients ask for one slice.
func (e *entry) sample(ctx context.Context, kind string, o load.Options, counts bool) error {
	begin := time.Now()
	l, w := watch(e.address, o)
	pause(ctx, slice)
	n := l.Stop()
	took := time.Since(begin)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if n.Failed > 0 || n.Requests == 0 {
		return fmt.Errorf("%d of %d requests failed: %q", n.Failed, n.Requests, n.Errors)
	}
	if counts {
		rate, p99 := "requests a second, "+kind, "p99, "+kind
		e.samples[rate] = append(e.samples[rate], float64(n.Requests)/took.Seconds())
		e.samples[p99] = append(e.samples[p99], quantile(w.cut().took, 0.99))
	}
	return nil
}
