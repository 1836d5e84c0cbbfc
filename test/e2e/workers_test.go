package e2e

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWorkers(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 3, opts{}, "-status", "7")
	all := c.workers(1)
	pids := map[int]bool{}
	for k, w := range all {
		if w.Worker != k || w.Restarts != 0 || w.Pid <= 1 || pids[w.Pid] {
			t.Errorf("worker %d is %+v", k, w)
		}
		pids[w.Pid] = true
	}
	s := c.status()
	if len(all) != 3 || len(s.Generations) != 1 || len(s.Generations[0].Pids) != 3 || !s.Ready {
		t.Fatalf("workers %+v, status %+v", all, s)
	}
	if r := c.Verb("status"); !strings.Contains(r.Stdout, "WORKERS") || !strings.Contains(r.Stdout, "3/3") {
		t.Errorf("the table does not count them: %v", r)
	}
	for k := range 3 {
		if n := c.times(fmt.Sprintf("gen 1 worker %d: started", k)); n != 1 {
			t.Errorf("worker %d started %d times", k, n)
		}
	}

	// They share the endpoint.
	l := c.load()
	await(t, "each of them to answer", func() bool { return len(l.Count().Bodies) == 3 })
	noLoss(t, l)

	// Signals reach all of them, the end of one is not the end.
	c.Signal(syscall.SIGUSR1)
	for k := range 3 {
		c.awaitOut(fmt.Sprintf("gen 1 worker %d: got USR1", k))
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(7)
	for k := range 3 {
		c.wantOrder(fmt.Sprintf("gen 1 worker %d: got TERM", k), fmt.Sprintf("gen 1 worker %d: done", k))
	}
}

// The endpoint, the numbers and the descriptors are each worker's own.
func TestWorkerEnvironment(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: webEnv("SWAPINIT_WORKERS=2", "SWAPINIT_WORKER=9", "SWAPINIT_CHANNEL_FD=9"), Args: server(t)})
	c.awaitWorkers(1, 2)
	seen := map[string]processState{}
	await(t, "both of them to answer", func() bool {
		s := c.state()
		k, _ := s.env("SWAPINIT_WORKER")
		seen[k] = s
		return len(seen) == 2
	})
	for _, k := range []string{"0", "1"} {
		s, found := seen[k]
		if !found {
			t.Fatalf("workers %v", seen)
		}
		for name, want := range map[string]string{"SWAPINIT_GENERATION": "1", "LISTEN_PID": itoa(s.Pid), "LISTEN_FDS": "1"} {
			if got, _ := s.env(name); got != want {
				t.Errorf("worker %s has %s=%q, want %q", k, name, got, want)
			}
		}
		channel, _ := s.env("SWAPINIT_CHANNEL_FD")
		if len(s.Fds) != 6 || !slices.ContainsFunc([]string{"4", "5"}, func(fd string) bool { return fd == channel }) {
			t.Errorf("worker %s has the channel on %q, descriptors %v", k, channel, s.Fds)
		}
	}
	if seen["0"].Pgrp == seen["1"].Pgrp {
		t.Error("they share a process group")
	}
}

func TestWorkersAuto(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: webEnv("SWAPINIT_WORKERS=auto"), Args: workerServer(t)})
	c.awaitOut("gen 1 worker 0: ready")
	if n := len(c.workers(1)); n < 1 || n > runtime.NumCPU() {
		t.Errorf("%d workers for %d CPUs", n, runtime.NumCPU())
	}
}

// A worker that exits with 0 has done what it had to: it does not come back,
// and the container's status is that of the last one.
func TestWorkersEndOneByOne(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 2, opts{Env: []string{"SWAPINIT_RESPAWN=never"}}, "-status", "4")
	all := c.workers(1)
	c.kill(all[1].Pid, syscall.SIGTERM)
	await(t, "the end of worker 1", func() bool { return c.workers(1)[1].Pid == 0 })
	if c.Verb("health").Code != 0 {
		t.Error("one of them serves, and it is not healthy")
	}
	c.wantAnswer("generation 1 worker 0")
	c.kill(all[0].Pid, syscall.SIGKILL)
	c.wantStatus(137)
}
