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

	"github.com/swapinit/swapinit/internal/control"
)

// verb runs a verb against the init at addr.
func verb(addr string, color bool, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	v := verbRun{out: &out, err: &errs, color: color, version: "1.2.3", env: func(k string) string {
		if k == "SWAPINIT_CONTROL" {
			return addr
		}
		return ""
	}}
	status = v.run(args[0], args[1:])
	return status, out.String(), errs.String()
}

// initWith is a control server whose loop is answer.
func initWith(t *testing.T, answer func(control.Call)) string {
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
func swapEvents(c control.Call) {
	for _, e := range []control.Event{
		{Event: control.EventStarted, Generation: 2, Pid: 7},
		{Event: control.EventReady, Generation: 2, MS: 1234},
		{Event: control.EventSettled, Generation: 2, MS: 2240},
		{Event: control.EventCutover, Generation: 2, MS: 2241},
		{Event: control.EventStopping, Generation: 1},
	} {
		c.Event(e)
	}
}

// swapping plays one that had to wait, under an init that says more than we know.
func swapping(c control.Call) {
	c.Event(control.Event{Event: control.EventQueued, Message: "generation 1 is being replaced"})
	swapEvents(c)
	c.Event(control.Event{Event: "future\x1b[2J", Message: "a\nb"})
	c.Done(control.Reply{OK: true, Generation: 2})
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

func TestSwapFails(t *testing.T) {
	addr := initWith(t, func(c control.Call) {
		c.Event(control.Event{Event: control.EventStarted, Generation: 2, Pid: 7})
		c.Event(control.Event{Event: control.EventFailed, Generation: 2, Message: "exited 3"})
		c.Done(control.Reply{Error: "generation 2 exited 3 before it was ready\n\x1b[31m", Generation: 2})
	})
	status, out, errs := verb(addr, false, "swap")
	if status != 1 || out != "generation 2 started, pid 7\ngeneration 2 failed\n" ||
		errs != "swapinit: swap failed: generation 2 exited 3 before it was ready\\n\\x1b[31m\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

func TestSwapArgsArrive(t *testing.T) {
	calls := make(chan control.Call, 1)
	addr := initWith(t, func(c control.Call) { calls <- c; c.Done(control.Reply{OK: true, Generation: 3}) })
	for _, c := range []struct {
		args []string
		want control.SwapArgs
		out  string
	}{
		{[]string{"swap", "--no-wait"}, control.SwapArgs{NoWait: true}, "swap begun: generation 3\n"},
		{[]string{"swap", "--timeout", "1m30s", "--", "a b", "--no-wait", "--", ""}, control.SwapArgs{TimeoutMS: 90000, Command: []string{"a b", "--no-wait", "--", ""}}, "swap done: generation 3 has all the traffic\n"},
		{[]string{"swap", "--timeout=1ms", "--timeout=2s"}, control.SwapArgs{TimeoutMS: 2000}, "swap done: generation 3 has all the traffic\n"},
	} {
		status, out, errs := verb(addr, false, c.args...)
		got := (<-calls).Swap
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
	addr := initWith(t, func(c control.Call) { c.Done(control.Reply{OK: true, Status: now}) })
	for _, c := range []struct {
		s    *control.Status
		args []string
		want string
	}{
		{full, []string{"status"}, `GENERATION  STATE     PID   UPTIME  READY  COMMAND                                STATUS
1           draining  6     3d02h   1.2 s  /usr/bin/server --name 'it'\''s ä' ''
12          active    1007  1m01s   -      /bin/sh -c 'a\n\x1b[2J<b>'             serving \u202e\u009b

ENDPOINT      ADDRESS
8080          tcp://[::]:8080
admin-socket  unix:///run/a.sock (inherited)

last swap: generation 13 failed: exited 3\nbefore it was ready
`},
		{full, []string{"status", "--json"}, `{"v":1,"pid":1,"ready":true,"generations":[` +
			`{"generation":1,"state":"draining","pid":6,"pids":[6],"uptime_ms":266400000,"ready_ms":1234,"command":["/usr/bin/server","--name","it's ä",""],"dir":"/srv","status":""},` +
			`{"generation":12,"state":"active","pid":1007,"pids":[1007,1010],"uptime_ms":61000,"ready_ms":null,"command":["/bin/sh","-c","a\n\u001b[2J<b>"],"dir":"","status":"serving \u202e\u009b"}],` +
			`"endpoints":[{"name":"8080","address":"tcp://[::]:8080","inherited":false},{"name":"admin-socket","address":"unix:///run/a.sock","inherited":true}],` +
			`"last_swap":{"generation":13,"ok":false,"reason":"exited 3\nbefore it was ready"}}` + "\n"},
		{&control.Status{Generations: []control.Generation{{Generation: 1, State: "active", Pid: 7, Command: []string{"/bin/sh", "-c", strings.Repeat("x\n", 500)}, Status: strings.Repeat("ä", 61)}}}, []string{"status"},
			"GENERATION  STATE   PID  UPTIME  READY  COMMAND                                                       STATUS\n" +
				"1           active  7    0 ms    -      /bin/sh -c '" + strings.Repeat(`x\n`, 15) + "x\\…  " + strings.Repeat("ä", 59) + "…\n\nlast swap: none\n"},
		{&control.Status{}, []string{"status"}, "GENERATION  STATE  PID  UPTIME  READY  COMMAND  STATUS\n\nlast swap: none\n"},
		{&control.Status{LastSwap: &control.LastSwap{Generation: 2, OK: true}}, []string{"status"}, "GENERATION  STATE  PID  UPTIME  READY  COMMAND  STATUS\n\nlast swap: generation 2, ok\n"},
	} {
		now = c.s
		status, out, errs := verb(addr, false, c.args...)
		if status != 0 || errs != "" || out != c.want {
			t.Errorf("%q: status %d, stderr %q, stdout\n%swant\n%s", c.args, status, errs, out, c.want)
		}
	}
}

func TestOtherVerbs(t *testing.T) {
	healthy := true
	addr := initWith(t, func(c control.Call) {
		switch c.Verb {
		case "health":
			if !healthy {
				c.Done(control.Reply{Error: "generation 1 is not ready"})
				return
			}
			fallthrough
		default:
			c.Done(control.Reply{OK: true, Version: "1.2.3"})
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
		{"health", false, 1, "", "swapinit: health failed: generation 1 is not ready\n"},
		{"stop", true, 0, "stopping\n", ""},
	} {
		healthy = c.healthy
		status, out, errs := verb(addr, false, c.verb)
		if status != c.status || out != c.out || errs != c.errs {
			t.Errorf("%s: status %d, %q, %q", c.verb, status, out, errs)
		}
	}
}

// version is about this file first, and about the init where there is one.
func TestVersion(t *testing.T) {
	reply := control.Reply{}
	addr := initWith(t, func(c control.Call) { c.Done(reply) })
	for _, c := range []struct {
		addr  string
		reply control.Reply
		want  string
	}{
		{addr, control.Reply{OK: true, Version: "1.2.3"}, "swapinit 1.2.3\n"},
		{addr, control.Reply{OK: true, Version: "1.2.4\x1b"}, "swapinit 1.2.3\ninit 1.2.4\\x1b\n"},
		{addr, control.Reply{Error: "no", Code: control.CodeRefused}, "swapinit 1.2.3\n"},
		{"/no/such/socket", control.Reply{}, "swapinit 1.2.3\n"},
		{"off", control.Reply{}, "swapinit 1.2.3\n"},
		{"nonsense", control.Reply{}, "swapinit 1.2.3\n"},
	} {
		reply = c.reply
		if status, out, errs := verb(c.addr, false, "version"); status != 0 || out != c.want || errs != "" {
			t.Errorf("%s, %+v: status %d, %q, %q", c.addr, c.reply, status, out, errs)
		}
	}
}

var talkingVerbs = []string{"swap", "status", "health", "stop"}

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

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"swap", "cmd"}, `swap: unexpected argument "cmd" (a command stands after --), accepted: swapinit swap [--no-wait] [--timeout D] [-- command arg...]`},
		{[]string{"swap", "--"}, "-- needs a command"},
		{[]string{"swap", "--", ""}, "-- needs a command"},
		{[]string{"swap", "--", "a", "\xff"}, `word 2 of the command, "\xff", is not UTF-8`},
		{[]string{"swap", "--timeout"}, `cannot use --timeout "", accepted is a duration from 1ms`},
		{[]string{"swap", "--timeout="}, `cannot use --timeout ""`},
		{[]string{"swap", "--timeout", "-1s"}, `cannot use --timeout "-1s"`},
		{[]string{"swap", "--timeout", "5"}, `cannot use --timeout "5"`},
		{[]string{"swap", "--timeout", "0"}, `cannot use --timeout "0"`},
		{[]string{"swap", "--timeout", "999us"}, `cannot use --timeout "999us"`},
		{[]string{"swap", "--follow"}, `unknown option "--follow"`},
		{[]string{"swap", "--no-wait=true"}, `unknown option "--no-wait=true"`},
		{[]string{"swap", "--json"}, `unknown option "--json"`},
		{[]string{"status", "--yaml\n"}, `status: unknown option "--yaml\n", accepted: swapinit status [--json]`},
		{[]string{"status", "x"}, `unexpected argument "x", accepted`},
		{[]string{"health", "--"}, `unknown option "--"`},
		{[]string{"stop", "now"}, `unexpected argument "now"`},
		{[]string{"version", "--timeout=1s"}, `unknown option`},
		{[]string{"restart"}, "restart is not in this version of swapinit, accepted verbs: swap, status, health, stop, version, help"},
		{[]string{"rollback", "x"}, "rollback is not in this version"},
		{[]string{"promote"}, "promote is not in this version"},
		{[]string{"message", "-h"}, "message is not in this version"},
		{[]string{"check"}, "check is not in this version"},
		{[]string{"dance"}, "dance is not in this version"},
	} {
		status, out, errs := verb("/no/such/socket", false, c.args...)
		if status != 2 || out != "" || !strings.HasPrefix(errs, "swapinit: ") || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q", c.args, status, out, errs)
		}
	}
	for _, v := range append(talkingVerbs, "version") {
		usage := verbUsage(v)
		for _, h := range []string{"-h", "--help"} {
			if status, out, errs := verb("/no/such/socket", false, v, h); status != 0 || out != usage+"\n" || errs != "" {
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
	f.Add("status", "--json")
	f.Add("health", "-h")
	f.Fuzz(func(t *testing.T, verb, joined string) {
		if verbUsage(verb) == "" {
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
		if verb != "swap" && (a.swap.NoWait || a.swap.TimeoutMS != 0 || a.swap.Command != nil) || verb != "status" && a.json {
			t.Fatalf("%s %q: %+v", verb, args, a)
		}
		if a.swap.TimeoutMS < 0 || a.swap.Timeout() < 0 {
			t.Fatalf("timeout %d", a.swap.TimeoutMS)
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
		s := &control.Status{
			Generations: []control.Generation{{Generation: int(n), State: state, Command: []string{word}, Status: text, ReadyMS: &n, UptimeMS: n}},
			Endpoints:   []control.Endpoint{{Name: state, Address: text}},
			LastSwap:    &control.LastSwap{Reason: text},
		}
		var out bytes.Buffer
		v := verbRun{out: &out, err: &out}
		v.stage(control.Event{Event: state, Message: text})
		v.fail(1, text)
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Fatalf("%d lines: %q", n, out.String())
		}
		table, object := statusTable(s), s.JSON()+"\n"
		if strings.Count(table, "\n") != 7 || strings.Count(object, "\n") != 1 {
			t.Fatalf("lines: %q %q", table, object)
		}
		for _, r := range out.String() + table + object {
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
		}
		Endpoints []control.Endpoint
		Last_Swap *control.LastSwap
	}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(line, "}")), &s); err != nil {
		t.Fatal(err)
	}
	known := &control.Status{Endpoints: s.Endpoints, LastSwap: s.Last_Swap}
	for _, g := range s.Generations {
		known.Generations = append(known.Generations, control.Generation{Generation: g.Generation, State: g.State, Pid: g.Pid, UptimeMS: g.Uptime_MS, ReadyMS: g.Ready_MS, Command: g.Command, Status: g.Status})
	}
	if want := statusTable(known); !strings.Contains(doc, want) {
		t.Errorf("the table is not there:\n%s", want)
	}
	addr := initWith(t, func(c control.Call) {
		swapEvents(c)
		c.Done(control.Reply{OK: true, Generation: 2})
	})
	if _, want, _ := verb(addr, false, "swap"); !strings.Contains(doc, want) {
		t.Errorf("the stages are not there:\n%s", want)
	}
}
