package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inBatches starts three workers and a swap in batches of one, of which the
// second waits for a gate.
func inBatches(t *testing.T, more ...string) (c *container, swap <-chan result, gate string) {
	t.Helper()
	gate = filepath.Join(tempDir(t), "gate")
	c = startWorkers(t, 3, opts{Env: append([]string{"SWAPINIT_BATCH=1", "SWAPINIT_READY_TIMEOUT=1h"}, more...)})
	script := fmt.Sprintf(`if [ $SWAPINIT_WORKER -gt 0 ]; then exec %s -worker -gate %s; fi; exec %[1]s -worker`, binary(t, "server"), gate)
	swap = c.later("swap", "--", "sh", "-c", script)
	c.awaitOut("gen 2 worker 1: started")
	return c, swap, gate
}

// A worker of the predecessor that crashes while others are being replaced comes
// back, and the swap goes on.
func TestWorkersCrashInABatch(t *testing.T) {
	t.Parallel()
	c, swap, gate := inBatches(t)
	c.kill(c.workers(1)[2].Pid, syscall.SIGKILL)
	await(t, "it to be back", func() bool { all := c.workers(1); return all[2].Restarts == 1 && all[2].Ready })
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitStates("2:active")
	c.wantOnlyWorkers("generation 2", 3)
}

// One of the successor's that has begun to serve crashes: the swap has failed,
// and who was replaced is back.
func TestWorkersSuccessorCrashesInABatch(t *testing.T) {
	t.Parallel()
	c, swap, _ := inBatches(t)
	c.kill(c.workers(2)[0].Pid, syscall.SIGKILL)
	r := receive(t, "the swap", swap)
	if r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	oneLine(t, r.Stderr, "worker 0")
	c.awaitStates("1:active")
	c.awaitWorkers(1, 3)
	c.wantOnlyWorkers("generation 1", 3)
}

// All that is left of the predecessor dies in the middle: the successor is the
// only hope, and starts all of its workers.
func TestWorkersPredecessorDiesInABatch(t *testing.T) {
	t.Parallel()
	c, swap, gate := inBatches(t, "SWAPINIT_RESPAWN=never")
	all := c.workers(1)
	c.kill(all[1].Pid, syscall.SIGKILL)
	c.kill(all[2].Pid, syscall.SIGKILL)
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitStates("2:active")
	c.awaitWorkers(2, 3)
	c.wantOnlyWorkers("generation 2", 3)
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// Requests in the middle of a batch become one more swap.
func TestWorkersSwapInABatch(t *testing.T) {
	t.Parallel()
	c, swap, gate := inBatches(t)
	second := c.later(append([]string{"swap", "--"}, workerServer(t, "-say", "third")...)...)
	c.Signal(syscall.SIGHUP)
	touch(t, gate)
	for _, ch := range []<-chan result{swap, second} {
		if r := receive(t, "the swap", ch); r.Code != 0 {
			t.Fatalf("swap: %v", r)
		}
	}
	c.wantOnlyWorkers("third", 3)
}

// A worker that misses its watchdog is aborted and comes back alone.
func TestWorkersWatchdog(t *testing.T) {
	t.Parallel()
	srv := binary(t, "server")
	gate := filepath.Join(tempDir(t), "hung")
	// Worker 1 pings only once, in its first life.
	script := fmt.Sprintf(`how=off; if [ $SWAPINIT_WORKER = 1 ] && [ ! -e %s ]; then touch %[1]s; how=once; fi; exec %s -worker -watchdog $how -on TERM,ABRT -stop exit -status 1`, gate, srv)
	c := start(t, opts{Env: webEnv("SWAPINIT_WORKERS=2", "SWAPINIT_WATCHDOG=2s"), Args: []string{"sh", "-c", script}})
	c.awaitOut("gen 1 worker 1: got ABRT")
	await(t, "its next life", func() bool { return c.workers(1)[1].Restarts >= 1 })
	c.awaitTimes("gen 1 worker 1: ready", 2)
	c.awaitWorkers(1, 2)
	c.wantNever("gen 1 worker 0: got")
}

// Workers that ignore their stop signal end with STOP_TIMEOUT, all of them.
func TestWorkersStopTimeout(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 3, opts{Env: []string{"SWAPINIT_STOP_TIMEOUT=300ms"}}, "-stop", "ignore")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(137)
	for k := range 3 {
		c.wantOrder(fmt.Sprintf("gen 1 worker %d: got TERM", k))
	}
}

// Stopped while nobody serves, between the end of the one and the readiness of
// the other.
func TestReplaceStop(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace", "SWAPINIT_READY_TIMEOUT=1h"}})
	swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", "/nonexistent/gate")...)...)
	c.awaitOut("gen 2: started")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	c.wantOrder("gen 1: done", "gen 2: got TERM")
	if r := receive(t, "the swap", swap); r.Code == 0 {
		t.Errorf("swap: %v", r)
	}
}

// Who follows a generation that a swap has ended is told what came of the swap.
func TestFollowReplace(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace"}})
	follow := func(n int) <-chan result {
		done := c.later("swap", "--follow")
		c.awaitStates(itoa(n) + ":active")
		await(t, "the swap's end", func() bool { s := c.status(); return s.LastSwap != nil && s.LastSwap.Generation == n })
		return done
	}
	done := follow(2)
	c.Swap()
	if r := receive(t, "its end", done); r.Code != 0 || !strings.Contains(r.Stdout, "generation 2 was replaced") {
		t.Errorf("after a swap: %v", r)
	}
	done = follow(4)
	if r := c.Verb("swap", "--", "false"); r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	c.awaitStates("6:active")
	// Its command runs again, as another generation.
	if r := receive(t, "its end", done); r.Code != 0 {
		t.Errorf("after a swap that failed: %v", r)
	}
	c.wantServing(6)
}
