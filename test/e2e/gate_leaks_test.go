package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// After many takeovers and swaps inside, good ones and bad ones, the gate and its members
// hold what they held before.
func TestGateNoLeaks(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	g := startGate(t, "SWAPINIT_LOG=warn")
	env := []string{"SWAPINIT_LOG=warn", "SWAPINIT_DRAIN_TIMEOUT=0", "SWAPINIT_DRAIN=gone"}
	a := g.first("a", env, "-stop", "exit")
	b := g.member("b", env, "-stop", "exit")
	g.wait("b")
	failed := 0
	takeover := func(to, from *container, name, other string) {
		to.Swap()
		g.awaitHolder(name)
		g.awaitState(other, "retired")
		to.Swap()
		if r := to.Verb("swap", "--", "false"); r.Code != 1 {
			t.Fatalf("a swap that fails: %v", r)
		}
		failed++
		c := g.member(fmt.Sprintf("failed-%d", failed), env, "-die", "boot", "-die-status", "7")
		c.wantStatus(7)
	}
	round := func() {
		takeover(a, b, "a", "b")
		takeover(b, a, "b", "a")
	}
	settle := func() (all [3]usage) {
		await(t, "drains to end", func() bool { return len(b.status().Generations) == 1 && len(a.Procs()) == 1 && len(b.Procs()) == 2 })
		for n, c := range []*container{g.container, a, b} {
			all[n] = usageOf(t, c.box.Pid())
		}
		return all
	}
	for range 3 {
		round()
	}
	before := settle()
	for range rounds / 2 {
		round()
	}
	var after [3]usage
	same := func() bool {
		after = settle()
		for n := range after {
			if len(after[n].fds) > len(before[n].fds) {
				return false
			}
		}
		return true
	}
	if !poll(same) {
		for n, who := range []string{"gate", "a", "b"} {
			t.Errorf("%s: %d fds %v, before %d %v", who, len(after[n].fds), after[n].fds, len(before[n].fds), before[n].fds)
		}
	}
	for n, who := range []string{"gate", "a", "b"} {
		if after[n].threads > before[n].threads+4 {
			t.Errorf("%s: %d threads, before %d", who, after[n].threads, before[n].threads)
		}
		t.Logf("%s: %d fds, threads %d -> %d, RSS %d -> %d KiB", who, len(after[n].fds), before[n].threads, after[n].threads, before[n].rss, after[n].rss)
	}
}

// What a member's server has is what any other has.
func TestGateChildFds(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", nil)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", a.serverPid()))
	if err != nil {
		t.Fatal(err)
	}
	listeners := 0
	s := parseState(t, g.host.get("/state"))
	for fd, what := range s.Fds {
		if strings.HasPrefix(what, "socket:") && fd == 3 {
			listeners++
		}
	}
	if listeners != 1 || len(entries) > 20 {
		t.Errorf("fds %v", s.Fds)
	}
	if v, ok := s.env("LISTEN_FDS"); !ok || v != "1" {
		t.Errorf("LISTEN_FDS=%q", v)
	}
	for _, name := range []string{"SWAPINIT_GATE", "SWAPINIT_RELEASE"} {
		if slices.ContainsFunc(s.Env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") }) {
			t.Errorf("the server hears of %s", name)
		}
	}
}

// An idle gate and idle members sleep: in most windows of ten seconds nothing of theirs
// runs. Switches of threads count, as in the test of a plain init.
func TestGateIdle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	g := startGate(t)
	a := g.first("a", nil)
	b := g.member("b", nil)
	g.wait("b")
	g.awaitState("a", "retired")
	all := map[string]*container{"gate": g.container, "retired": a, "holder": b}
	quiet := map[string]int{}
	const windows = 5
	for range windows {
		before := map[string]string{}
		for who, c := range all {
			before[who] = c.switches()
		}
		<-time.After(10 * time.Second)
		for who, c := range all {
			if c.switches() == before[who] {
				quiet[who]++
			}
		}
	}
	for who := range all {
		if quiet[who] <= windows/2 {
			t.Errorf("%s: %d of %d windows were quiet", who, quiet[who], windows)
		}
	}
}

// switches are the context switches of each thread of swapinit.
func (c *container) switches() string {
	all := ""
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.box.Pid()))
	for _, name := range names {
		for line := range strings.Lines(read(name)) {
			if strings.Contains(line, "ctxt_switches") {
				all += name + " " + line
			}
		}
	}
	return all
}
