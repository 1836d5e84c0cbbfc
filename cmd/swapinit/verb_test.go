//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/control"
)

// verb runs a verb against the init at addr.
func verb(addr string, color bool, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	v := verbRun{out: &out, err: &errs, color: color, every: time.Millisecond, program: "swapinit", version: "1.2.3", commit: "abc", env: func(k string) string {
		if k == "SWAPINIT_CONTROL" {
			return addr
		}
		return ""
	}}
	status = v.run(args[0], args[1:])
	return status, out.String(), errs.String()
}

// initWith is a control server whose loop is answer.
func initWith(t *testing.T, answer func(*control.Call)) string {
	t.Helper()
	s, err := control.Listen(filepath.Join(t.TempDir(), "s"), os.Getpid(), os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Serve(answer, func(l string) { t.Log(l) })
	return s.Address()
}

// swapEvents are the stages of a swap that works.
func swapEvents(c *control.Call) {
	for _, e := range []control.Event{
		{Event: "started", Generation: 2, Pid: 7},
		{Event: "ready", Generation: 2, MS: 1234},
		{Event: "settled", Generation: 2, MS: 2240},
		{Event: "cutover", Generation: 2, MS: 2241},
		{Event: "stopping", Generation: 1},
	} {
		c.Event(e)
	}
}

// canaryEvents are the stages of a swap with a canary.
func canaryEvents(c *control.Call) {
	for _, e := range []control.Event{
		{Event: "started", Generation: 3, Pid: 19},
		{Event: "ready", Generation: 3, MS: 1190},
		{Event: "settled", Generation: 3, MS: 2196},
		{Event: "canary", Generation: 3, Share: 100, Message: "said\nby the init"},
		{Event: "canary", Generation: 3, Share: 2550},
		{Event: "canary", Generation: 3, Message: "generation 3 has those from ::1 of new connections for 1 s"},
		{Event: "one-address", Generation: 3, Message: "generation 3 gets all connections or none"},
		{Event: "cutover", Generation: 3, MS: 42213},
		{Event: "kept", Generation: 2, Message: "generation 2 kept: for 5m"},
		{Event: "draining", Generation: 2, Message: "generation 2 draining: 3 connections open, 1 idle"},
		{Event: "draining", Generation: 2},
		{Event: "stopping", Generation: 2},
	} {
		c.Event(e)
	}
	c.Done(&control.Reply{OK: true, Generation: 3})
}

// swapping plays one that had to wait, under an init that says more than we know.
func swapping(c *control.Call) {
	c.Event(control.Event{Event: "queued", Message: "generation 1 is being replaced"})
	swapEvents(c)
	c.Event(control.Event{Event: "future\x1b[2J", Message: "a\nb"})
	c.Done(&control.Reply{OK: true, Generation: 2})
}

const swapStages = `queued: generation 1 is being replaced
generation 2 started, pid 7
generation 2 ready after 1.2 s
generation 2 settled
cut over to generation 2
generation 1 stopping
future\x1b[2J: a\nb
swap done: generation 2 has all the traffic
`

func TestSwapStages(t *testing.T) {
	addr := initWith(t, swapping)
	status, out, errs := verb(addr, false, "swap")
	if status != 0 || errs != "" || out != swapStages {
		t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", status, errs, out, swapStages)
	}
	status, out, _ = verb(addr, true, "swap")
	plain := strings.NewReplacer("\x1b[32m", "", "\x1b[0m", "").Replace(out)
	if status != 0 || plain != swapStages || !strings.Contains(out, "\x1b[32mcut over to generation 2\x1b[0m\n") {
		t.Errorf("in colour: status %d\n%q", status, out)
	}
}

func TestCanaryStages(t *testing.T) {
	const want = `generation 3 started, pid 19
generation 3 ready after 1.1 s
generation 3 settled
canary: generation 3 has 1% of new connections
canary: generation 3 has 25.5% of new connections
canary: generation 3 has those from ::1 of new connections for 1 s
one-address: generation 3 gets all connections or none
cut over to generation 3
generation 2 kept: for 5m
generation 2 draining: 3 connections open, 1 idle
generation 2 draining
generation 2 stopping
swap done: generation 3 has all the traffic
`
	status, out, errs := verb(initWith(t, canaryEvents), false, "swap", "--canary", "1%/10s,25.5%/30s")
	if status != 0 || errs != "" || out != want {
		t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", status, errs, out, want)
	}
}

// The stages of the other strategies, of hooks and of workers say it in their messages.
func TestHandoverStages(t *testing.T) {
	addr := initWith(t, func(c *control.Call) {
		for _, e := range []control.Event{
			{Event: "hook", Message: "/bin/fetch runs"},
			{Event: "started", Generation: 2, Pid: 7},
			{Event: "respawn", Generation: 2, Message: "worker 1 exited with status 3"},
			{Event: "takedown", Generation: 1, Message: ":8080"},
			{Event: "go", Generation: 2, Message: ":8080\x1b"},
		} {
			c.Event(e)
		}
		c.Done(&control.Reply{OK: true, Generation: 2})
	})
	const want = `hook: /bin/fetch runs
generation 2 started, pid 7
respawn: worker 1 exited with status 3
takedown: :8080
go: :8080\x1b
swap done: generation 2 has all the traffic
`
	if status, out, errs := verb(addr, false, "swap", "--strategy", "handover"); status != 0 || errs != "" || out != want {
		t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", status, errs, out, want)
	}
}

// swap --follow stays until the generation has ended, and says why it did.
func TestFollow(t *testing.T) {
	var reply control.Reply
	fails := false
	addr := initWith(t, func(c *control.Call) {
		if !c.Swap.Follow {
			t.Errorf("args %+v", c.Swap)
		}
		if !fails {
			swapEvents(c)
			c.Event(control.Event{Event: "done", Generation: 2})
		}
		own := reply
		c.Done(&own)
	})
	status := func(n int) *int { return &n }
	for _, c := range []struct {
		reply      control.Reply
		status     int
		line, errs string
	}{
		{control.Reply{OK: true, Generation: 2, Exit: status(0)}, 0, "generation 2 was replaced\n", ""},
		{control.Reply{Error: "generation 2 exited with status 3\n", Generation: 2, Exit: status(3)}, 3, "", "swapinit: generation 2 exited with status 3\\n\n"},
		{control.Reply{Error: "generation 2 was killed by signal 9", Generation: 2, Exit: status(137)}, 137, "", "swapinit: generation 2 was killed by signal 9\n"},
		{control.Reply{Error: "generation 2 exited with status 0", Generation: 2, Exit: status(0)}, 0, "generation 2 exited with status 0\n", ""},
		{control.Reply{OK: true, Generation: 2, Exit: status(4)}, 4, "", "swapinit: generation 2 ended with status 4\n"},
	} {
		reply = c.reply
		got, out, errs := verb(addr, false, "swap", "--follow")
		_, line, done := strings.Cut(out, "swap done: generation 2 has all the traffic\n")
		if got != c.status || !done || line != c.line || errs != c.errs {
			t.Errorf("%+v: status %d, stdout %q, stderr %q", c.reply, got, out, errs)
		}
	}
	// A swap that fails is over at once.
	fails, reply = true, control.Reply{Error: "no\x1b", Generation: 2}
	if got, out, errs := verb(addr, false, "swap", "--follow"); got != 1 || out != "" || errs != "swapinit: swap failed: no\\x1b\n" {
		t.Errorf("status %d, stdout %q, stderr %q", got, out, errs)
	}
}

func TestMessage(t *testing.T) {
	calls := make(chan *control.Call, 1)
	var reply control.Reply
	addr := initWith(t, func(c *control.Call) { calls <- c; own := reply; c.Done(&own) })
	none, one, four := 0, 1, 4
	for _, c := range []struct {
		args []string
		data string
	}{
		{[]string{"7"}, "7"},
		{[]string{"null"}, "null"},
		{[]string{`{"a": ["\u00e4",1.50]}`}, `{"a":["\u00e4",1.50]}`},
		{[]string{"{\n\"a\":\r\n1}\n"}, `{"a":1}`},
		{[]string{`"7"`}, `"7"`},
		{[]string{"reload"}, `"reload"`},
		{[]string{"it's \"ä\"\n"}, `"it's \"ä\"\n"`},
		{[]string{"{a:1}"}, `"{a:1}"`},
		{[]string{""}, `""`},
		{[]string{"--", "-5"}, "-5"},
		{[]string{"--", "--"}, `"--"`},
		{[]string{"--", "-h"}, `"-h"`},
	} {
		reply = control.Reply{OK: true, Delivered: &four}
		status, out, errs := verb(addr, false, append([]string{"message"}, c.args...)...)
		if status != 0 || out != "delivered to 4 workers\n" || errs != "" {
			t.Errorf("%q: status %d, %q, %q", c.args, status, out, errs)
			continue
		}
		if got := <-calls; got.Verb != "message" || got.Data != c.data || fmt.Sprint(got.Swap) != fmt.Sprint(control.SwapArgs{}) {
			t.Errorf("%q: got %+v, want %s", c.args, got.Request, c.data)
		}
	}
	for _, c := range []struct {
		reply     control.Reply
		status    int
		out, errs string
	}{
		{control.Reply{OK: true, Delivered: &one}, 0, "delivered to 1 worker\n", ""},
		{control.Reply{OK: true, Delivered: &none}, 1, "", "swapinit: message failed: no worker got it\n"},
		{control.Reply{OK: true}, 1, "", "swapinit: message failed: no worker got it\n"},
		{control.Reply{Error: "no worker is on its channel", Delivered: &none}, 1, "", "swapinit: message failed: no worker is on its channel\n"},
	} {
		reply = c.reply
		status, out, errs := verb(addr, false, "message", "x")
		<-calls
		if status != c.status || out != c.out || errs != c.errs {
			t.Errorf("%+v: status %d, %q, %q", c.reply, status, out, errs)
		}
	}
}

func TestSwapFails(t *testing.T) {
	addr := initWith(t, func(c *control.Call) {
		c.Event(control.Event{Event: "started", Generation: 2, Pid: 7})
		c.Event(control.Event{Event: "failed", Generation: 2, Message: "exited 3"})
		c.Done(&control.Reply{Error: "generation 2 exited 3 before it was ready\n\x1b[31m", Generation: 2})
	})
	status, out, errs := verb(addr, false, "swap")
	if status != 1 || out != "generation 2 started, pid 7\ngeneration 2 failed\n" ||
		errs != "swapinit: swap failed: generation 2 exited 3 before it was ready\\n\\x1b[31m\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

// swap --json prints one object and nothing else, exactly where the status is 0 or 1.
func TestSwapJSON(t *testing.T) {
	account := &control.LastSwap{Generation: 2, Reason: "it\x1b", Outcome: "rolled back", OutcomeAt: "O", Began: "B", Ended: "E", Pid: 7, Stages: []control.SwapStage{{Stage: "started", AtMS: 3, MS: 4}}}
	const told = `{"v":1,"generation":2,"ok":false,"reason":"it\u001b","outcome":"rolled back","outcome_at":"O","ago_ms":0,"began":"B","ended":"E","pid":7,"stages":[{"stage":"started","at_ms":3,"ms":4}]}`
	object := func(generation int, ok bool, reason, outcome string) string {
		return fmt.Sprintf(`{"v":1,"generation":%d,"ok":%v,"reason":%q,"outcome":%q,"outcome_at":"","ago_ms":0,"began":"","ended":"","pid":0,"stages":[]}`, generation, ok, reason, outcome)
	}
	for _, c := range []struct {
		args         []string
		reply        *control.Reply // nil: the init goes away
		status       int
		stdout, errs string
	}{
		{[]string{"swap", "--json"}, &control.Reply{Error: "no", Generation: 2, Swap: account}, 1, told, "swap failed: no"},
		{[]string{"restart", "--json"}, &control.Reply{OK: true, Generation: 2, Swap: account}, 0, told, ""},
		{[]string{"swap", "--json", "--", "--no-wait"}, &control.Reply{OK: true, Generation: 3}, 0, object(3, true, "", "ok"), ""},
		{[]string{"swap", "--json"}, &control.Reply{Error: "superseded"}, 1, object(0, false, "superseded", "failed"), "swap failed: superseded"},
		{[]string{"swap", "--json"}, &control.Reply{Error: "not yours", Code: control.CodeRefused}, 125, "", "not yours"},
		{[]string{"swap", "--json"}, nil, 1, object(0, false, "swap failed: the init went away before it answered", "failed"), "swap failed: the init went away before it answered"},
	} {
		var s *control.Server
		s, err := control.Listen(filepath.Join(t.TempDir(), "s"), os.Getpid(), os.Getuid())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		s.Serve(func(call *control.Call) {
			if c.reply == nil {
				go s.Close()
				return
			}
			swapEvents(call)
			own := *c.reply
			call.Done(&own)
		}, func(l string) { t.Log(l) })
		status, out, errs := verb(s.Address(), true, c.args...)
		if c.stdout != "" {
			c.stdout += "\n"
		}
		if c.errs != "" {
			c.errs = "swapinit: " + c.errs + "\n"
		}
		if status != c.status || out != c.stdout || errs != c.errs {
			t.Errorf("%q: status %d, stderr %q, stdout\n%swant %d, %q,\n%s", c.args, status, errs, out, c.status, c.errs, c.stdout)
		}
	}
	if status, out, _ := verb("/no/such/socket", false, "swap", "--json"); status != 125 || out != "" {
		t.Errorf("without an init: status %d, %q", status, out)
	}
}

func TestSwapArgsArrive(t *testing.T) {
	calls := make(chan *control.Call, 1)
	addr := initWith(t, func(c *control.Call) { calls <- c; c.Done(&control.Reply{OK: true, Generation: 3}) })
	for _, c := range []struct {
		args []string
		want control.SwapArgs
		out  string
	}{
		{[]string{"swap", "--no-wait"}, control.SwapArgs{NoWait: true}, "swap begun: generation 3\n"},
		{[]string{"swap", "--cancel"}, control.SwapArgs{Cancel: true}, "swap called off, generation 3 goes on\n"},
		{[]string{"swap", "--timeout", "1m30s", "--", "a b", "--no-wait", "--", ""}, control.SwapArgs{TimeoutMS: 90000, Command: []string{"a b", "--no-wait", "--", ""}}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"swap", "--canary", "1%/10s,25%/30s"}, control.SwapArgs{Canary: "1%/10s,25%/30s"}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"swap", "--canary=1%/1s", "--canary-by=10.0.0.0/8, ::1"}, control.SwapArgs{Canary: "1%/1s", CanaryBy: "10.0.0.0/8, ::1"}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"swap", "--canary=0.5%/1m", "--no-wait", "--", "a"}, control.SwapArgs{Canary: "0.5%/1m", NoWait: true, Command: []string{"a"}}, "swap begun: generation 3\n"},
		{[]string{"swap", "--strategy", "replace", "--follow"}, control.SwapArgs{Strategy: "replace", Follow: true}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"swap", "--strategy=overlap", "--canary=1%/1s"}, control.SwapArgs{Strategy: "overlap", Canary: "1%/1s"}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"restart"}, control.SwapArgs{}, "restart done: generation 3 has all the traffic\n"},
		{[]string{"restart", "--force", "--no-wait", "--timeout", "2s"}, control.SwapArgs{Force: true, NoWait: true, TimeoutMS: 2000}, "restart begun: generation 3\n"},
		{[]string{"restart", "--side", "cron"}, control.SwapArgs{Side: "cron"}, "restart done: side cron runs\n"},
		{[]string{"restart", "--side=Logs"}, control.SwapArgs{Side: "Logs"}, "restart done: side Logs runs\n"},
		{[]string{"swap", "--timeout=1ms", "--timeout=2s"}, control.SwapArgs{TimeoutMS: 2000}, "swap done: generation 3 has all the traffic\n"},
	} {
		status, out, errs := verb(addr, false, c.args...)
		call := <-calls
		got := call.Swap
		if call.Verb != c.args[0] || call.Data != "" {
			t.Errorf("%q: %+v", c.args, call.Request)
		}
		if status != 0 || errs != "" || out != c.out || fmt.Sprint(got) != fmt.Sprint(c.want) || !slices.Equal(got.Command, c.want.Command) {
			t.Errorf("%q: status %d, %q, %q, args %+v", c.args, status, out, errs, got)
		}
	}
}

// The init goes away in mid-swap: 1, and what is known.
func TestInitGoesAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	text := make(chan string, 1)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			fmt.Fprint(c, <-text)
			c.Close()
		}
	}()
	for _, c := range []struct {
		verb, text string
		status     int
		errs       string
	}{
		{"swap", "", 1, "swapinit: swap failed: the init went away before it answered\n"},
		{"swap", `{"v":1,"event":"started","generation":2,"pid":7}` + "\n", 1,
			"swapinit: the init went away before it answered, the last that it said: generation 2 started, pid 7\n"},
		{"status", "rubbish\x1b\n", 1, "swapinit: status failed: cannot read answer: it is not JSON\n"},
		{"status", `{"v":1,"ok":true}` + "\n", 1, "swapinit: the init sent no status\n"},
		{"health", "", 1, "swapinit: health failed: the init went away before it answered\n"},
		{"health", `{"v":1,"ok":false}` + "\n", 1, "swapinit: health failed: the init gave no reason\n"},
		{"rollback", "", 1, "swapinit: rollback failed: the init went away before it answered\n"},
		{"stop", "", 0, ""},
		{"health", `{"v":1,"ok":false,"code":"refused","error":"uid 7 may not"}` + "\n", 125, "swapinit: uid 7 may not\n"},
		{"version", `{"v":1,"ok":true,"version":"1.2\u001b"}` + "\n", 0, ""},
	} {
		text <- c.text
		status, _, errs := verb(path, false, c.verb)
		if status != c.status || errs != c.errs {
			t.Errorf("%s after %q: status %d, stderr %q", c.verb, c.text, status, errs)
		}
	}
	l.Close()
	<-done
}

func TestStatus(t *testing.T) {
	ms := int64(1234)
	full := &control.Status{
		Pid: 1, Ready: true,
		Generations: []control.Generation{
			{Generation: 1, State: "draining", Pid: 6, Pids: []int{6}, UptimeMS: 3*86400_000 + 7200_000, ReadyMS: &ms, Command: []string{"/usr/bin/server", "--name", "it's ä", ""}, Dir: "/srv"},
			{Generation: 12, State: "active", Pid: 1007, Pids: []int{1007, 1010}, UptimeMS: 61_000, Command: []string{"/bin/sh", "-c", "a\n\x1b[2J<b>"}, Status: "serving \u202e\u009b"},
		},
		Endpoints: []control.Endpoint{{Name: "8080", Address: "tcp://[::]:8080"}, {Name: "admin-socket", Address: "unix:///run/a.sock", Inherited: true}},
		LastSwap:  &control.LastSwap{Generation: 13, Reason: "exited 3\nbefore it was ready"},
	}
	var now *control.Status
	addr := initWith(t, func(c *control.Call) { c.Done(&control.Reply{OK: true, Status: now}) })
	for _, c := range []struct {
		s    *control.Status
		args []string
		want string
	}{
		{full, []string{"status"}, `GEN  STATE     PID   UPTIME  READY
1    draining  6     3d02h   1.2 s
     /usr/bin/server --name 'it'\''s ä' ''
     draining for 0 ms
12   active    1007  1m01s   -
     /bin/sh -c 'a\n\x1b[2J<b>'
     status: serving \u202e\u009b

ENDPOINT      ADDRESS
8080          tcp://[::]:8080
admin-socket  unix:///run/a.sock (inherited)

last swap: generation 13 failed: exited 3\nbefore it was ready
`},
		{full, []string{"status", "--json"}, `{"v":1,"pid":1,"ready":true,"generations":[` +
			`{"generation":1,"state":"draining","pid":6,"pids":[6],"uptime_ms":266400000,"ready_ms":1234,"command":["/usr/bin/server","--name","it's ä",""],"dir":"/srv","status":"","share":null,"open":null,"idle":null,"queued":null,"workers":[],"since_ms":0,"left_ms":null,"kept":false,"busy":[],"busy_more":0},` +
			`{"generation":12,"state":"active","pid":1007,"pids":[1007,1010],"uptime_ms":61000,"ready_ms":null,"command":["/bin/sh","-c","a\n\u001b[2J<b>"],"dir":"","status":"serving \u202e\u009b","share":null,"open":null,"idle":null,"queued":null,"workers":[],"since_ms":0,"left_ms":null,"kept":false,"busy":[],"busy_more":0}],` +
			`"endpoints":[{"name":"8080","address":"tcp://[::]:8080","inherited":false,"adopted":false,"steered":false,"reason":"","check_address":""},{"name":"admin-socket","address":"unix:///run/a.sock","inherited":true,"adopted":false,"steered":false,"reason":"","check_address":""}],` +
			`"sides":[],"swap":null,"last_swap":{"generation":13,"ok":false,"reason":"exited 3\nbefore it was ready","outcome":"","outcome_at":"","ago_ms":0,"began":"","ended":"","pid":0,"stages":[]}}` + "\n"},
		{&control.Status{Generations: []control.Generation{{Generation: 1, State: "active", Pid: 7, Command: []string{"/bin/sh", "-c", strings.Repeat("x\n", 500)}, Status: strings.Repeat("ä", 61)}}}, []string{"status"},
			"GEN  STATE   PID  UPTIME  READY\n" +
				"1    active  7    0 ms    -\n" +
				"     /bin/sh -c '" + strings.Repeat(`x\n`, 20) + "x\\…\n" +
				"     status: " + strings.Repeat("ä", 61) + "\n\nlast swap: none\n"},
		{&control.Status{Sides: []control.Side{{Name: "cron", Pid: 7, UptimeMS: 61_000, Command: []string{"cron", "-f"}}, {Name: "log\nshipper", Restarts: 12, Command: []string{"ship it"}, Reason: "cannot be started: no such\nprogram"}}}, []string{"status"},
			"GEN  STATE  PID  UPTIME  READY\n\n" +
				"SIDE          PID  UPTIME  RESTARTS\n" +
				"cron          7    1m01s   0\n" +
				"     cron -f\n" +
				`log\nshipper  -    -       12` + "\n" +
				"     'ship it'\n" +
				`     cannot be started: no such\nprogram` + "\n\nlast swap: none\n"},
		{&control.Status{}, []string{"status"}, "GEN  STATE  PID  UPTIME  READY\n\nlast swap: none\n"},
		{&control.Status{LastSwap: &control.LastSwap{Generation: 2, OK: true}}, []string{"status"}, "GEN  STATE  PID  UPTIME  READY\n\nlast swap: generation 2, ok\n"},
		{&control.Status{LastSwap: &control.LastSwap{Generation: 3, OK: true, Outcome: "ok", OutcomeAt: "T", AgoMS: 12_345}}, []string{"status"},
			"GEN  STATE  PID  UPTIME  READY\n\nlast swap: generation 3, ok 12.3 s ago\n"},
		{&control.Status{LastSwap: &control.LastSwap{Generation: 3, Outcome: "rolled back", OutcomeAt: "T", AgoMS: 65_000, Reason: "it was bad"}}, []string{"status"},
			"GEN  STATE  PID  UPTIME  READY\n\nlast swap: generation 3 rolled back 1m05s ago: it was bad\n"},
		{&control.Status{LastSwap: &control.LastSwap{Outcome: "failed", OutcomeAt: "T", Reason: "no room"}}, []string{"status"},
			"GEN  STATE  PID  UPTIME  READY\n\nlast swap: failed 0 ms ago: no room\n"},
	} {
		now = c.s
		status, out, errs := verb(addr, false, c.args...)
		if status != 0 || errs != "" || out != c.want {
			t.Errorf("%q: status %d, stderr %q, stdout\n%swant\n%s", c.args, status, errs, out, c.want)
		}
	}
}

// What steering knows has columns of its own, where there is anything to know.
func TestSteeredStatus(t *testing.T) {
	all, some, none, three, twelve := 10000, 50, 0, 3, 12
	var now *control.Status
	addr := initWith(t, func(c *control.Call) { c.Done(&control.Reply{OK: true, Status: now}) })
	generations := func(share, rest *int) []control.Generation {
		return []control.Generation{
			{Generation: 1, State: "draining", Pid: 6, Command: []string{"/srv"}, Share: rest, Open: &three, Idle: &none, Queued: &none},
			{Generation: 2, State: "active", Pid: 17, Command: []string{"/srv", "-x"}, Share: share, Open: &twelve},
		}
	}
	const unknown = `GEN  STATE     PID  UPTIME  READY  SHARE  OPEN  IDLE  QUEUED
1    draining  6    0 ms    -      -      3     0     0
     /srv
     draining for 0 ms
2    active    17   0 ms    -      -      12    -     -
     /srv -x
`
	const plain = `GEN  STATE     PID  UPTIME  READY
1    draining  6    0 ms    -
     /srv
     draining for 0 ms
2    active    17   0 ms    -
     /srv -x
`
	for _, c := range []struct {
		s    control.Status
		want string
	}{
		{control.Status{Generations: generations(&all, &none)}, `GEN  STATE     PID  UPTIME  READY  SHARE  OPEN  IDLE  QUEUED
1    draining  6    0 ms    -      0%     3     0     0
     /srv
     draining for 0 ms
2    active    17   0 ms    -      100%   12    -     -
     /srv -x
`},
		{control.Status{Generations: generations(&some, nil)}, `GEN  STATE     PID  UPTIME  READY  SHARE  OPEN  IDLE  QUEUED
1    draining  6    0 ms    -      -      3     0     0
     /srv
     draining for 0 ms
2    active    17   0 ms    -      0.5%   12    -     -
     /srv -x
`},
		{control.Status{Generations: generations(nil, &none)}, `GEN  STATE     PID  UPTIME  READY  SHARE  OPEN  IDLE  QUEUED
1    draining  6    0 ms    -      0%     3     0     0
     /srv
     draining for 0 ms
2    active    17   0 ms    -      -      12    -     -
     /srv -x
`},
		{control.Status{Generations: generations(nil, nil)}, plain},
		{control.Status{Generations: generations(nil, nil), Endpoints: []control.Endpoint{{Name: "80", Address: "tcp://[::]:80"}}}, plain + `
ENDPOINT  ADDRESS
80        tcp://[::]:80
`},
		{control.Status{Generations: generations(nil, nil), Endpoints: []control.Endpoint{{Name: "80", Address: "tcp://[::]:80", Steered: true}}}, plain + `
ENDPOINT  ADDRESS        STEERED
80        tcp://[::]:80  yes
`},
		{control.Status{Generations: generations(nil, nil), Endpoints: []control.Endpoint{
			{Name: "80", Address: "tcp://[::]:80", Inherited: true, Reason: "swapinit was given it"}, {Name: "dns", Address: "udp://[::]:53"}}}, plain + `
ENDPOINT  ADDRESS                    STEERED
80        tcp://[::]:80 (inherited)  no: swapinit was given it
dns       udp://[::]:53              no
`},
		{control.Status{Generations: generations(nil, nil), CanaryBy: "client"}, unknown + `
canary by: client
`},
		{control.Status{Generations: generations(nil, nil), CanaryBy: strings.Repeat("10.0.0.0/8,", 9), OneAddress: "172.17.0.1\n"}, unknown + `
canary by: 10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10…
all connections come from one address, 172.17.0.1\n (a proxy?)
`},
	} {
		now = &c.s
		status, out, errs := verb(addr, false, "status")
		if want := c.want + "\nlast swap: none\n"; status != 0 || errs != "" || out != want {
			t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", status, errs, out, want)
		}
	}
}

// How many workers are ready has a column where a generation has more than one.
func TestWorkersInStatus(t *testing.T) {
	all := 10000
	two := []control.Worker{{Worker: 0, Pid: 7, Ready: true}, {Worker: 1, Pid: 0, Restarts: 3}}
	generations := func(first, second []control.Worker, share *int) *control.Status {
		return &control.Status{Generations: []control.Generation{
			{Generation: 1, State: "draining", Pid: 6, Command: []string{"/srv"}, Workers: first},
			{Generation: 2, State: "active", Pid: 7, Command: []string{"/srv", "-x"}, Workers: second, Share: share},
		}}
	}
	for _, c := range []struct {
		s    *control.Status
		want string
	}{
		{generations(nil, two[:1], nil), `GEN  STATE     PID  UPTIME  READY
1    draining  6    0 ms    -
     /srv
     draining for 0 ms
2    active    7    0 ms    -
     /srv -x
`},
		{generations(two[:1], two, nil), `GEN  STATE     PID  UPTIME  READY  WORKERS
1    draining  6    0 ms    -      1/1
     /srv
     draining for 0 ms
2    active    7    0 ms    -      1/2
     /srv -x
`},
		{generations(two, nil, &all), `GEN  STATE     PID  UPTIME  READY  WORKERS  SHARE  OPEN  IDLE  QUEUED
1    draining  6    0 ms    -      1/2      -      -     -     -
     /srv
     draining for 0 ms
2    active    7    0 ms    -      0/0      100%   -     -     -
     /srv -x
`},
	} {
		addr := initWith(t, func(call *control.Call) { call.Done(&control.Reply{OK: true, Status: c.s}) })
		status, out, errs := verb(addr, false, "status")
		if want := c.want + "\nlast swap: none\n"; status != 0 || errs != "" || out != want {
			t.Errorf("status %d, stderr %q, stdout\n%swant\n%s", status, errs, out, want)
		}
	}
}

func TestOtherVerbs(t *testing.T) {
	healthy := true
	addr := initWith(t, func(c *control.Call) {
		switch c.Verb {
		case "swap":
			c.Done(&control.Reply{Error: "exited with status 3 before it was ready"})
		case "check":
			c.Done(&control.Reply{OK: true, Problems: &control.Problems{NotReady: "generation 1 is not ready yet (3s): last probe: no"}})
		case "restart":
			c.Done(&control.Reply{Error: "not ready within 1s"})
		case "health":
			if !healthy {
				c.Done(&control.Reply{Error: "generation 1 is not ready"})
				return
			}
			fallthrough
		case "rollback", "promote":
			if !healthy {
				c.Done(&control.Reply{Error: "there is nothing\x1b to go back to"})
				return
			}
			c.Done(&control.Reply{OK: true, Generation: 4})
		default:
			c.Done(&control.Reply{OK: true, Version: "1.2.3"})
		}
	})
	for _, c := range []struct {
		verb    string
		healthy bool
		status  int
		out     string
		errs    string
	}{
		{"health", true, 0, "healthy\n", ""},
		{"check", true, 0, "generation 1 is not ready yet (3s): last probe: no\n", ""},
		{"health", false, 1, "", "swapinit: health failed: generation 1 is not ready\n"},
		{"swap", false, 1, "", "swapinit: swap failed: exited with status 3 before it was ready; what it printed is in the container's log (docker logs)\n"},
		{"restart", false, 1, "", "swapinit: restart failed: not ready within 1s\n"},
		{"stop", true, 0, "stopping\n", ""},
		{"rollback", true, 0, "rolled back to generation 4\n", ""},
		{"rollback", false, 1, "", "swapinit: rollback failed: there is nothing\\x1b to go back to\n"},
		{"promote", true, 0, "promoted: generation 4 has all the traffic\n", ""},
		{"promote", false, 1, "", "swapinit: promote failed: there is nothing\\x1b to go back to\n"},
	} {
		healthy = c.healthy
		status, out, errs := verb(addr, false, c.verb)
		if status != c.status || out != c.out || errs != c.errs {
			t.Errorf("%s: status %d, %q, %q", c.verb, status, out, errs)
		}
	}
}

// Nobody is sent to the log for what is not there.
func TestSaid(t *testing.T) {
	for reason, want := range map[string]bool{
		"exited with status 3 before it was ready":                                      true,
		"exited with status 3 before it was ready: last probe: sh exited with status 1": true,
		"not ready within 1s: last probe: sh exited with status 1":                      false,
		"its canary check failed: sh exited with status 3":                              false,
	} {
		if got := said(reason) != ""; got != want {
			t.Errorf("%q: %v", reason, got)
		}
	}
}

// version is about this file first, and about the init where there is one.
func TestVersion(t *testing.T) {
	reply := control.Reply{}
	addr := initWith(t, func(c *control.Call) { own := reply; c.Done(&own) })
	for _, c := range []struct {
		addr  string
		reply control.Reply
		want  string
	}{
		{addr, control.Reply{OK: true, Version: "1.2.3"}, "swapinit 1.2.3 - git.abc\n"},
		{addr, control.Reply{OK: true, Version: "1.2.4\x1b"}, "swapinit 1.2.3 - git.abc\ninit 1.2.4\\x1b\n"},
		{addr, control.Reply{Error: "no", Code: control.CodeRefused}, "swapinit 1.2.3 - git.abc\n"},
		{"/no/such/socket", control.Reply{}, "swapinit 1.2.3 - git.abc\n"},
		{"off", control.Reply{}, "swapinit 1.2.3 - git.abc\n"},
		{"nonsense", control.Reply{}, "swapinit 1.2.3 - git.abc\n"},
	} {
		reply = c.reply
		if status, out, errs := verb(c.addr, false, "version"); status != 0 || out != c.want || errs != "" {
			t.Errorf("%s, %+v: status %d, %q, %q", c.addr, c.reply, status, out, errs)
		}
	}
}

var talkingVerbs = []string{"swap", "status", "health", "stop", "rollback", "promote", "restart"}

func TestNoInit(t *testing.T) {
	for addr, want := range map[string]string{
		"/no/such/socket": "cannot reach swapinit at /no/such/socket: no such file or directory",
		"@no such\nname":  `cannot reach swapinit at @no such\nname: connection refused`,
		"off":             "control is off (SWAPINIT_CONTROL=off)",
		"somewhere":       `cannot use SWAPINIT_CONTROL="somewhere", accepted: auto, off, an absolute path, @name`,
	} {
		for _, v := range talkingVerbs {
			status, out, errs := verb(addr, false, v)
			if status != 125 || out != "" || !strings.HasPrefix(errs, "swapinit: "+want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s with %q: status %d, %q, %q", v, addr, status, out, errs)
			}
		}
	}
}

// Hints name the path by which the program was started, and in a container whose init
// is a plain one say why nobody answers.
func TestHintsOfAnEngine(t *testing.T) {
	var errs bytes.Buffer
	v := verbRun{err: &errs, program: "/sbin/docker-init"}
	if status := v.run("status", []string{"x"}); status != 2 || !strings.HasSuffix(errs.String(), ", accepted: /sbin/docker-init status [--json] [--watch]\n") {
		t.Errorf("status %d, %q", status, &errs)
	}
	none := &control.NoInit{Reason: "nobody", Err: control.ErrNone}
	const plain = ": the init of a container without any SWAPINIT_ setting in its environment is a plain one"
	for _, c := range []struct {
		program string
		err     error
		want    string
	}{
		{"/sbin/docker-init", none, "swapinit: nobody" + plain + "\n"},
		{"/sbin/docker-init", &control.NoInit{Reason: "two"}, "swapinit: two\n"},
		{"/swapinit", none, "swapinit: nobody\n"},
	} {
		errs.Reset()
		v.program = c.program
		if status := v.answered("swap", verbArgs{}, nil, c.err); status != 125 || errs.String() != c.want {
			t.Errorf("%s: status %d, %q, want %q", c.program, status, &errs, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"swap", "cmd"}, `swap: unexpected argument "cmd" (a command stands after --), accepted: swapinit swap [--no-wait] [--follow] [--timeout D] [--strategy S] [--canary STAGES|off] [--canary-by B] [--cancel] [--json] [-- command arg...]`},
		{[]string{"swap", "--cancel", "--no-wait"}, "swap: cancel goes with nothing else, accepted: swapinit swap"},
		{[]string{"swap", "--cancel", "--", "cmd"}, "cancel goes with nothing else"},
		{[]string{"restart", "--side"}, "restart: --side needs the name of a process beside the server (SWAPINIT_SIDE_<NAME>)"},
		{[]string{"restart", "--side="}, "restart: --side needs"},
		{[]string{"restart", "--side", "\xff"}, "restart: --side needs"},
		{[]string{"restart", "--side", "cron", "--force"}, "restart: a process beside the server is started again by itself"},
		{[]string{"restart", "--side", "cron", "--no-wait"}, "is started again by itself"},
		{[]string{"restart", "--timeout=1s", "--side", "cron"}, "is started again by itself"},
		{[]string{"restart", "--side", "cron", "--json"}, "--json tells how a swap went"},
		{[]string{"swap", "--side", "cron"}, `unknown option "--side"`},
		{[]string{"restart", "--cancel"}, `unknown option "--cancel"`},
		{[]string{"swap", "--"}, "-- needs a command"},
		{[]string{"swap", "--", ""}, "-- needs a command"},
		{[]string{"swap", "--", "a", "\xff"}, `word 2 of the command, "\xff", is not UTF-8`},
		{[]string{"swap", "--timeout"}, `cannot use --timeout "", accepted is a duration from 1ms`},
		{[]string{"swap", "--timeout="}, `cannot use --timeout ""`},
		{[]string{"swap", "--timeout", "-1s"}, `cannot use --timeout "-1s"`},
		{[]string{"swap", "--timeout", "5"}, `cannot use --timeout "5"`},
		{[]string{"swap", "--timeout", "0"}, `cannot use --timeout "0"`},
		{[]string{"swap", "--timeout", "999us"}, `cannot use --timeout "999us"`},
		{[]string{"swap", "--follow=1"}, `unknown option "--follow=1"`},
		{[]string{"swap", "--follow", "--no-wait"}, "swap: a swap that nobody waits for cannot be followed, accepted: swapinit swap"},
		{[]string{"swap", "--no-wait", "--follow", "--", "cmd"}, "a swap that nobody waits for cannot be followed"},
		{[]string{"swap", "--strategy"}, "--strategy needs a value"},
		{[]string{"swap", "--strategy="}, "--strategy needs a value"},
		{[]string{"swap", "--strategy", "Replace\n"}, `unknown strategy "Replace\n", accepted: overlap, handover, replace`},
		{[]string{"swap", "--strategy=replace", "--canary", "1%/1s"}, "a canary needs the strategy overlap"},
		{[]string{"swap", "--force"}, `unknown option "--force"`},
		{[]string{"restart", "--follow"}, `restart: unknown option "--follow", accepted: swapinit restart [--force] [--no-wait] [--timeout D]`},
		{[]string{"restart", "--strategy=replace"}, `unknown option "--strategy=replace"`},
		{[]string{"restart", "--canary", "1%/1s"}, `unknown option "--canary"`},
		{[]string{"restart", "--timeout", "0"}, `cannot use --timeout "0"`},
		{[]string{"restart", "--", "cmd"}, `unknown option "--"`},
		{[]string{"restart", "now"}, `restart: unexpected argument "now", accepted`},
		{[]string{"message"}, "message: DATA is missing, accepted: swapinit message [--] DATA"},
		{[]string{"message", "--"}, `unknown option "--"`},
		{[]string{"message", "-5"}, `unknown option "-5"`},
		{[]string{"message", "--no-wait"}, `unknown option "--no-wait"`},
		{[]string{"message", "a", "b"}, `message: unexpected argument "b", accepted`},
		{[]string{"message", "--", "a", "b"}, `unexpected argument "b"`},
		{[]string{"message", "a\xff"}, "DATA is not UTF-8"},
		{[]string{"status", "--follow"}, `unknown option "--follow"`},
		{[]string{"swap", "--no-wait=true"}, `unknown option "--no-wait=true"`},
		{[]string{"swap", "--json", "--no-wait"}, "swap: --json tells how a swap went, which --no-wait, --follow and --cancel do not wait for, accepted: swapinit swap"},
		{[]string{"swap", "--follow", "--json"}, "--json tells how a swap went"},
		{[]string{"swap", "--cancel", "--json"}, "--json tells how a swap went"},
		{[]string{"restart", "--json", "--no-wait"}, "restart: --json tells how a swap went"},
		{[]string{"rollback", "--json"}, `unknown option "--json"`},
		{[]string{"status", "--yaml\n"}, `status: unknown option "--yaml\n", accepted: swapinit status [--json] [--watch]`},
		{[]string{"status", "--canary=1%/1s"}, `unknown option`},
		{[]string{"swap", "--watch"}, `unknown option "--watch"`},
		{[]string{"health", "--watch"}, `unknown option "--watch"`},
		{[]string{"swap", "--canary"}, "cannot use --canary: no stage in it, accepted are stages such as 1%/10s,25%/30s, and off, accepted: swapinit swap"},
		{[]string{"swap", "--canary="}, "cannot use --canary: no stage in it"},
		{[]string{"swap", "--canary", "1%"}, `cannot use --canary: no /DURATION in "1%"`},
		{[]string{"swap", "--canary=1%/10s,100%/10s"}, `cannot use --canary: a share that is not from 0.01% to 99.99% in "100%/10s"`},
		{[]string{"swap", "--canary-by", "10.0.0.1/8"}, `cannot use --canary-by: "10.0.0.1/8" is not an address and /bits with no bit set behind these, accepted are random, client, or networks such as 10.0.0.0/8,2001:db8::/32`},
		{[]string{"swap", "--canary-by"}, "cannot use --canary-by: no network in it"},
		{[]string{"swap", "--canary-by", "client", "--strategy", "replace"}, "a canary needs the strategy overlap"},
		{[]string{"swap", "--canary-by", "client", "--cancel"}, "cancel goes with nothing else"},
		{[]string{"swap", "--canary", "--no-wait"}, `cannot use --canary: no /DURATION in "--no-wait"`},
		{[]string{"rollback", "2"}, `rollback: unexpected argument "2", accepted: swapinit rollback`},
		{[]string{"promote", "--now"}, `promote: unknown option "--now", accepted: swapinit promote`},
		{[]string{"status", "x"}, `unexpected argument "x", accepted`},
		{[]string{"health", "--"}, `unknown option "--"`},
		{[]string{"stop", "now"}, `unexpected argument "now"`},
		{[]string{"version", "--timeout=1s"}, `unknown option`},
		{[]string{"wait"}, "NAME is missing, a release or a container id, accepted: swapinit wait NAME [--timeout D] [--or-rollback]"},
		{[]string{"wait", "v2", "v3"}, `unexpected argument "v3"`},
		{[]string{"wait", "--timeout", "v2"}, `cannot use --timeout "v2"`},
		{[]string{"wait", "v2", "--json"}, `unknown option "--json"`},
		{[]string{"check", "--watch"}, `unknown option "--watch", accepted: swapinit check [--json]`},
		{[]string{"swap", "--no-wiat"}, `swap: unknown option "--no-wiat" (did you mean --no-wait?), accepted: swapinit swap [`},
		{[]string{"swap", "--timeuot=1m"}, `swap: unknown option "--timeuot=1m" (did you mean --timeout?), accepted`},
		{[]string{"swap", "--canry", "1%/10s"}, `unknown option "--canry" (did you mean --canary?)`},
		{[]string{"status", "--no-wait"}, `unknown option "--no-wait", accepted`}, // another verb's
		{[]string{"message", "--json"}, `unknown option "--json", accepted`},
		{[]string{"dance"}, `there is no verb "dance", accepted verbs: swap, restart, rollback, promote, message, status, metrics, health, stop, version, gate, wait, check, help`},
		{[]string{"swpa", "--help"}, `there is no verb "swpa", did you mean swap?`},
	} {
		status, out, errs := verb("/no/such/socket", false, c.args...)
		if status != 2 || out != "" || !strings.HasPrefix(errs, "swapinit: ") || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q", c.args, status, out, errs)
		}
	}
	for _, v := range append(talkingVerbs, "version", "message") {
		usage, help := verbUsage("swapinit", v)
		for _, h := range []string{"-h", "--help"} {
			if status, out, errs := verb("/no/such/socket", false, v, h); status != 0 || out != usage+"\n"+help+"\n\n"+detailsOf("swapinit", v) || errs != "" {
				t.Errorf("%s %s: status %d, %q, %q", v, h, status, out, errs)
			}
		}
	}
}

func TestSpan(t *testing.T) {
	for ms, want := range map[int64]string{0: "0 ms", 999: "999 ms", 1000: "1.0 s", 59_999: "59.9 s", 60_000: "1m00s", 3599_000: "59m59s", 3600_000: "1h00m", 86_399_000: "23h59m", 86_400_000: "1d00h"} {
		if got := span(ms); got != want {
			t.Errorf("%d: %q, want %q", ms, got, want)
		}
	}
}

func FuzzVerbArgs(f *testing.F) {
	f.Add("swap", "--timeout\x0030s\x00--\x00cmd\x00--no-wait")
	f.Add("swap", "--no-wait\x00--timeout=1m")
	f.Add("status", "--json\x00--watch")
	f.Add("swap", "--canary\x001%/10s,25%/30s\x00--canary=0.5%/1m")
	f.Add("swap", "--strategy=replace\x00--follow\x00--\x00x")
	f.Add("restart", "--force\x00--timeout\x001s\x00--no-wait")
	f.Add("message", "{\"a\":1}")
	f.Add("message", "--\x00-h")
	f.Add("rollback", "")
	f.Add("health", "-h")
	f.Fuzz(func(t *testing.T, verb, joined string) {
		if usage, _ := verbUsage("swapinit", verb); usage == "" {
			return
		}
		var args []string
		if joined != "" {
			args = strings.Split(joined, "\x00")
		}
		a, err := parseVerb(verb, slices.Clone(args))
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		starts := verb == "swap" || verb == "restart"
		if !starts && (a.swap.NoWait || a.swap.TimeoutMS != 0) || verb != "swap" && (a.swap.Command != nil || a.swap.Canary+a.swap.Strategy != "" || a.swap.Follow) ||
			verb != "restart" && (a.swap.Force || a.swap.Side != "") || !a.help && (verb == "message") != (a.data != "") || verb != "status" && (a.json || a.watch) {
			t.Fatalf("%s %q: %+v", verb, args, a)
		}
		if a.swap.TimeoutMS < 0 || a.swap.Timeout() < 0 {
			t.Fatalf("timeout %d", a.swap.TimeoutMS)
		}
		if a.swap.Canary != "" && checkCanary(a.swap.Canary) != nil {
			t.Fatalf("canary %q", a.swap.Canary)
		}
		if a.swap.Problem() != "" {
			t.Fatalf("%q: %s", args, a.swap.Problem())
		}
		if a.data != "" && !json.Valid([]byte(a.data)) {
			t.Fatalf("%q gave the data %q", args, a.data)
		}
		i := slices.Index(args, "--")
		if a.swap.Command != nil && (i < 0 || !slices.Equal(a.swap.Command, args[len(args)-len(a.swap.Command):]) || a.swap.Command[0] == "") {
			t.Fatalf("%q gave the command %q", args, a.swap.Command)
		}
	})
}

// What an init that is not ours sends must not reach the terminal raw.
func FuzzRender(f *testing.F) {
	f.Add("active", "a b", "\x1b[2J\n", int64(5))
	f.Fuzz(func(t *testing.T, state, word, text string, n int64) {
		small := int(n)
		s := &control.Status{
			Generations: []control.Generation{{Generation: int(n), State: state, Command: []string{word}, Status: text, ReadyMS: &n, UptimeMS: n, Share: &small, Open: &small, Workers: []control.Worker{{Pid: small}, {Restarts: small}}, SinceMS: n, LeftMS: &n, Kept: n > 0, BusyMore: small, Busy: []busy.Conn{{Peer: text, Why: word, AgeMS: n, Endpoint: state}, {Peer: word, Why: text}}}},
			Swap:        &control.RunningSwap{Generation: small, Stage: word, SinceMS: n, LeftMS: &n, Share: small},
			Joined:      &control.Joined{Gate: text, Role: word, AwayMS: &n},
			Endpoints:   []control.Endpoint{{Name: state, Address: text, Reason: word}},
			LastSwap:    &control.LastSwap{Reason: text},
		}
		var out bytes.Buffer
		v := verbRun{out: &out, err: &out}
		v.stage(control.Event{Event: state, Message: text, Share: small})
		v.fail(1, text)
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Fatalf("%d lines: %q", n, out.String())
		}
		table, object := (&verbRun{}).page(s), s.JSON()+"\n"
		if strings.Count(object, "\n") != 1 {
			t.Fatalf("lines: %q", object)
		}
		fits(t, table, leastWidth)
		gate := (&verbRun{}).page(&control.Status{Gate: &control.Gate{Members: []control.GateMember{{Container: text, Release: word, State: state, Reason: text, SinceMS: n, Share: &small, Open: &small}},
			LastTakeover: &control.Takeover{Container: word, Release: text, Predecessor: text, Reason: word, AgoMS: n}}, Endpoints: s.Endpoints})
		fits(t, gate, leastWidth)
		for _, r := range out.String() + table + gate + object {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) {
				t.Fatalf("%U came through", r)
			}
		}
	})
}

// docs/control.md shows what the verbs print.
func TestDocumentedOutput(t *testing.T) {
	b, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	_, line, _ := strings.Cut(doc, "\n< {\"v\":1,\"ok\":true,\"status\":")
	line, _, _ = strings.Cut(line, "\n")
	var s struct {
		Generations []struct {
			Generation, Pid int
			State, Status   string
			Uptime_MS       int64
			Ready_MS        *int64
			Command         []string
			Share           float64
			Open, Idle      int
			Queued          int
			Workers         []control.Worker
		}
		Endpoints []control.Endpoint
		Last_Swap struct {
			Generation, Pid int
			OK              bool
			Reason, Outcome string
			Outcome_At      string
			Ago_MS          int64
			Began, Ended    string
			Stages          []struct {
				Stage     string
				At_MS, MS int64
			}
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(line, "}")), &s); err != nil {
		t.Fatal(err)
	}
	l := s.Last_Swap
	swapped := control.LastSwap{Generation: l.Generation, OK: l.OK, Reason: l.Reason, Outcome: l.Outcome, OutcomeAt: l.Outcome_At, AgoMS: l.Ago_MS, Began: l.Began, Ended: l.Ended, Pid: l.Pid}
	for _, s := range l.Stages {
		swapped.Stages = append(swapped.Stages, control.SwapStage{Stage: s.Stage, AtMS: s.At_MS, MS: s.MS})
	}
	known := &control.Status{Endpoints: s.Endpoints, LastSwap: &swapped}
	for _, g := range s.Generations {
		share := int(g.Share * 100)
		known.Generations = append(known.Generations, control.Generation{Generation: g.Generation, State: g.State, Pid: g.Pid, UptimeMS: g.Uptime_MS, ReadyMS: g.Ready_MS, Command: g.Command, Status: g.Status,
			Share: &share, Open: &g.Open, Idle: &g.Idle, Queued: &g.Queued, Workers: g.Workers})
	}
	if want := (&verbRun{}).page(known); !strings.Contains(doc, want) {
		t.Errorf("the table is not there:\n%s", want)
	}
	addr := initWith(t, func(c *control.Call) {
		swapEvents(c)
		c.Done(&control.Reply{OK: true, Generation: 2})
	})
	if _, want, _ := verb(addr, false, "swap"); !strings.Contains(doc, want) {
		t.Errorf("the stages are not there:\n%s", want)
	}
	swapped.AgoMS = 0
	addr = initWith(t, func(c *control.Call) { c.Done(&control.Reply{OK: true, Generation: 2, Swap: &swapped}) })
	if _, want, _ := verb(addr, false, "swap", "--json"); !strings.Contains(doc, want) {
		t.Errorf("the result is not there:\n%s", want)
	}
}
