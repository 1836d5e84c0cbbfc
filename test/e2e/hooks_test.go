package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What the hook before a swap does, and what becomes of the swap.
func TestPreSwap(t *testing.T) {
	srv := binary(t, "server")
	cases := []struct {
		name, hook, timeout string
		words               []string // of the error; nil: the swap works
		answer              string
	}{
		{"ok", `true`, "", nil, "generation 2\n"},
		{"says something", `echo "command is not the word"`, "", nil, "generation 2\n"},
		{"names a command", `echo first; echo "command=` + srv + ` -say 'the  hook'"`, "", nil, "generation 2 the  hook\n"},
		{"names it too early", `echo "command=false"; echo done`, "", nil, "generation 2\n"},
		{"names none", `echo command=`, "", []string{"pre-swap hook", "command="}, ""},
		{"names it badly", `echo "command='open"`, "", []string{"pre-swap hook", "'open"}, ""},
		{"names what does not exist", `echo command=/nonexistent/server`, "", []string{"/nonexistent/server"}, ""},
		{"fails", `echo command=` + srv + `; exit 3`, "", []string{"pre-swap hook", "status 3"}, ""},
		{"dies", `kill -9 $$`, "", []string{"pre-swap hook", "KILL"}, ""},
		{"hangs", `sleep 1000 & wait`, "300ms", []string{"pre-swap hook", "300ms"}, ""},
		{"prints 50 MB", `head -c 50000000 /dev/zero | tr "\0" x; echo; echo "command=` + srv + ` -say talkative"`, "", nil, "generation 2 talkative\n"},
		{"prints 50 MB in a line", `printf command=; head -c 50000000 /dev/zero | tr "\0" x`, "", nil, "generation 2\n"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			script := write(t, filepath.Join(tempDir(t), "hook"), tc.hook+"\n")
			env := []string{"SWAPINIT_PRE_SWAP=sh " + script}
			if tc.timeout != "" {
				env = append(env, "SWAPINIT_HOOK_TIMEOUT="+tc.timeout)
			}
			c := startWeb(t, opts{Env: env})
			c.get("/") // what it needs to serve is there
			l := c.load()
			moreRequests(t, l, 20)
			before := peakOf(t, c.box.Pid())
			r := c.Verb("swap")
			if after := peakOf(t, c.box.Pid()); after > before+peakGrowth {
				t.Errorf("the init had %d KiB at most, and then %d", before, after)
			}
			moreRequests(t, l, 20)
			noLoss(t, l)
			if tc.words == nil {
				if r.Code != 0 {
					t.Fatalf("swap: %v", r)
				}
				c.awaitStates("2:active")
				c.wantAnswer(tc.answer)
				return
			}
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			oneLine(t, r.Stderr, tc.words...)
			c.awaitStates("1:active")
			c.wantNever("gen 1: got")
			if n := len(c.Procs()); n != 2 {
				t.Errorf("something of the hook is left: %v", c.Procs())
			}
			if s := c.status(); s.LastSwap == nil || s.LastSwap.OK || s.LastSwap.Reason == "" {
				t.Errorf("the last swap is %+v", s.LastSwap)
			}
		})
	}
}

// A hook that cannot be run at all is named together with the reason.
func TestPreSwapMissing(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_PRE_SWAP=/nonexistent/hook --now"}})
	for range 2 {
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		oneLine(t, r.Stderr, "pre-swap hook", "/nonexistent/hook")
	}
	c.awaitStates("1:active")
	c.wantNever("gen 1: got")
}

// While the hook runs the active generation serves, a stop stops, and whoever
// asks for a swap meanwhile gets one that begins later.
func TestPreSwapRuns(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	script := write(t, filepath.Join(dir, "hook"), `echo "$SWAPINIT_GENERATION" >>`+dir+`/ran; while [ ! -e `+dir+`/gate ]; do sleep 0.01; done`)
	c := startWeb(t, opts{Env: []string{"SWAPINIT_PRE_SWAP=sh " + script, "SWAPINIT_HOOK_TIMEOUT=0"}})
	first := c.later("swap")
	await(t, "the hook", func() bool { return read(dir+"/ran") != "" })
	l := c.load()
	moreRequests(t, l, 50)
	noLoss(t, l)
	second := c.later("swap")
	if len(first) > 0 || len(second) > 0 {
		t.Error("a swap has ended before its hook")
	}
	touch(t, dir+"/gate")
	for _, swap := range []<-chan result{first, second} {
		if r := receive(t, "the swap", swap); r.Code != 0 {
			t.Errorf("swap: %v", r)
		}
	}
	c.awaitStatus("the last generation alone", func(s status) bool { return len(s.Generations) == 1 && s.Generations[0].Generation >= 2 })

	if err := os.Remove(dir + "/gate"); err != nil {
		t.Fatal(err)
	}
	n := strings.Count(read(dir+"/ran"), "\n")
	third := c.later("swap")
	await(t, "the hook", func() bool { return strings.Count(read(dir+"/ran"), "\n") > n })
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if r := receive(t, "the swap", third); r.Code == 0 {
		t.Errorf("swap: %v", r)
	}
}

// The hook after a swap runs after every swap that began, whatever came of it.
func TestPostSwap(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	script := write(t, filepath.Join(dir, "hook"), `echo "$SWAPINIT_RESULT of $SWAPINIT_GENERATION" >>`+dir+`/log; env >`+dir+`/env; ls /proc/$$/fd >`+dir+`/fds; echo to be seen`)
	c := startWeb(t, opts{Env: []string{"SWAPINIT_POST_SWAP=sh " + script}})
	expect := func(want ...string) {
		t.Helper()
		text := strings.Join(want, "\n") + "\n"
		await(t, fmt.Sprintf("the hook to write %q", text), func() bool { return read(dir+"/log") == text })
	}
	c.Swap()
	expect("ok of 2")
	if r := c.Verb(append([]string{"swap", "--"}, server(t, "-die", "boot")...)...); r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	expect("ok of 2", "failed of 3")
	c.Signal(syscall.SIGHUP)
	expect("ok of 2", "failed of 3", "ok of 4")
	c.awaitErr("to be seen") // what it prints is not lost, and not on standard output
	c.wantNever("to be seen")
	await(t, "the list of descriptors", func() bool { return strings.Contains(read(dir+"/fds"), "2\n") })
	for fd := range strings.FieldsSeq(read(dir + "/fds")) {
		if !slices.Contains([]string{"0", "1", "2", "10", "11", "255"}, fd) { // the latter are the shell's own
			t.Errorf("the hook has fd %s", fd)
		}
	}
	for _, name := range []string{"LISTEN_FDS", "NOTIFY_SOCKET", "SWAPINIT_READY_FD", "SWAPINIT_CHANNEL_FD", "SWAPINIT_POST_SWAP"} {
		if strings.Contains("\n"+read(dir+"/env"), "\n"+name+"=") {
			t.Errorf("the hook has %s", name)
		}
	}
}

// A failing, hanging or missing hook after a swap changes nothing of it.
func TestPostSwapFails(t *testing.T) {
	for _, tc := range []struct{ name, hook, said string }{
		{"fails", "false", "exited with status 1"}, {"hangs", "sleep 1000", "did not end within 300ms"}, {"missing", "/nonexistent/hook", "/nonexistent/hook"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_POST_SWAP=" + tc.hook, "SWAPINIT_HOOK_TIMEOUT=300ms"}})
			c.Swap()
			c.awaitErr(tc.said)
			for line := range strings.Lines(c.Stderr()) {
				if strings.Contains(line, tc.said) && !strings.Contains(line, "post-swap hook") {
					t.Errorf("%q does not say what it is about", line)
				}
			}
			c.awaitStates("2:active")
			c.wantServing(2)
			c.Swap()
			c.awaitStates("3:active")
			if s := c.status(); s.LastSwap == nil || !s.LastSwap.OK {
				t.Errorf("the last swap is %+v", s.LastSwap)
			}
			await(t, "the end of the hooks", func() bool { return len(c.Procs()) == 2 })
		})
	}
}

// A hook before a swap that fails is followed by the one after it: that swap
// had begun.
func TestPostSwapAfterPreSwap(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	c := startWeb(t, opts{Env: []string{"SWAPINIT_PRE_SWAP=false", "SWAPINIT_POST_SWAP=sh -c 'echo $SWAPINIT_RESULT >>" + dir + "/log'"}})
	if r := c.Verb("swap"); r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	await(t, "the hook after it", func() bool { return read(dir+"/log") == "failed\n" })
}
