package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Workers are replaced so many at a time as SWAPINIT_BATCH says, and no request
// is lost.
func TestWorkersSwap(t *testing.T) {
	cases := []struct {
		batch   string
		workers int
		size    int
	}{{"all", 3, 3}, {"1", 3, 1}, {"2", 3, 2}, {"50%", 4, 2}, {"100%", 2, 2}, {"7", 2, 2}}
	for _, tc := range cases {
		t.Run(tc.batch, func(t *testing.T) {
			t.Parallel()
			c := startWorkers(t, tc.workers, opts{Env: []string{"SWAPINIT_BATCH=" + tc.batch}})
			l := c.load()
			for n := 2; n <= 3; n++ {
				moreRequests(t, l, 50)
				r := c.Verb("swap")
				if r.Code != 0 {
					t.Fatalf("swap: %v", r)
				}
				c.awaitStates(fmt.Sprintf("%d:active", n))
				if got := readyWorkers(c.workers(n)); got != tc.workers {
					t.Errorf("%d workers are ready", got)
				}
				if said := strings.Contains(r.Stdout, "of "+itoa(tc.workers)+" workers"); said != (tc.size < tc.workers) {
					t.Errorf("the stages are %q", r.Stdout)
				}
			}
			moreRequests(t, l, 50)
			noLoss(t, l)
			c.wantOnlyWorkers("generation 3", tc.workers)
			wantRoll(t, c.Stdout(), tc.workers, tc.size)
		})
	}
}

// One swap in batches that takes all the time in the world: what is not wanted
// yet has not been touched, and both generations answer.
func TestWorkersBatchWaits(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWorkers(t, 3, opts{Env: []string{"SWAPINIT_BATCH=1", "SWAPINIT_READY_TIMEOUT=1h"}})
	l := c.load()
	// The first of them starts at once, the others at the gate's opening.
	script := fmt.Sprintf(`if [ $SWAPINIT_WORKER -gt 0 ]; then exec %s -worker -gate %s; fi; exec %[1]s -worker`, binary(t, "server"), gate)
	swap := c.later("swap", "--", "sh", "-c", script)
	c.awaitOut("gen 2 worker 1: started")
	if n := c.times("gen 1 worker 0: done"); n != 1 {
		t.Errorf("the second batch began before the first one's end:\n%s", c.Stdout())
	}
	c.awaitStatus("an answer of both", func(s status) bool { return s.stateOf(1) == "active" && s.stateOf(2) == "ready" })
	seen := func(text string) int {
		n := 0
		for body, count := range l.Count().Bodies {
			if strings.Contains(body, text) {
				n += count
			}
		}
		return n
	}
	one, two := seen("generation 1"), seen("generation 2")
	await(t, "answers of both", func() bool { return seen("generation 1") > one && seen("generation 2") > two })
	for _, k := range []int{1, 2} {
		c.wantNever(fmt.Sprintf("gen 1 worker %d: got", k))
	}
	c.wantNever("gen 2 worker 2: started")
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitStates("2:active")
	noLoss(t, l)
	wantRoll(t, c.Stdout(), 3, 1)
}

// A batch that fails: those that it had replaced come back, with the command
// that they had, and nobody has noticed.
func TestWorkersBatchFails(t *testing.T) {
	cases := map[string][]string{
		"exits at boot":     {"-die", "boot", "-only", "1", "-die-status", "5"},
		"exits when ready":  {"-die", "ready", "-only", "1"},
		"is never ready":    nil,
		"is killed at boot": {"-die", "boot", "-only", "2", "-die-signal", "KILL"},
	}
	for name, flags := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settle := "0"
			if name == "exits when ready" {
				settle = "3s" // in which it does
			}
			c := startWorkers(t, 3, opts{Env: []string{"SWAPINIT_BATCH=1", "SWAPINIT_SETTLE=" + settle}}, "-say", "old")
			l := c.load()
			moreRequests(t, l, 50)
			command := append(workerServer(t, flags...), "-say", "new")
			args := append([]string{"swap", "--"}, command...)
			if name == "is never ready" {
				script := `if [ $SWAPINIT_WORKER = 1 ]; then exec sleep 1000; fi; exec "$@"`
				args = append([]string{"swap", "--timeout", "2s", "--", "sh", "-c", script, "sh"}, command...)
			}
			r := c.Verb(args...)
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			oneLine(t, r.Stderr, "swap failed")
			c.awaitStates("1:active")
			c.awaitWorkers(1, 3)
			moreRequests(t, l, 100)
			noLoss(t, l)
			c.wantOnlyWorkers("old", 3)
			if name != "is never ready" { // sleep says nothing
				wantRoll(t, c.Stdout(), 3, 3) // they come back all at once
			}
			if last := c.status().LastSwap; last == nil || last.OK || last.Reason == "" {
				t.Errorf("the last swap is %+v", last)
			}
			if name == "exits when ready" {
				return // it would take three times the settle time
			}
			// And the next one works.
			c.Swap("--no-wait")
			c.awaitStates("3:active")
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
		})
	}
}

// wantOnlyWorkers fails unless many connections meet n workers, whose answers
// all have the word in them.
func (c *container) wantOnlyWorkers(word string, n int) {
	c.t.Helper()
	seen := map[string]int{}
	await(c.t, itoa(n)+" workers to answer", func() bool {
		text := c.get("/")
		if !strings.Contains(text, word) {
			c.t.Fatalf("%q has answered, want %q", text, word)
		}
		seen[text]++
		return len(seen) >= n
	})
}

// A container that is stopped in the middle of a batch ends at once, whole.
func TestWorkersStopInABatch(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 2, opts{Env: []string{"SWAPINIT_BATCH=1", "SWAPINIT_READY_TIMEOUT=1h"}})
	script := fmt.Sprintf(`if [ $SWAPINIT_WORKER -gt 0 ]; then exec %s -worker -gate /nonexistent/gate; fi; exec %[1]s -worker`, binary(t, "server"))
	swap := c.later("swap", "--", "sh", "-c", script)
	c.awaitOut("gen 2 worker 1: started")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	for _, who := range []string{"gen 1 worker 1", "gen 2 worker 0", "gen 2 worker 1"} {
		c.wantOrder(who + ": got TERM")
	}
	if r := receive(t, "the swap", swap); r.Code == 0 {
		t.Errorf("swap: %v", r)
	}
}

// Settings that do not go together.
func TestWorkersSettings(t *testing.T) {
	for _, env := range [][]string{
		{"SWAPINIT_WORKERS=0"}, {"SWAPINIT_WORKERS=257"}, {"SWAPINIT_WORKERS=two"}, {"SWAPINIT_BATCH=0"}, {"SWAPINIT_BATCH=0%"},
		{"SWAPINIT_BATCH=101%"}, {"SWAPINIT_STRATEGY=sideways"}, {"SWAPINIT_RESPAWN=maybe"}, {"SWAPINIT_NODE_IPC=json"},
		{"SWAPINIT_PRE_SWAP='open"}, {"SWAPINIT_WORKERS=2", "SWAPINIT_BATCH=1", "SWAPINIT_STRATEGY=replace"},
		{"SWAPINIT_WORKERS=2", "SWAPINIT_BATCH=1", "SWAPINIT_KEEP=1m"}, {"SWAPINIT_STRATEGY=handover", "SWAPINIT_CANARY=1%/1s"},
	} {
		t.Run(strings.Join(env, " "), func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv(env...), Args: []string{"echo", "started"}})
			c.wantStatus(125)
			name, _, _ := strings.Cut(env[len(env)-1], "=")
			oneLine(t, c.Stderr(), name)
			c.wantNever("started")
		})
	}
}
