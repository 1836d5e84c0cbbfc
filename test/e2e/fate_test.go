package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// lastSwap is how a swap went, as docs/control.md promises it.
type lastSwap struct {
	Generation int    `json:"generation"`
	OK         bool   `json:"ok"`
	Reason     string `json:"reason"`
	Outcome    string `json:"outcome"`
	OutcomeAt  string `json:"outcome_at"`
	Began      string `json:"began"`
	Ended      string `json:"ended"`
	Pid        int    `json:"pid"`
	Stages     []struct {
		Stage string  `json:"stage"`
		AtMS  *int64  `json:"at_ms"`
		MS    *int64  `json:"ms"`
		Share float64 `json:"share"`
	} `json:"stages"`
}

// passed are the names of its stages.
func (l *lastSwap) passed() string {
	var all []string
	for _, s := range l.Stages {
		all = append(all, s.Stage)
	}
	return strings.Join(all, " ")
}

// dying is a server that ends with 9 once the file is there.
func dying(t *testing.T, trigger string) []string {
	t.Helper()
	return append([]string{"--"}, server(t, "-die", "FILE="+trigger, "-die-status", "9")...)
}

// A release that dies after its cut-over gives the traffic to the one that had it until
// then, and to nobody else: an older one that still drains never serves again.
func TestKnownGood(t *testing.T) {
	// third begins a long request to generation 1, swaps twice, and has 3 die by trigger.
	third := func(t *testing.T, trigger string, env ...string) (*container, upload) {
		t.Helper()
		c := startWeb(t, steered(append(env, "SWAPINIT_RETIRE_TIMEOUT=1h")...))
		request := c.busy()
		c.Swap()
		c.Swap(dying(t, trigger)...)
		return c, request
	}
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c, request := third(t, trigger)
		c.awaitStates("1:draining 3:active")
		touch(t, trigger)
		c.awaitOut("gen 3: dying")
		c.awaitOut("gen 1: got TERM")
		var l *lastSwap
		c.awaitStatus("the end of generation 3", func(s status) bool {
			l = s.LastSwap
			return s.stateOf(1) == "stopping" && l.Outcome != "ok"
		})
		if l.Generation != 3 || l.OK || l.Outcome != "died" || !strings.Contains(l.Reason, "exited with status 9") || !strings.Contains(l.Reason, "SWAPINIT_KEEP") || l.OutcomeAt < l.Ended {
			t.Errorf("last swap: %+v", l)
		}
		request.finish()
		c.wantStatus(9)
		if strings.Contains(c.Stderr(), "has the traffic again") {
			t.Errorf("generation 1 has the traffic again:\n%s", c.Stderr())
		}
	})
	t.Run("it is started again", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c, request := third(t, trigger, "SWAPINIT_RESPAWN=on-failure")
		c.awaitStates("1:draining 3:active")
		touch(t, trigger)
		c.awaitErr("generation 3: exited with status 9, started again")
		if err := os.Remove(trigger); err != nil {
			t.Fatal(err)
		}
		c.wantOnly(3)
		if s := c.status(); s.states() != "1:draining 3:active" || !s.LastSwap.OK {
			t.Errorf("states %s, last swap %+v", s.states(), s.LastSwap)
		}
		c.wantNever("gen 1: got")
		request.finish()
	})
	t.Run("it is kept", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c, request := third(t, trigger, "SWAPINIT_KEEP=1h")
		c.awaitStates("1:draining 2:draining 3:active")
		touch(t, trigger)
		c.awaitStates("1:draining 2:active")
		c.wantOnly(2)
		l := c.status().LastSwap
		if l.Generation != 3 || l.OK || l.Outcome != "rolled back" || !strings.HasSuffix(l.Reason, " after its cut-over; generation 2 has the traffic again") || !strings.HasPrefix(l.Reason, "exited with status 9, ") {
			t.Errorf("last swap: %+v", l)
		}
		c.awaitErr("swapinit: generation 3 " + l.Reason)
		if r := c.Verb("status"); !strings.Contains(r.Stdout, "\nlast swap: generation 3 rolled back ") {
			t.Errorf("status: %v", r)
		}
		request.finish()
		c.wantNever("gen 2: got")
	})
}

// swapJSON runs swap --json and returns the object, the only thing on stdout.
func (c *container) swapJSON(code int, args ...string) *lastSwap {
	c.t.Helper()
	r := c.Verb(append([]string{"swap", "--json"}, args...)...)
	line, more, ended := strings.Cut(r.Stdout, "\n")
	if r.Code != code || !ended || more != "" || (code == 0) != (r.Stderr == "") {
		c.t.Fatalf("swap --json: %v, want status %d and a line", r, code)
	}
	var l struct {
		V int `json:"v"`
		lastSwap
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil || l.V != 1 {
		c.t.Fatalf("%v in %q", err, line)
	}
	if l.OK != (code == 0) || l.OK != (l.Outcome == "ok") || l.OK != (l.Reason == "") || l.Began > l.Ended || l.Ended != l.OutcomeAt {
		c.t.Errorf("%s", line)
	}
	if code != 0 && !strings.Contains(r.Stderr, l.Reason) {
		c.t.Errorf("%s, and on stderr %s", line, r.Stderr)
	}
	at := int64(0)
	for _, s := range l.Stages {
		if s.AtMS == nil || s.MS == nil || *s.AtMS < at || *s.MS < 0 {
			c.t.Fatalf("the stages are not in their order: %s", line)
		}
		at = *s.AtMS + *s.MS
	}
	if last := c.status().LastSwap; last == nil || last.Generation != l.Generation || last.Began != l.Began || last.Ended != l.Ended || last.Pid != l.Pid || last.passed() != l.passed() {
		c.t.Errorf("%s, but last_swap is %+v", line, last)
	}
	return &l.lastSwap
}

// swap --json is one object: what CI wants to know, and by which to find the successor's
// own lines.
func TestSwapJSON(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_SETTLE=10ms"))
	if l := c.swapJSON(0); l.Generation != 2 || l.Pid != c.status().pidOf(2) || l.passed() != "started ready settled cutover" {
		t.Errorf("%+v", l)
	}
	l := c.swapJSON(0, "--canary", "25%/1ms,50.5%/1ms")
	if l.Generation != 3 || l.passed() != "started ready settled canary canary cutover" || l.Stages[3].Share != 25 || l.Stages[4].Share != 50.5 || l.Stages[5].Share != 0 {
		t.Errorf("%+v", l)
	}
	if l := c.swapJSON(1, "--", "/nonexistent"); l.Generation != 4 || !strings.Contains(l.Reason, "/nonexistent") || l.passed() != "failed" {
		t.Errorf("%+v", l)
	}
	l = c.swapJSON(1, append([]string{"--"}, server(t, "-die", "boot", "-die-status", "7")...)...)
	if l.Generation != 5 || l.Pid == 0 || l.Reason != "exited with status 7 before it was ready" || l.passed() != "started failed" {
		t.Errorf("%+v", l)
	}
	c.wantOnly(3)
	r := c.Verb("restart", "--json")
	if r.Code != 0 || strings.Count(r.Stdout, "\n") != 1 || !strings.HasPrefix(r.Stdout, `{"v":1,"generation":6,"ok":true,`) {
		t.Errorf("restart: %v", r)
	}
	for _, args := range [][]string{{"--no-wait"}, {"--follow"}, {"--cancel"}} {
		if r := c.Verb(slices.Concat([]string{"swap", "--json"}, args)...); r.Code != 2 || r.Stdout != "" {
			t.Errorf("%v: %v", args, r)
		}
	}
	r = c.execEnv([]string{"SWAPINIT_CONTROL=/no/such/socket"}, binary(t, "swapinit"), "swap", "--json")
	if r.Code != 125 || r.Stdout != "" {
		t.Errorf("without an init: %v", r)
	}
}

// The swap of a member of a gate is told in the same way, and so is what becomes of it.
func TestGateSwapJSON(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_KEEP=1h"})
	if l := a.swapJSON(0); l.Generation != 2 || l.passed() != "started ready settled cutover kept" {
		t.Errorf("%+v", l)
	}
	trigger := tempDir(t) + "/die"
	if l := a.swapJSON(0, append([]string{"--"}, server(t, "-say", "a", "-die", "FILE="+trigger)...)...); l.Generation != 3 {
		t.Errorf("%+v", l)
	}
	touch(t, trigger)
	a.awaitStatus("generation 2 again", func(s status) bool { return s.stateOf(2) == "active" })
	if l := a.status().LastSwap; l.Generation != 3 || l.Outcome != "rolled back" || l.OK {
		t.Errorf("%+v", l)
	}
	g.onlyFrom("a")
	b := g.member("b", nil)
	g.awaitHolder("b")
	b.awaitHealthy()
	if l := b.status().LastSwap; l == nil || l.Generation != 1 || !l.OK || l.Pid != b.status().pidOf(1) {
		t.Errorf("the swap to a newcomer: %+v", l)
	}
	if l := a.swapJSON(1, "--", "/nonexistent"); l.OK {
		t.Errorf("%+v", l)
	}
	g.onlyFrom("b")
}
