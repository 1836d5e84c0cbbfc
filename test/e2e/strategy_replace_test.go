package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The predecessor is gone before its successor starts. Whoever connects in
// between waits, and is served.
func TestStrategyReplace(t *testing.T) {
	for _, how := range []string{"by setting", "by verb", "by signal", "shared socket"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o := opts{Env: []string{"SWAPINIT_STRATEGY=replace"}}
			if how == "by verb" {
				o.Env = nil
			}
			if how == "shared socket" {
				o.Env = append(o.Env, "SWAPINIT_STEER=off")
			}
			c := startWeb(t, o)
			l := c.load()
			moreRequests(t, l, 50)
			switch how {
			case "by verb":
				c.Swap("--strategy", "replace")
			case "by signal":
				c.Signal(syscall.SIGHUP)
			default:
				c.Swap()
			}
			c.awaitStates("2:active")
			moreRequests(t, l, 50)
			count := noLoss(t, l)
			if count.Refused > 0 {
				t.Errorf("%d connections were refused", count.Refused)
			}
			c.wantOrder("gen 1: got TERM", "gen 1: done", "gen 2: started", "gen 2: ready")
			c.wantServing(2)
		})
	}
}

// While nobody runs, connections wait in the endpoint.
func TestReplaceConnectionsWait(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace", "SWAPINIT_READY_TIMEOUT=1h"}})
	swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", gate)...)...)
	c.awaitOut("gen 2: started")
	c.wantOrder("gen 1: done", "gen 2: started")
	if c.Verb("health").Code == 0 {
		t.Error("healthy with nobody to serve")
	}
	answer := make(chan string, 20)
	for range cap(answer) {
		go func() {
			text, err := c.tryGet("/")
			if err != nil {
				text = err.Error()
			}
			answer <- text
		}()
	}
	await(t, "connections that wait", func() bool { return c.sockets(8080, "01") >= cap(answer) })
	touch(t, gate)
	for range cap(answer) {
		if got := receive(t, "an answer", answer); got != "generation 2\n" {
			t.Errorf("answer %q", got)
		}
	}
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	if c.Verb("health").Code != 0 {
		t.Error("not healthy")
	}
}

// A successor that fails: the previous command runs again, and who waited is
// served by it.
func TestReplaceFails(t *testing.T) {
	cases := map[string][]string{
		"exits":              {"-die", "boot"},
		"cannot be executed": nil,
		"is never ready":     {"-ready", "none"},
		"takes no socket":    {"-take", "none"},
	}
	for name, flags := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace"}}, "-say", "old")
			c.Swap("--", binary(t, "server"), "-say", "good")
			c.awaitStates("2:active")
			l := c.loadOn("tcp", web)
			moreRequests(t, l, 50)
			args := append([]string{"swap", "--timeout", "2s", "--"}, append(server(t, "-say", "new"), flags...)...)
			if flags == nil {
				args = []string{"swap", "--", "/nonexistent/server"}
			}
			r := c.Verb(args...)
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			oneLine(t, r.Stderr, "swap failed")
			c.awaitStatus("the previous command", func(s status) bool { return s.stateOf(4) == "active" && len(s.Generations) == 1 })
			if got := c.status().Generations[0].Command; !strings.Contains(strings.Join(got, " "), "-say good") {
				t.Errorf("the command is %q", got)
			}
			moreRequests(t, l, 50)
			if count := noLoss(t, l); count.Refused > 0 {
				t.Errorf("%d connections were refused", count.Refused)
			}
			c.wantAnswer("generation 4 good")
			c.Swap() // and the next one works
			c.awaitStates("5:active")
		})
	}
}

// A predecessor that does not stop gets KILL, and is gone before the successor
// starts.
func TestReplaceKills(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace", "SWAPINIT_RETIRE_TIMEOUT=300ms"}}, "-stop", "ignore")
	pid := c.status().pidOf(1)
	swap := c.later("swap", "--", binary(t, "server"))
	c.awaitOut("gen 2: started")
	if c.status().pidOf(1) != 0 {
		t.Error("both live")
	}
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	for _, p := range c.Procs() {
		if p.Pid == pid {
			t.Errorf("it lives: %+v", p)
		}
	}
	c.wantOrder("gen 1: got TERM", "gen 2: started")
	c.wantServing(2)
}

// A swap may have another strategy than the others.
func TestStrategyOfOneSwap(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace"}})
	c.Swap("--strategy", "overlap")
	c.awaitStates("2:active")
	c.wantOrder("gen 2: ready", "gen 1: got TERM")
	c.Swap()
	c.awaitStates("3:active")
	c.wantOrder("gen 2: done", "gen 3: started")
	for _, args := range [][]string{{"--strategy", "sideways"}, {"--strategy", "replace", "--canary", "1%/1s"}, {"--follow", "--no-wait"}} {
		r := c.Verb(append([]string{"swap"}, args...)...)
		if r.Code != 2 {
			t.Errorf("swap %q: %v, want status 2", args, r)
		}
	}
	c.awaitStates("3:active")
}

// Workers are replaced all at once, under this strategy.
func TestReplaceWorkers(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 2, opts{Env: []string{"SWAPINIT_STRATEGY=replace"}})
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 50)
	c.Swap()
	c.awaitWorkers(2, 2)
	c.awaitStates("2:active")
	moreRequests(t, l, 50)
	noLoss(t, l)
	before, after, found := strings.Cut(c.Stdout(), "gen 2 ")
	if !found || strings.Count(before, "gen 1 worker") != strings.Count(before+after, "gen 1 worker") {
		t.Errorf("both were there:\n%s", c.Stdout())
	}
}

// The previous command is the one that ran, whatever the next swap's would be.
func TestReplaceFailsAtOnce(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STRATEGY=replace", "SWAPINIT_SWAP_COMMAND=" + binary(t, "server") + " -die boot"}}, "-say", "old")
	if r := c.Verb("swap"); r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	c.awaitStates("3:active")
	c.wantAnswer("generation 3 old")
}
