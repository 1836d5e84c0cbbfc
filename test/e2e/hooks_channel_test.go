package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// swapinit message, over the channel.
func TestMessage(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, 3, opts{}, "-ready", "channel")
	cases := []struct{ arg, want string }{
		{`{"reload": ["routes", 7]}`, `{"reload":["routes",7]}`}, {`hello there`, `"hello there"`}, {`7`, `7`}, {`null`, `null`},
		{`"7"`, `"7"`}, {`{"open`, `"{\"open"`}, {``, `""`}, {`ü "quoted"`, `"ü \"quoted\""`},
	}
	for _, tc := range cases {
		r := c.Verb("message", "--", tc.arg)
		if r.Code != 0 || r.Stdout != "delivered to 3 workers\n" || r.Stderr != "" {
			t.Fatalf("message %q: %v", tc.arg, r)
		}
		for _, who := range []string{"gen 1 worker 0: ", "gen 1 worker 1: ", "gen 1 worker 2: "} {
			c.awaitOut(who + "message " + tc.want + "\n")
		}
	}
	long := strings.Repeat("x", 50_000)
	if r := c.Verb("message", long); r.Code != 0 {
		t.Errorf("a long message: %v", r)
	}
	c.awaitTimes("message \""+long, 3)
	for _, args := range [][]string{{}, {"a", "b"}, {"--unknown"}} {
		if r := c.Verb(append([]string{"message"}, args...)...); r.Code != 2 {
			t.Errorf("message %q: %v, want status 2", args, r)
		}
	}
	// One that crashed gets none until it is back.
	c.kill(c.workers(1)[1].Pid, syscall.SIGKILL)
	await(t, "two workers", func() bool { return readyWorkers(c.workers(1)) <= 2 || c.workers(1)[1].Restarts > 0 })
	c.awaitWorkers(1, 3)
	if r := c.Verb("message", "again"); r.Stdout != "delivered to 3 workers\n" {
		t.Errorf("message: %v", r)
	}
	// Only the active generation is meant.
	c.Swap()
	c.Verb("message", "second")
	for _, who := range []string{"gen 2 worker 0: ", "gen 2 worker 1: ", "gen 2 worker 2: "} {
		c.awaitOut(who + `message "second"`)
	}
	if strings.Contains(c.Stdout(), `gen 1 worker 0: message "second"`) {
		t.Error("the predecessor got it, too")
	}
}

// Nobody is on a channel: a clear error, and nothing else.
func TestMessageToNobody(t *testing.T) {
	t.Parallel()
	script := `eval "exec $SWAPINIT_CHANNEL_FD>&-"; exec ` + binary(t, "server")
	c := start(t, opts{Env: webEnv(), Args: []string{"bash", "-c", script}})
	c.awaitOut("gen 1: ready")
	var r result
	await(t, "a message that is for nobody", func() bool { r = c.Verb("message", "hello"); return r.Code == 1 })
	oneLine(t, r.Stderr, "no worker got it")
	c.wantServing(1)
}

// Rubbish on the channel, and much of it: the init's memory is bounded, the
// generation goes on, and so does everything else.
func TestChannelFlood(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{}, "-ready", "channel")
	for _, line := range []string{
		"nonsense", "", "{", "[]", "7", `"ready"`, "null", `{"swapinit":7}`, `{"swapinit":"dance"}`, `{"swapinit":"readyFor"}`,
		`{"swapinit":"readyFor","resource":""}`, `{"swapinit":"readyFor","resource":7}`, `{"swapinit":"released","resource":"never had"}`,
		`{"swapinit":"go","resource":"a"}`, `{"swapinit":"takedown","resource":"a"}`, `{"swapinit":"readyFor","resource":"a\u0000b"}`, "\x00\x01\xff",
	} {
		c.do("channel", line+"\n")
	}
	c.Verb("message", "warm") // what a message needs is there
	c.awaitOut("message")
	before := peakOf(t, c.box.Pid())
	c.do("flood", "3") // of each of nine kinds
	if after := peakOf(t, c.box.Pid()); after > before+peakGrowth {
		t.Errorf("the init had %d KiB at most, and then %d", before, after)
	}
	if r := c.Verb("message", "still there"); r.Code != 0 {
		t.Errorf("message: %v", r)
	}
	c.awaitOut(`message "still there"`)
	if got := c.status().states(); got != "1:active" {
		t.Errorf("states are %q", got)
	}
	c.Swap()
	c.awaitStates("2:active")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// One that reads nothing costs a bounded amount, and nobody waits for it.
func TestChannelUnread(t *testing.T) {
	t.Parallel()
	script := `echo '{"swapinit":"ready"}' >&$SWAPINIT_CHANNEL_FD; while :; do sleep 1000 & wait; done`
	c := start(t, opts{Env: []string{"SWAPINIT_READY=auto"}, Args: []string{"bash", "-c", script}})
	await(t, "readiness", func() bool { return c.Verb("health").Code == 0 })
	data := strings.Repeat("y", 60_000)
	before := peakOf(t, c.box.Pid())
	refused := false
	for range 100 {
		r := c.Verb("message", data)
		if r.Code == 1 {
			oneLine(t, r.Stderr, "no worker got it")
			refused = true
			break
		}
		if r.Code != 0 {
			t.Fatalf("message: %v", r)
		}
	}
	if !refused {
		t.Error("6 MB were taken for one that reads nothing")
	}
	if after := peakOf(t, c.box.Pid()); after > before+peakGrowth {
		t.Errorf("the init had %d KiB at most, and then %d", before, after)
	}
}
