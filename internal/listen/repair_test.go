package listen

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
)

func TestRepairLimits(t *testing.T) {
	var r repairs
	now := clock.Time(1e12)
	did := func() (string, error) { return "did", nil }
	for i := range repairBurst {
		if r.account(now, did); r.notYet.After(now) {
			t.Fatalf("repair %d had to wait", i)
		}
	}
	if r.account(now, did); r.notYet != now.Add(repairEvery) {
		t.Errorf("after the burst: %v", r.notYet.Sub(now))
	}
	now = now.Add(repairBurst * repairEvery * 2)
	if r.account(now, did); r.notYet.After(now) {
		t.Error("a rest does not restore the burst")
	}
	failure := errors.New("no")
	var waits []time.Duration
	for range 20 {
		r.account(now, func() (string, error) { return "", failure })
		waits = append(waits, r.notYet.Sub(now))
	}
	if waits[0] != retryFirst || waits[1] != 2*retryFirst || waits[19] != retryMax {
		t.Errorf("waits %v", waits)
	}
	if r.account(now, func() (string, error) { return "", nil }); !r.notYet.IsZero() || r.wait != 0 {
		t.Error("all well, but still waiting")
	}
}

// A look does not repair what has used its turn up, unless it is forced to, and says
// when it wants to come again.
func TestSweepKeepsTheLimits(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	s := mustOpen(t, "unix://"+path)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := clock.Now()
	later := now.Add(time.Hour)
	s.listeners[0].repairs.notYet = later
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	if lines, next := s.sweep(now, false); there() || len(lines) > 0 || next != later {
		t.Errorf("repaired %v, lines %q, again at %v", there(), lines, next)
	}
	if lines, _ := s.sweep(now, true); !there() || len(lines) != 1 {
		t.Errorf("by force: repaired %v, lines %q", there(), lines)
	}
}

func TestReportLimits(t *testing.T) {
	var r repairs
	now := clock.Time(1e12)
	if line, again := r.limit(now, "a"); line != "a" || !again.IsZero() {
		t.Errorf("first: %q %v", line, again)
	}
	for _, text := range []string{"b", "", "c"} {
		if line, again := r.limit(now, text); line != "" || again != now.Add(reportEvery) {
			t.Errorf("%q: %q %v", text, line, again)
		}
	}
	now = now.Add(reportEvery)
	if line, again := r.limit(now, ""); line != "c (and 1 times more)" || !again.IsZero() {
		t.Errorf("later: %q %v", line, again)
	}
	if line, again := r.limit(now.Add(reportEvery), ""); line != "" || !again.IsZero() {
		t.Errorf("nothing left: %q %v", line, again)
	}
}
