package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// A worker that crashes comes back in the same generation; the others do not
// notice.
func TestWorkersRespawn(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 3, opts{})
	before := c.workers(1)
	c.kill(before[1].Pid, syscall.SIGKILL)
	c.awaitStatus("the worker to be back", func(status) bool {
		all := c.workers(1)
		return all[1].Restarts == 1 && all[1].Ready
	})
	after := c.workers(1)
	if after[1].Pid == before[1].Pid {
		t.Errorf("worker 1 is %+v, was %+v", after[1], before[1])
	}
	for _, k := range []int{0, 2} {
		if after[k] != before[k] {
			t.Errorf("worker %d is %+v, was %+v", k, after[k], before[k])
		}
	}
	if got := c.status().states(); got != "1:active" {
		t.Errorf("states are %q", got)
	}
	c.awaitTimes("gen 1 worker 1: ready", 2)
	inOrder(t, c.Stderr(), "worker 1", "ended by", "started again in 100ms")

	// The longer it goes on the longer it takes.
	c.kill(after[1].Pid, syscall.SIGKILL)
	c.awaitErr("started again in 200ms")
	c.awaitTimes("gen 1 worker 1: ready", 3)
	for _, k := range []int{0, 2} {
		c.wantNever(fmt.Sprintf("gen 1 worker %d: got", k))
	}

	// A swap goes on as ever, and so does the end.
	c.Swap()
	c.awaitStates("2:active")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// Who comes back after what.
func TestRespawn(t *testing.T) {
	cases := []struct {
		respawn string
		workers int
		sig     syscall.Signal // TERM is an exit with status 0
		back    bool
	}{
		{"auto", 2, syscall.SIGKILL, true}, {"auto", 2, syscall.SIGTERM, false},
		{"on-failure", 1, syscall.SIGKILL, true}, {"on-failure", 1, syscall.SIGTERM, false},
		{"always", 1, syscall.SIGTERM, true}, {"always", 2, syscall.SIGTERM, true}, {"always", 1, syscall.SIGKILL, true},
		{"never", 2, syscall.SIGKILL, false}, {"auto", 1, syscall.SIGKILL, false},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%s %d %v", tc.respawn, tc.workers, tc.sig), func(t *testing.T) {
			t.Parallel()
			c := startWorkers(t, tc.workers, opts{Env: []string{"SWAPINIT_RESPAWN=" + tc.respawn}})
			last := tc.workers - 1
			c.kill(c.workers(1)[last].Pid, tc.sig)
			switch {
			case tc.back:
				await(t, "the worker to be back", func() bool { return c.workers(1)[last].Restarts == 1 && c.workers(1)[last].Ready })
				c.wantAnswer("generation 1 ")
				c.Signal(syscall.SIGTERM)
				c.wantStatus(0)
			case tc.workers == 1:
				want := 0
				if tc.sig == syscall.SIGKILL {
					want = 137
				}
				c.wantStatus(want)
			default:
				await(t, "the end of the worker", func() bool { return c.workers(1)[last].Pid == 0 })
				for range 30 { // three times the time that it would take
					if all := c.workers(1); all[last].Restarts > 0 || all[last].Pid != 0 {
						t.Fatalf("it is back: %+v", all)
					}
				}
			}
		})
	}
}

// A crash loop ends after five deaths, with the status of the last one.
func TestCrashLoop(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(itoa(workers), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			// It counts its deaths, and the file is there only from the second on.
			script := `n=$(cat ` + dir + `/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >` + dir + `/n; exit $((20+n))`
			if workers == 2 {
				script = `if [ $SWAPINIT_WORKER = 0 ]; then exec ` + binary(t, "server") + `; fi; ` + script
			}
			c := start(t, opts{Env: webEnv("SWAPINIT_RESPAWN=on-failure", "SWAPINIT_WORKERS="+itoa(workers)), Args: []string{"sh", "-c", script}})
			c.wantStatus(25)
			if got := strings.TrimSpace(read(dir + "/n")); got != "5" {
				t.Errorf("it was started %s times", got)
			}
			inOrder(t, c.Stderr(), "started again in 100ms", "started again in 200ms", "started again in 400ms", "started again in 800ms", "given up")
			if workers == 2 {
				c.wantOrder("gen 1: got TERM") // the other one is not left behind
			}
		})
	}
}

// A command that cannot be started is an answer, not a crash loop.
func TestRespawnNeedsAProgram(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: []string{"SWAPINIT_RESPAWN=always", "SWAPINIT_WORKERS=2"}, Args: []string{"/nonexistent/server"}})
	c.wantStatus(127)
	if strings.Contains(c.Stderr(), "started again") {
		t.Errorf("said %q", c.Stderr())
	}
}

// Stopped while a worker waits to be started again: it is not, however long the
// other one takes.
func TestStopBeforeRespawn(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 2, opts{Env: []string{"SWAPINIT_STOP_TIMEOUT=2s"}}, "-stop", "ignore")
	for n := 1; n <= 3; n++ {
		all := c.awaitWorkers(1, 2)
		c.kill(all[1].Pid, syscall.SIGKILL)
		c.awaitErr(fmt.Sprintf("started again in %dms", 100<<(n-1)))
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(137)
	// On a machine so slow that it was started before the stop, after that one.
	before, after, found := strings.Cut(c.Stdout(), "gen 1 worker 0: got TERM")
	if !found || strings.Contains(after, "started") {
		t.Errorf("started after the stop: %q, then %q", before, after)
	}
}
