package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// A way that is not installed, or that could not be measured, is in the table and counts
// as nothing.
func TestTakeoverTable(t *testing.T) {
	var text strings.Builder
	takeoverTable([]*taken{
		{way: hostGate, Count: load.Count{Requests: 900, Failed: 1, Errors: []string{"cut"}}, waits: []float64{20, 40, 300}, gaps: []float64{5, 6, 70}},
		{way: plainAgain, Count: load.Count{Requests: 500, Failed: 400, Errors: []string{"refused"}}, waits: []float64{20, 20}, gaps: []float64{1000, 3000}},
		{way: proxied},
		{way: bridgeGate, err: errors.New("it burns")},
	}).text(&text)
	for _, want := range []string{
		"gate on the host, overlap  0.33                   1       900       3          40.0 (300)          6.00 (70.0)\n",
		"no gate, recreate          200                    400     500       2          20.0 (20.0)         2000 (3000)\n",
		"HAProxy in front, overlap  not installed ",
		"gate in a bridge, overlap  could not be measured ",
		"gate on the host, overlap, the first errors: [\"cut\"]\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got\n%s\nwithout\n%s", text.String(), want)
		}
	}
	if strings.Contains(text.String(), "refused\"") {
		t.Errorf("that a plain recreate refuses is no news:\n%s", text.String())
	}
}

// A window has the longest silence, the one that still lasts included, and no failures.
func TestWatcher(t *testing.T) {
	w := &watcher{last: time.Now().Add(-time.Hour)}
	w.seen(3*time.Millisecond, nil)
	w.seen(1*time.Millisecond, nil)
	w.seen(9*time.Millisecond, errors.New("refused"))
	if seen := w.cut(); seen.gap < time.Hour || len(seen.took) != 2 || seen.took[1] != 3 {
		t.Errorf("got %+v", seen)
	}
	w.last = w.last.Add(-time.Hour)
	if seen := w.cut(); seen.gap < time.Hour || len(seen.took) != 0 {
		t.Errorf("got %+v", seen)
	}
}
