package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// workerState is one of a generation's workers, as status --json has it.
type workerState struct {
	Worker, Pid, Restarts int
	Ready                 bool
}

// workers are those of a generation, nil when it is gone.
func (c *container) workers(generation int) []workerState {
	c.t.Helper()
	// The control socket is opened a moment after the first worker's start.
	var r result
	if !poll(func() bool { r = c.Verb("status", "--json"); return r.Code != 125 || c.ended() }) || r.Code != 0 {
		c.t.Fatalf("status --json: %v", r)
	}
	var s struct {
		Generations []struct {
			Generation int
			Workers    []workerState
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		c.t.Fatalf("%v in %q", err, r.Stdout)
	}
	for _, g := range s.Generations {
		if g.Generation == generation {
			return g.Workers
		}
	}
	return nil
}

// readyWorkers counts them.
func readyWorkers(all []workerState) (n int) {
	for _, w := range all {
		if w.Ready {
			n++
		}
	}
	return n
}

// awaitWorkers waits until a generation has n ready workers.
func (c *container) awaitWorkers(generation, n int) []workerState {
	c.t.Helper()
	var all []workerState
	if !poll(func() bool { all = c.workers(generation); return readyWorkers(all) == n }) {
		c.t.Fatalf("workers of generation %d are %+v, waited for %d ready ones", generation, all, n)
	}
	return all
}

// kill sends a signal to a process by its pid in the container.
func (c *container) kill(pid int, sig syscall.Signal) {
	c.t.Helper()
	for _, p := range c.Procs() {
		if pid > 1 && p.Pid == pid {
			if err := syscall.Kill(p.Host, sig); err != nil {
				c.t.Fatal(err)
			}
			return
		}
	}
	c.t.Fatalf("no process %d in the container", pid)
}

// startWorkers starts a container with so many test servers that name
// themselves, and waits until all are ready.
func startWorkers(t *testing.T, n int, o opts, flags ...string) *container {
	t.Helper()
	o.Env = webEnv(append([]string{fmt.Sprintf("SWAPINIT_WORKERS=%d", n)}, o.Env...)...)
	o.Args = append(o.Args, workerServer(t, flags...)...)
	c := start(t, o)
	c.awaitWorkers(1, n)
	return c
}

func workerServer(t *testing.T, flags ...string) []string {
	t.Helper()
	return append(server(t, "-worker"), flags...)
}

// times counts the lines of the servers with this text.
func (c *container) times(text string) int { return strings.Count(c.Stdout(), text) }

func (c *container) awaitTimes(text string, n int) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%q %d times", text, n), func() bool { return c.times(text) >= n })
}

var workerLine = regexp.MustCompile(`^gen \d+ worker \d+: (started|ready|got TERM|done|dying)`)

// wantRoll reads the servers' own account, line by line: from the moment that n
// of them are ready there are never fewer that are and have not been told to
// stop, and no batch begins before those that the last one replaced are gone.
func wantRoll(t *testing.T, out string, n, batch int) {
	t.Helper()
	ready, alive, full := 0, 0, false
	for line := range strings.Lines(out) {
		m := workerLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch m[1] {
		case "started":
			alive++
		case "ready":
			ready++
		case "got TERM":
			ready--
		case "done", "dying":
			alive--
		}
		full = full || ready >= n
		if full && ready < n {
			t.Fatalf("%d are ready of %d at %q in:\n%s", ready, n, line, out)
		}
		if alive > n+batch {
			t.Fatalf("%d live, want no more than %d+%d, at %q in:\n%s", alive, n, batch, line, out)
		}
	}
	if !full {
		t.Fatalf("never were %d ready in:\n%s", n, out)
	}
}

// peakOf is the most memory that a process has had so far, in KiB. What it has
// given back since then counts.
func peakOf(t *testing.T, pid int) int {
	t.Helper()
	text, _, _ := strings.Cut(procField(pid, "VmHWM"), " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// peakGrowth is how much that may grow by what has a bound, in KiB. On a busy
// machine the collector comes late.
const peakGrowth = 16 << 10
