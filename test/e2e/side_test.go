package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Processes beside the server (SWAPINIT_SIDE_<NAME>).

type sideStatus struct {
	Name     string   `json:"name"`
	Pid      int      `json:"pid"`
	UptimeMS *int64   `json:"uptime_ms"`
	Restarts int      `json:"restarts"`
	Command  []string `json:"command"`
	Reason   string   `json:"reason"`
}

// side is one of the status.
func (c *container) side(name string) sideStatus {
	c.t.Helper()
	s := c.status()
	for _, one := range s.Sides {
		if one.Name == name {
			return one
		}
	}
	c.t.Fatalf("no side %s in %+v", name, s.Sides)
	panic("unreachable")
}

// strayBeside is a setting for a process that is told by its lines on standard output:
// "stray got TERM", and after a time "stray done".
func strayBeside(t *testing.T, name, stop string) string {
	return "SWAPINIT_SIDE_" + name + "=" + binary(t, "server") + " stray " + stop
}

// What a process beside the server has, and has not.
func TestSide(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	script := fmt.Sprintf("%s state >%s/state; exec sleep 1000", binary(t, "server"), dir)
	c := startWeb(t, opts{Env: []string{`SWAPINIT_SIDE_SHOWS=sh -c "` + script + `"`, "NGINX={fd.web};", "NUMBER=<{generation}>", "OTHER={x}", "SWAPINIT_EXPORT=systemd,server-starter,einhorn",
		"SWAPINIT_WATCHDOG=1h", "SWAPINIT_NODE_IPC=1", "SWAPINIT_DIR=" + dir}})
	await(t, "the state", func() bool { return json.Valid([]byte(read(dir + "/state"))) })
	s := parseState(t, read(dir+"/state"))
	var ours []string
	for _, kv := range s.Env {
		name, _, _ := strings.Cut(kv, "=")
		for _, prefix := range []string{"SWAPINIT_", "LISTEN_", "NOTIFY_", "WATCHDOG_", "SERVER_STARTER_", "EINHORN_", "NODE_", "NGINX", "NUMBER", "OTHER"} {
			if strings.HasPrefix(name, prefix) {
				ours = append(ours, kv)
			}
		}
	}
	slices.Sort(ours)
	if want := []string{"NUMBER=<0>", "OTHER={x}", "SWAPINIT_CONTROL=" + c.controlAddress()}; !slices.Equal(ours, want) {
		t.Errorf("of what is told to a server it has %q, want %q", ours, want)
	}
	if fd0, ok := s.Fds[0], len(s.Fds) == 3; !ok && fd0 != "/dev/null" {
		t.Errorf("descriptors %v", s.Fds)
	}
	for fd, file := range s.Fds {
		if strings.Contains(file, "socket:") || fd > 2 && !strings.HasPrefix(file, "anon_inode:") && !strings.HasPrefix(file, "/proc/") && !strings.HasPrefix(file, "pipe:") {
			t.Errorf("descriptor %d is %s", fd, file)
		}
	}
	if s.Dir != dir {
		t.Errorf("directory %s, want %s", s.Dir, dir)
	}
	one := c.side("shows")
	host := c.hostPid(one.Pid)
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", host))
	links := map[string]string{}
	for _, f := range files {
		links[f.Name()], _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", host, f.Name()))
	}
	if len(links) != 3 || links["0"] != "/dev/null" || links["1"] != c.out || links["2"] != c.err {
		t.Errorf("descriptors %v", links)
	}
	if group := strings.Fields(procField(host, "NSpgid")); group[len(group)-1] != itoa(one.Pid) {
		t.Errorf("process group %v, pid %d", group, one.Pid)
	}
	// Pids are given out in their order here.
	if first := c.status().pidOf(1); one.Pid >= first {
		t.Errorf("its pid is %d, that of the first generation %d", one.Pid, first)
	}
	if one.UptimeMS == nil || one.Restarts != 0 || one.Reason != "" || len(one.Command) != 3 || one.Command[0] != "sh" {
		t.Errorf("status %+v", one)
	}
	if r := c.Verb("status"); !strings.Contains(r.Stdout, "\nSIDE   PID  UPTIME  RESTARTS\nshows  "+itoa(one.Pid)+" ") {
		t.Errorf("status %v", r)
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if c.Stderr() != "" {
		t.Errorf("said %q", c.Stderr())
	}
}

// It outlives swaps, whatever becomes of them, gets none of their signals, and its TERM
// only when the last generation has ended.
func TestSideOutlivesSwaps(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "600ms"), "SWAPINIT_RETIRE_TIMEOUT=200ms", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}}, "-stop", "ignore")
	c.awaitOut("stray started")
	pid := c.side("one").Pid
	same := func(after string) {
		t.Helper()
		if one := c.side("one"); one.Pid != pid || one.Restarts != 0 {
			t.Fatalf("after %s it is %+v, the pid was %d", after, one, pid)
		}
		c.wantNever("stray got")
	}
	c.Swap(append([]string{"--"}, server(t, "-stop", "ignore", "-strays", "1", "-stray-stop", "1ms")...)...)
	c.awaitStates("2:active") // the predecessor's processes have got KILL
	if n := strings.Count(c.Stderr(), "gets KILL"); n != 1 {
		t.Errorf("KILL %d times", n)
	}
	same("a swap with KILL")
	for name, flags := range map[string][]string{"death": {"-die", "boot"}, "no socket": {"-take", "none"}} {
		if r := c.swapWith(flags...); r.Code != 1 {
			t.Fatalf("%s: %v", name, r)
		}
		c.awaitStates("2:active")
		same(name)
	}
	if r := c.Verb("swap", "--", "/nonexistent"); r.Code != 1 {
		t.Fatal(r)
	}
	same("a successor that cannot be executed")
	if r := c.Verb("restart", "--force"); r.Code != 0 {
		t.Fatal(r)
	}
	c.awaitStates("6:active") // the stray of generation 2 has got KILL
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGWINCH} {
		c.Signal(sig)
	}
	c.awaitOut("got WINCH")
	same("signals")
	if r := c.Verb("message", "hello"); r.Stdout != "delivered to 1 worker\n" {
		t.Errorf("message: %v", r)
	}
}

// When the container stops it gets TERM after the last generation has ended, and its time.
func TestSideIsStoppedLast(t *testing.T) {
	t.Run("asked to stop", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "600ms"), "SWAPINIT_LEFTOVER_TIMEOUT=1h"}}, "-status", "4")
		c.awaitOut("stray started")
		request := c.longRequest()
		c.Signal(syscall.SIGTERM)
		c.awaitOut("gen 1: got TERM")
		for range 20 {
			c.side("one") // it is there
		}
		c.wantNever("stray got")
		request.finish()
		c.wantStatus(4)
		c.wantOrder("gen 1: got TERM", "gen 1: done", "stray got TERM", "stray done")
		c.wantStrays(1)
		if c.Stderr() != "" {
			t.Errorf("said %q", c.Stderr())
		}
	})
	t.Run("the server ends by itself", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "600ms"), "SWAPINIT_LEFTOVER_TIMEOUT=1h"}})
		c.awaitOut("stray started")
		c.do("exit", "5")
		c.wantStatus(5)
		c.wantStrays(1)
	})
	t.Run("the server cannot be executed", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{strayBeside(t, "ONE", "1ms"), "SWAPINIT_LEFTOVER_TIMEOUT=1h"}, Args: []string{"/nonexistent"}, Early: true})
		c.wantStatus(127)
		oneLine(t, c.Stderr(), "/nonexistent")
	})
	t.Run("it ignores TERM", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "never"), "SWAPINIT_LEFTOVER_TIMEOUT=200ms"}}, "-status", "6")
		c.awaitOut("stray started")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(6)
		c.wantOrder("gen 1: done", "stray got TERM")
	})
	t.Run("its status is nobody's", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=sh -c 'trap \"exit 9\" TERM; echo up; while :; do sleep 0.01; done'"}})
		c.awaitOut("up")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("as a subreaper", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Plain: true, Env: []string{strayBeside(t, "ONE", "600ms"), "SWAPINIT_LEFTOVER_TIMEOUT=1h"}, Args: server(t, "-status", "6")})
		c.awaitOut("stray started")
		c.awaitOut("gen 1: ready")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(6)
		c.wantStrays(1)
	})
	t.Run("it dies while the server stops", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "1ms")}})
		c.awaitOut("stray started")
		request := c.longRequest()
		c.Signal(syscall.SIGTERM)
		c.awaitOut("gen 1: got TERM")
		first := c.side("one").Pid
		if err := syscall.Kill(c.hostPid(first), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// The server may need it to its end.
		await(t, "another one", func() bool { s := c.side("one"); return s.Pid != 0 && s.Pid != first })
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Errorf("restart --side: %v", r)
		}
		request.finish()
		c.wantStatus(0)
	})
}

// Each end is a line, and it is started again, ever more seldom. The server does not
// notice.
func TestSideIsStartedAgain(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(tempDir(t), "data"), "not a program")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_DIES=sh -c 'exit 3'", "SWAPINIT_SIDE_LEAVES=true", "SWAPINIT_SIDE_KILLED=sh -c 'kill -9 $$'",
		"SWAPINIT_SIDE_MISSING=/nonexistent/program", "SWAPINIT_SIDE_DATA=" + file}})
	before := c.state()
	for _, delay := range []string{"100ms", "200ms", "400ms", "800ms", "1.6s"} {
		c.awaitErr("side dies exited with status 3, started again in " + delay + "\n")
		c.awaitErr("side leaves exited with status 0 (it has to stay in the foreground), started again in " + delay + "\n")
		c.awaitErr("side killed was ended by KILL, started again in " + delay + "\n")
		c.awaitErr("side missing cannot be started: cannot find command \"/nonexistent/program\": no such file or directory, tried again in " + delay + "\n")
		c.awaitErr("side data cannot be started: ")
	}
	inOrder(t, c.Stderr(), "dies exited with status 3, started again in 100ms", "dies exited with status 3, started again in 200ms", "dies exited with status 3, started again in 400ms")
	if n := strings.Count(c.Stderr(), "side dies exited with status 3, started again in 400ms"); n != 1 {
		t.Errorf("one end has %d lines", n)
	}
	if s := c.side("missing"); s.Pid != 0 || s.Restarts < 4 || !strings.Contains(s.Reason, "/nonexistent/program") {
		t.Errorf("status %+v", s)
	}
	if s := c.side("dies"); s.Restarts < 4 {
		t.Errorf("status %+v", s)
	}
	if after := c.state(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the server noticed:\n%v\nbefore:\n%v", after, before)
	}
	if r := c.Verb("health"); r.Code != 0 {
		t.Errorf("health: %v", r)
	}
	c.Swap()
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

func TestRestartSide(t *testing.T) {
	t.Run("another process", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "10ms"), "SWAPINIT_SIDE_Other=sleep 1000", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}})
		c.awaitOut("stray started")
		first, other := c.side("one"), c.side("other")
		r := c.Verb("restart", "--side", "one")
		if r.Code != 0 || r.Stdout != "restart done: side one runs\n" {
			t.Fatal(r)
		}
		if s := c.side("one"); s.Pid == first.Pid || s.Pid == 0 || s.Restarts != 1 {
			t.Errorf("it is %+v, and was %+v", s, first)
		}
		c.wantOrder("stray started", "stray got TERM", "stray done")
		await(t, "the new one", func() bool { return strings.Count(c.Stdout(), "stray started") == 2 })
		oneLine(t, c.Stderr(), "side one exited with status 0, as it was told to end")
		if s := c.side("other"); s.Pid != other.Pid {
			t.Errorf("the other one is %+v", s)
		}
		if r := c.Verb("restart", "--side=OTHER"); r.Code != 0 || c.side("other").Pid == other.Pid {
			t.Errorf("in other letters: %v", r)
		}
		r = c.Verb("restart", "--side", "nobody")
		if r.Code != 1 {
			t.Errorf("an unknown one: %v", r)
		}
		oneLine(t, r.Stderr, `no side is named "nobody"`, "one, other")
		if r := c.Verb("restart", "--side", "one", "--force"); r.Code != 2 {
			t.Errorf("with --force: %v", r)
		}
		c.awaitStates("1:active")
	})
	t.Run("its process group", func(t *testing.T) {
		t.Parallel()
		// What it has started ends with it, but for what has a session of its own.
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=sh -c 'sleep 1001 & setsid sleep 1002 & echo up; exec sleep 1000'", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}})
		c.awaitOut("up")
		sleeping := func(seconds string) (pids []int) {
			for _, p := range c.Procs() {
				if len(p.Args) == 2 && p.Args[1] == seconds {
					pids = append(pids, p.Pid)
				}
			}
			return pids
		}
		await(t, "its children", func() bool { return len(sleeping("1001")) == 1 && len(sleeping("1002")) == 1 })
		before, daemon := sleeping("1001")[0], sleeping("1002")[0]
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Fatal(r)
		}
		await(t, "another child", func() bool { l := sleeping("1001"); return len(l) == 1 && l[0] != before })
		// The same when it dies.
		before = sleeping("1001")[0]
		await(t, "the shell to be the last sleep", func() bool { return len(sleeping("1000")) == 1 })
		if err := syscall.Kill(c.hostPid(sleeping("1000")[0]), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "another child", func() bool { l := sleeping("1001"); return len(l) == 1 && l[0] != before })
		c.Swap()
		c.awaitStates("2:active")
		if !slices.Contains(sleeping("1002"), daemon) {
			t.Error("its daemon is gone")
		}
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("ignores TERM", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{strayBeside(t, "ONE", "never"), "SWAPINIT_LEFTOVER_TIMEOUT=200ms"}})
		c.awaitOut("stray started")
		first := c.side("one")
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Fatal(r)
		}
		if s := c.side("one"); s.Pid == first.Pid {
			t.Errorf("it is %+v", s)
		}
		c.awaitErr("side one was ended by KILL, as it was told to end, and is started again")
		c.wantOrder("stray got TERM")
		c.wantNever("stray done")
	})
	t.Run("the rest of its group ignores TERM", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=sh -c '" + binary(t, "server") + " stray never & exec sleep 1000'", "SWAPINIT_LEFTOVER_TIMEOUT=200ms"}})
		c.awaitOut("stray started")
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Fatal(r)
		}
		strays := 0
		for _, p := range c.Procs() {
			if len(p.Args) == 3 && p.Args[1] == "stray" {
				strays++
			}
		}
		if strays > 1 {
			t.Errorf("two are there: %v", c.Procs())
		}
		c.wantOrder("stray got TERM")
	})
	t.Run("is stopped", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=sleep 1000", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}})
		if err := syscall.Kill(c.hostPid(c.side("one").Pid), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Fatal(r)
		}
	})
	t.Run("cannot be executed", func(t *testing.T) {
		t.Parallel()
		program := filepath.Join(tempDir(t), "program")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=" + program}})
		c.awaitErr("side one cannot be started")
		r := c.Verb("restart", "--side", "one")
		if r.Code != 1 {
			t.Fatalf("%v, want status 1", r)
		}
		oneLine(t, r.Stderr, "side one", program, "no such file")
		write(t, program, "#!/bin/sh\nexec sleep 1000\n")
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		if r := c.Verb("restart", "--side", "one"); r.Code != 0 {
			t.Fatal(r)
		}
		if s := c.side("one"); s.Pid == 0 || s.Reason != "" {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		r := c.Verb("restart", "--side", "one")
		if r.Code != 1 {
			t.Errorf("%v, want status 1", r)
		}
		oneLine(t, r.Stderr, "SWAPINIT_SIDE_<NAME>")
		if s := c.status(); s.Sides == nil || len(s.Sides) != 0 {
			t.Errorf("sides %v", s.Sides)
		}
	})
}

// One that ends again and again is reaped, reported by its line and nowhere else, and
// leaves nothing: no descriptor, thread or process.
func TestSideLeaksNothing(t *testing.T) {
	t.Parallel()
	const times = 1000
	c := startWeb(t, opts{Env: []string{"SWAPINIT_SIDE_ONE=true", "SWAPINIT_LOG_FORMAT=json"}, Args: []string{"-w"}})
	address := c.controlAddress()
	again := func(n int) {
		k := c.connectTo(address)
		for range n {
			k.send(`{"v":1,"verb":"restart","args":{"side":"one"}}` + "\n")
			k.wantReply(true)
		}
		_ = k.conn.Close()
	}
	settle := func() usage {
		t.Helper()
		await(t, "its end", func() bool { return len(c.Procs()) == 2 })
		return usageOf(t, c.box.Pid())
	}
	again(200)
	before := settle()
	again(times)
	c.holdsNoMore(before, settle(), itoa(times)+" restarts")
	if s := c.side("one"); s.Restarts < times {
		t.Errorf("%d restarts", s.Restarts)
	}
	lines := map[string]int{}
	for line := range strings.Lines(c.Stderr()) {
		var e struct{ Event, Message string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		lines[e.Event]++
	}
	if lines["orphan"] != 0 || lines["side"] < times/2 {
		t.Errorf("lines %v", lines)
	}
}

// A container that has handed over the traffic keeps what runs beside its server.
func TestSideOfAMember(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_SIDE_ONE=sleep 1000"})
	pid := a.side("one").Pid
	g.member("b", nil)
	g.wait("b")
	g.awaitState("a", "retired")
	if s := a.side("one"); s.Pid != pid || s.Restarts != 0 {
		t.Errorf("it is %+v, and was %d", s, pid)
	}
	if len(a.status().Generations) != 0 {
		t.Error("it has a server")
	}
	a.Signal(syscall.SIGTERM)
	a.wantStatus(0)
	c := g.try("SWAPINIT_SIDE_CRON=cron -f")
	c.wantStatus(125)
	oneLine(t, c.Stderr(), "SWAPINIT_SIDE_CRON", "a gate starts nothing")
}

// The swap for a watched path waits for a while that nobody can tell, once.
func TestWatchSplay(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	// changes rewrites the file until something comes of it: the first look comes a
	// moment after the start.
	changes := func(c *container, file, want string) {
		t.Helper()
		n := 0
		await(t, want, func() bool {
			if n++; n%1000 == 1 {
				write(t, file, fmt.Sprint(n))
			}
			return strings.Contains(c.Stderr(), want)
		})
	}
	t.Run("and begins", func(t *testing.T) {
		t.Parallel()
		file := write(t, filepath.Join(dir, "a"), "")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCH=" + file, "SWAPINIT_WATCH_SPLAY=1s"}})
		changes(c, file, "watch: "+file+" changed, swapping in ")
		await(t, "the swap", func() bool { return c.status().pidOf(1) == 0 })
		c.wantServing(2)
	})
	t.Run("and is stopped", func(t *testing.T) {
		t.Parallel()
		file := write(t, filepath.Join(dir, "b"), "")
		c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCH=" + file, "SWAPINIT_WATCH_SPLAY=8760h", "SWAPINIT_LOG=debug"}})
		changes(c, file, "watch: "+file+" changed, swapping in ")
		changes(c, file, "watch: "+file+" changed, a swap is to begin already")
		if n := strings.Count(c.Stderr(), "swapping in "); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		c.awaitStates("1:active")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		c.wantNever("gen 2")
	})
}
