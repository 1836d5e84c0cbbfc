package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// totals counts what all laps did.
type totals struct {
	mu                   sync.Mutex
	actions              map[string]int // by kind and name
	tallies              map[*tally]bool
	laps, stops          int
	swapsOK, swapsFailed int64
	takeovers            int
	usages               []string // of each lap, at its begin and end
	most                 growth
}

// growth is the most that any process had above what it had after the warm-up.
type growth struct{ fds, threads, anon int }

func (t *totals) did(kind, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.actions == nil {
		t.actions = map[string]int{}
	}
	t.actions[kind+": "+name]++
}

// watch adds what a load counts to the totals, from now on.
func (t *totals) watch(y *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tallies == nil {
		t.tallies = map[*tally]bool{}
	}
	t.tallies[y] = true
}

func (t *totals) swapped(ok, failed int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swapsOK += ok
	t.swapsFailed += failed
}

func (t *totals) tookOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeovers++
}

// lapped notes the end of a lap, and what its processes held.
func (t *totals) lapped(usages []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.laps++
	t.usages = append(t.usages, usages...)
}

// grew notes the difference to what a process held after its warm-up.
func (t *totals) grew(before, after usage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most.fds = max(t.most.fds, after.fds-before.fds)
	t.most.threads = max(t.most.threads, after.threads-before.threads)
	t.most.anon = max(t.most.anon, after.anon-before.anon)
}

// line is how far it is; the caller holds no lock.
func (t *totals) line(took time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := 0
	for _, n := range t.actions {
		done += n
	}
	var c counts
	for y := range t.tallies {
		c.add(y.now())
	}
	return fmt.Sprintf("%v: %d laps ended, %d actions, %d swaps done, %d failed as they should, %d takeovers; %v",
		took.Round(time.Second), t.laps, done, t.swapsOK, t.swapsFailed, t.takeovers, c)
}

// text is the whole report.
func (t *totals) text(seed uint64, took time.Duration) string {
	line := t.line(took)
	t.mu.Lock()
	defer t.mu.Unlock()
	all := []string{fmt.Sprintf("seed %d", seed), line, "actions:"}
	for _, name := range slices.Sorted(maps.Keys(t.actions)) {
		all = append(all, fmt.Sprintf("%7d  %s", t.actions[name], name))
	}
	all = append(all, "after the warm-up and at the end of each lap:")
	// The first ones and the last ones tell enough of a long run.
	const shown = 20
	for i, text := range t.usages {
		if i < shown || i >= len(t.usages)-shown {
			all = append(all, "  "+text)
		}
	}
	all = append(all, fmt.Sprintf("most above the warm-up at any time: %d descriptors, %d threads, %d KiB", t.most.fds, t.most.threads, t.most.anon))
	return strings.Join(all, "\n")
}
