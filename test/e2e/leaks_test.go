package e2e

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// usage is what a process holds.
type usage struct {
	fds     []string // their targets, without numbers that change
	threads int
	rss     int // KiB
}

func usageOf(t *testing.T, pid int) usage {
	t.Helper()
	var u usage
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		if err != nil {
			continue
		}
		kind, _, _ := strings.Cut(target, "[")
		u.fds = append(u.fds, kind)
	}
	sort.Strings(u.fds)
	u.threads, _ = strconv.Atoi(procField(pid, "Threads"))
	rss, _, _ := strings.Cut(procField(pid, "VmRSS"), " ")
	u.rss, _ = strconv.Atoi(rss)
	return u
}

// holdsNoMore compares what swapinit holds, after what was done, with what it held before.
// The last clients' connections are closed when swapinit has seen it. Fewer is well: before,
// an overlap of drains may have left a spare socket.
func (c *container) holdsNoMore(before, after usage, done string) {
	t := c.t
	t.Helper()
	if !poll(func() bool { after = usageOf(t, c.box.Pid()); return len(after.fds) <= len(before.fds) }) {
		t.Errorf("open fds: %d %v, before %d %v", len(after.fds), after.fds, len(before.fds), before.fds)
	}
	if after.threads > before.threads+4 {
		t.Errorf("%d threads, before %d", after.threads, before.threads)
	}
	if after.rss > before.rss+before.rss/2+2048 {
		t.Errorf("RSS is %d KiB, before %d KiB", after.rss, before.rss)
	}
	t.Logf("%s: %d fds, threads %d -> %d, RSS %d -> %d KiB", done, len(after.fds), before.threads, after.threads, before.rss, after.rss)
}

// NoLeaks, race 6: after many swaps, good ones and bad ones, swapinit holds
// what it held before. (What a child holds is in TestChildFds.)
func TestNoLeaks(t *testing.T) {
	t.Parallel()
	swaps := 1000
	if testing.Short() {
		swaps = 60
	}
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LOG=error"}}, "-stop", "exit")
	ask := c.controlAddress()
	one := func(n int) {
		k := c.connectTo(ask)
		defer k.conn.Close()
		switch n % 10 {
		case 3: // exits
			k.send("{\"v\":1,\"verb\":\"swap\",\"args\":{\"command\":[\"false\"]}}\n")
			k.wantReply(false)
		case 6: // cannot be executed
			k.send("{\"v\":1,\"verb\":\"swap\",\"args\":{\"command\":[\"/nonexistent\"]}}\n")
			k.wantReply(false)
		case 8: // the requester does not wait
			k.send("{\"v\":1,\"verb\":\"swap\"}\n")
		default:
			k.send("{\"v\":1,\"verb\":\"swap\"}\n")
			k.wantReply(true)
		}
	}
	settle := func() usage {
		t.Helper()
		last := c.connectTo(ask)
		defer last.conn.Close()
		last.send("{\"v\":1,\"verb\":\"swap\"}\n")
		last.wantReply(true)
		_ = last.conn.Close()
		await(t, "the drains to end", func() bool { s := c.status(); return len(s.Generations) == 1 })
		await(t, "zombies to be reaped", func() bool { return len(c.Procs()) == 2 })
		return usageOf(t, c.box.Pid())
	}
	for n := range 20 {
		one(n)
	}
	before := settle()
	for n := range swaps {
		one(n)
	}
	c.holdsNoMore(before, settle(), strconv.Itoa(swaps)+" swaps")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}
