package arbiter

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

// TestSimulation drives random schedules of joins, swaps, deaths, stops, pauses, crashes
// of the gate, full disks and reboots, and checks the invariants after each step.
// ARBITER_RUNS is how many, ARBITER_SEED runs one again.
func TestSimulation(t *testing.T) {
	runs, first := 20000, rand.Uint64()
	if testing.Short() {
		runs = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("ARBITER_RUNS")); err == nil {
		runs = n
	}
	again, err := strconv.ParseUint(os.Getenv("ARBITER_SEED"), 10, 64)
	if err == nil {
		runs, first = 1, again
	}
	const shards = 2
	var mu sync.Mutex
	events, counts := 0, map[string]int{}
	var wait sync.WaitGroup
	for shard := range shards {
		wait.Go(func() {
			for i := shard; i < runs && !t.Failed(); i += shards {
				seed := first + uint64(i)
				w := newWorld(seed)
				if err := w.run(); err != nil {
					t.Errorf("%v\nreplay: ARBITER_SEED=%d go test ./internal/arbiter -run TestSimulation\n%s", err, seed, w.rig.shrink(err))
				}
				mu.Lock()
				events += len(w.rig.record)
				for kind, n := range w.rig.c.counts {
					counts[kind] += n
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	t.Logf("%d schedules from seed %d, %d events, %v", runs, first, events, counts)
	if runs < 1000 || t.Failed() {
		return
	}
	// A simulation that never gets anywhere proves nothing.
	for _, kind := range []string{"save", "aim", "drop", "welcome", "delay", "refuse", "answer", "lost", "back", "serve", "cut", "ending", "renew", "ping", "takeover", "reply", "gate"} {
		if counts[kind] == 0 {
			t.Errorf("no schedule came to %s", kind)
		}
	}
}
