package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// swapWith swaps to the test server with flags and returns the verb's result.
func (c *container) swapWith(flags ...string) result {
	c.t.Helper()
	return c.Verb(append([]string{"swap", "--timeout", "30s", "--"}, server(c.t, flags...)...)...)
}

// Every source of readiness, in every mode that listens to it.
func TestReadiness(t *testing.T) {
	cases := []struct {
		mode string // SWAPINIT_READY
		how  string // what the server does
	}{
		{"auto", "pipe"}, {"auto", "notify"}, {"auto", "pieces"}, {"", "pipe"}, // race 22: pieces
		{"fd", "pipe"}, {"fd", "pieces"}, {"notify", "notify"},
		{"none", "none"}, {"delay:10ms", "none"}, {"exec:true", "none"}, {"exec:sh -c 'exit 0'", "none"},
		{"listen", "none -side 127.0.0.1:0"},
		{"tcp://127.0.0.1:9001", "none -side 127.0.0.1:9001"}, {"http://127.0.0.1:9001/", "none -side 127.0.0.1:9001"},
	}
	for _, tc := range cases {
		t.Run(tc.mode+" by "+tc.how, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_READY=" + tc.mode}}, "-ready", "none")
			if r := c.swapWith(append([]string{"-ready"}, strings.Fields(tc.how)...)...); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			c.awaitStates("2:active")
			c.wantServing(2)
			if s := c.status(); !s.Ready || s.Generations[0].ReadyMS == nil {
				t.Errorf("not shown as ready: %+v", s)
			}
		})
	}
}

// A source that is not the configured one means nothing, and a source that
// says something else is not ready.
func TestNotReady(t *testing.T) {
	cases := []struct{ mode, how string }{
		{"auto", "none"}, {"auto", "eof"}, {"auto", "bare"}, {"fd", "notify"}, {"notify", "pipe"}, {"fd", "eof"}, {"listen", "pipe"},
		{"exec:false", "pipe"}, {"tcp://127.0.0.1:9001", "pipe"}, {"http://127.0.0.1:9001/nope", "pipe -side 127.0.0.1:9002"}, {"delay:1h", "pipe"},
	}
	for _, tc := range cases {
		t.Run(tc.mode+" by "+tc.how, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_READY=" + tc.mode, "SWAPINIT_READY_TIMEOUT=300ms"}}, "-ready", "none")
			how := append([]string{"-ready"}, strings.Fields(tc.how)...)
			r := c.Verb(append([]string{"swap", "--"}, server(t, how...)...)...)
			if r.Code != 1 {
				t.Fatalf("swap: %v, want status 1", r)
			}
			oneLine(t, r.Stderr)
			c.awaitStates("1:active")
			c.wantNever("gen 1: got")
		})
	}
}

// A server that speaks no readiness is told what to set.
func TestTimeoutSaysWhatToSet(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_READY_TIMEOUT=100ms"}}, "-ready", "none")
	r := c.Verb("swap")
	if r.Code != 1 {
		t.Fatalf("swap: %v", r)
	}
	oneLine(t, r.Stderr, "SWAPINIT_READY")
}

// Probing an endpoint proves nothing: swapinit itself listens there. An answer
// by HTTP does, where it can only be the successor's.
func TestProbeOfAnEndpointIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"tcp://" + web, "http://" + web + "/health"} {
		c := start(t, opts{Env: webEnv("SWAPINIT_STEER=off", "SWAPINIT_READY="+mode), Args: []string{"echo", "started"}})
		c.wantStatus(125)
		oneLine(t, c.Stderr(), "SWAPINIT_READY", web)
		c.wantNever("started")
	}
}

// The first generation's readiness concerns health and nothing else.
func TestHealth(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := start(t, opts{Env: webEnv("SWAPINIT_READY_TIMEOUT=1ms"), Args: server(t, "-gate", gate)})
	c.awaitOut("gen 1: started")
	r := c.Verb("health")
	if r.Code != 1 {
		t.Fatalf("health before readiness: %v, want status 1", r)
	}
	oneLine(t, r.Stderr)
	c.awaitStates("1:active")
	if s := c.status(); s.Ready || s.Generations[0].ReadyMS != nil || s.LastSwap != nil {
		t.Errorf("status before readiness: %+v", s)
	}
	touch(t, gate)
	await(t, "health", func() bool { return c.Verb("health").Code == 0 })
	if s := c.status(); !s.Ready || s.Generations[0].ReadyMS == nil {
		t.Errorf("status after readiness: %+v", s)
	}
	if got := c.Stderr(); got != "" {
		t.Errorf("said %q", got)
	}
}

// A server from which nobody wants to hear that it is ready is healthy while it lives:
// readiness is asked for by an endpoint, by SWAPINIT_READY, and by one that has spoken.
func TestHealthOfAPlainInit(t *testing.T) {
	for _, tc := range []struct {
		name, env string
		healthy   bool
	}{
		{"plain", "PLAIN=1", true},
		{"none", "SWAPINIT_READY=none", true},
		{"asked for", "SWAPINIT_READY=auto", false},
		{"by an endpoint", "SWAPINIT_LISTEN=:8080", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: []string{tc.env}, Args: []string{"sh", "-c", "echo up; exec sleep 1000"}})
			c.awaitOut("up")
			if r := c.Verb("health"); (r.Code == 0) != tc.healthy {
				t.Errorf("health: %v", r)
			}
			if got := c.status().Ready; got != tc.healthy {
				t.Errorf("status: ready %v", got)
			}
		})
	}
}

// A swap may be asked for before the first generation is ready.
func TestSwapBeforeTheFirstIsReady(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: webEnv(), Args: server(t, "-gate", "/nonexistent/gate")})
	c.awaitOut("gen 1: started")
	if r := c.swapWith(); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.awaitOut("gen 1: got TERM")
	c.wantServing(2)
}

func TestNotify(t *testing.T) {
	t.Run("status", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-ready", "notify")
		show := func(want string) {
			t.Helper()
			await(t, want, func() bool { return c.status().Generations[0].Status == want })
		}
		show("serving")
		c.do("notify", "UNKNOWN=1\nX_Y=\n\n=\nnonsense\nSTATUS=two")
		show("two")
		if got := c.Verb("status").Stdout; !strings.Contains(got, "two") {
			t.Errorf("the table lacks the status: %q", got)
		}
		c.do("notify", "STATUS=\x1b[31mred")
		await(t, "another status", func() bool { return c.status().Generations[0].Status != "two" })
		if got := c.Verb("status").Stdout; strings.Contains(got, "\x1b") {
			t.Errorf("control characters reach the terminal: %q", got)
		}
	})
	t.Run("only from its own generation", func(t *testing.T) {
		t.Parallel()
		gate := filepath.Join(tempDir(t), "gate")
		c := startWeb(t, opts{})
		swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", gate)...)...)
		c.awaitOut("gen 2: started")
		pid := c.status().pidOf(2)
		var address string
		for _, p := range c.Procs() {
			if p.Pid == pid {
				environ := read(fmt.Sprintf("/proc/%d/environ", p.Host))
				_, after, _ := strings.Cut("\x00"+environ, "\x00NOTIFY_SOCKET=")
				address, _, _ = strings.Cut(after, "\x00")
			}
		}
		if address == "" {
			t.Fatal("the successor has no NOTIFY_SOCKET")
		}
		// A process that docker exec started is of no generation. It lives until its
		// message was looked at: whose one was that has gone, nobody can see.
		r := c.Exec("python3", "-c", "import os,socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); a=sys.argv[1]; "+
			"s.connect('\\0'+a[1:] if a[0]=='@' else a); s.send(b'READY=1'); r,w=os.pipe(); "+
			"socket.send_fds(s,[b'BARRIER=1'],[w]); os.close(w); os.read(r,1)", address)
		if r.Code != 0 {
			skip(t, "python3", "%v", r)
		}
		for range 10 {
			if got := c.status().states(); got != "1:active 2:starting" {
				t.Fatalf("a stranger's READY=1 was believed: %s", got)
			}
		}
		touch(t, gate)
		if r := receive(t, "the swap", swap); r.Code != 0 {
			t.Errorf("swap: %v", r)
		}
	})
	t.Run("where nothing can be written", func(t *testing.T) {
		t.Parallel()
		o := opts{Env: webEnv(), Args: []string{binary(t, "server"), "-ready", "notify"}}
		needNamespaces(t)
		o.ReadOnly = true
		bin := filepath.Dir(binary(t, "server"))
		if strings.HasPrefix(bin, "/tmp/") {
			// An empty /tmp would hide the binaries: run them from a copy.
			o.Args[0] = copyOutside(t, binary(t, "server"))
			o.Program = copyOutside(t, binary(t, "swapinit"))
		}
		c := start(t, o)
		c.awaitOut("gen 1: ready")
		s := c.state()
		if got, _ := s.env("NOTIFY_SOCKET"); !strings.HasPrefix(got, "@") {
			t.Errorf("NOTIFY_SOCKET is %q, want an abstract name", got)
		}
		c.Signal(syscall.SIGHUP)
		c.awaitOut("gen 1: done")
		c.wantServing(2)
	})
	t.Run("a path where it can be", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-ready", "notify")
		got, _ := c.state().env("NOTIFY_SOCKET")
		if !strings.HasPrefix(got, "/run/") {
			t.Errorf("NOTIFY_SOCKET is %q, want a path in /run", got)
		}
		root := fmt.Sprintf("/proc/%d/root", c.box.Pid())
		c.Swap()
		c.awaitStates("2:active")
		await(t, "the first one's socket to be gone", func() bool {
			_, err := os.Lstat(root + got)
			return os.IsNotExist(err)
		})
	})
}

// A sender that has gone before it is looked at is believed as far as its uid is; and
// nobody asked for a watchdog.
func TestNotifyFromOtherUsers(t *testing.T) {
	t.Parallel()
	const user, stranger = 1234, 4321
	needUser(t, user)
	needUser(t, stranger)
	c := start(t, opts{Env: []string{"SWAPINIT_USER=1234:1234"},
		Args: []string{"sh", "-c", "sleep 1000 & echo $NOTIFY_SOCKET $!; echo >&$SWAPINIT_READY_FD; wait"}})
	var address string
	var child int
	await(t, "the server", func() bool {
		n, _ := fmt.Sscan(c.Stdout(), &address, &child)
		return n == 2 && c.status().Ready
	})
	main := c.status().pidOf(1)
	send := func(uid int, texts ...string) {
		t.Helper()
		c.Signal(syscall.SIGSTOP) // so that each has gone
		for _, text := range texts {
			if r := c.execEnv([]string{"NOTIFY_SOCKET=" + address}, server(t, "notify", strconv.Itoa(uid), text)...); r.Code != 0 {
				t.Fatal(r)
			}
		}
		c.Signal(syscall.SIGCONT)
	}
	send(stranger, "WATCHDOG=trigger", "STOPPING=1", "STATUS=forged", fmt.Sprintf("MAINPID=%d", child))
	for _, uid := range []int{user, 0} {
		want := fmt.Sprintf("from uid %d", uid)
		send(uid, "WATCHDOG_USEC=1\nWATCHDOG=trigger\nSTATUS="+want)
		await(t, want, func() bool { return c.status().Generations[0].Status == want })
	}
	if r := c.Verb("health"); r.Code != 0 || c.status().pidOf(1) != main {
		t.Errorf("health: %v, main process %d, was %d", r, c.status().pidOf(1), main)
	}
}

// copyOutside copies a program to a place that is not /tmp.
func copyOutside(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "e2e-")
	if err != nil {
		skip(t, "namespaces", "%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(target, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return target
}

// BARRIER=1: the sender waits until everything that it sent earlier was
// processed.
func TestNotifyBarrier(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{}, "-ready", "notify")
	// The server answers requests before it says this, and says it once.
	await(t, "the server's own status", func() bool { return c.status().Generations[0].Status == "serving" })
	for i := range 20 {
		want := fmt.Sprintf("number %d", i)
		c.do("notify", "STATUS="+want)
		c.do("barrier", "")
		if got := c.status().Generations[0].Status; got != want {
			t.Fatalf("after the barrier the status is %q, want %q", got, want)
		}
	}
}

// EXTEND_TIMEOUT_USEC= gives a slow boot more time.
func TestNotifyExtendsTheTimeout(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, opts{})
	swap := c.later(append([]string{"swap", "--timeout", "2s", "--"}, server(t, "-gate", gate, "-extend", "1h")...)...)
	c.awaitOut("gen 2: extended")
	// A second swap that times out in between shows that the first one's time
	// would be up; it cannot run beside it, so let a process wait instead.
	if r := c.Exec("sleep", "2.5"); r.Code != 0 {
		t.Fatal(r)
	}
	c.awaitStates("1:active 2:starting")
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
}

// Race 13. MAINPID= after a daemonizing double fork is followed.
func TestMainPid(t *testing.T) {
	t.Run("the first generation", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{}, "-mainpid", "-ready", "notify", "-status", "7")
		c.awaitOut("first process leaves")
		await(t, "the pid in status", func() bool { return c.status().pidOf(1) == c.state().Pid })
		c.Signal(syscall.SIGUSR1)
		c.awaitOut("gen 1: got USR1")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(7)
	})
	t.Run("a successor", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		if r := c.swapWith("-mainpid", "-ready", "notify", "-status", "8"); r.Code != 0 {
			t.Fatalf("swap: %v", r)
		}
		c.awaitOut("first process leaves")
		c.awaitOut("gen 1: done")
		await(t, "the pid in status", func() bool { return c.status().pidOf(2) == c.state().Pid })
		c.do("exit", "9")
		c.wantStatus(9)
	})
}

// stoodStill stops the init for so many seconds and lets it run again.
func (c *container) stoodStill(seconds string) {
	c.t.Helper()
	c.Signal(syscall.SIGSTOP)
	await(c.t, "a stopped init", func() bool { return strings.HasPrefix(c.field("State"), "T") })
	if r := c.Exec("sleep", seconds); r.Code != 0 {
		c.t.Fatal(r)
	}
	c.Signal(syscall.SIGCONT)
	c.awaitErr("stood still for")
}

// A swap that was frozen for longer than its successor had to become ready.
func TestFrozenSwap(t *testing.T) {
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_READY_TIMEOUT=3s"}})
	swapped := c.later("swap", "--", binary(t, "server"), "-gate", gate)
	c.awaitOut("gen 2: started")
	c.stoodStill("8")
	touch(t, gate)
	if r := receive(t, "the swap", swapped); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.wantServing(2)
}

func TestWatchdog(t *testing.T) {
	t.Run("kept alive", func(t *testing.T) {
		t.Parallel()
		// Race 17: the watchdog does not bite during a slow boot.
		gate := filepath.Join(tempDir(t), "gate")
		c := start(t, opts{Env: webEnv("SWAPINIT_WATCHDOG=10s"), Args: server(t, "-gate", gate, "-watchdog", "always")})
		c.awaitOut("gen 1: started")
		if r := c.Exec("sleep", "11"); r.Code != 0 {
			t.Fatal(r)
		}
		touch(t, gate)
		c.awaitOut("gen 1: ready")
		c.Swap("--", binary(t, "server"), "-watchdog", "always")
		c.awaitStates("2:active")
		c.wantNever("got ABRT")
	})
	t.Run("the init stood still", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: webEnv("SWAPINIT_WATCHDOG=2s"), Args: server(t, "-watchdog", "always")})
		await(t, "readiness", func() bool { return c.Verb("health").Code == 0 }) // the watchdog begins with it
		c.stoodStill("6")
		if r := c.Exec("sleep", "4"); r.Code != 0 { // longer than the watchdog's time
			t.Fatal(r)
		}
		c.wantNever("got ABRT")
		c.wantServing(1)
	})
	t.Run("missed", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCHDOG=200ms"}}, "-watchdog", "once", "-on", "ABRT", "-stop", "exit", "-status", "66")
		c.wantStatus(66)
		c.wantOrder("gen 1: ready", "gen 1: got ABRT")
	})
	t.Run("missed, and ABRT ignored", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCHDOG=200ms"}}, "-watchdog", "once")
		c.wantStatus(128 + 9)
		c.wantOrder("gen 1: ready", "gen 1: got ABRT")
	})
	t.Run("triggered", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{"SWAPINIT_WATCHDOG=1h"}, Args: server(t, "-watchdog", "trigger", "-on", "ABRT", "-stop", "exit", "-status", "66")})
		c.wantStatus(66)
	})
	t.Run("a successor that misses it fails", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCHDOG=2s", "SWAPINIT_SETTLE=1h"}}, "-watchdog", "off")
		if r := c.swapWith("-watchdog", "once"); r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		c.wantNever("gen 1: got")
		c.wantServing(1)
	})
}

// listen is about a socket of the generation's own, never about the endpoints.
func TestReadyByListenIsNotFooledByEndpoints(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_READY=listen"}}, "-ready", "none")
	swap := c.later(append([]string{"swap", "--"}, server(t, "-ready", "none", "-side-gate", gate, "-side", "127.0.0.1:9000")...)...)
	c.awaitOut("gen 2: started")
	for range 20 {
		if got := c.status().states(); got != "1:active 2:starting" {
			t.Fatalf("ready without a socket of its own: %s", got)
		}
	}
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	var conn net.Conn
	conn, err := c.box.Dial(t.Context(), "tcp", "127.0.0.1:9000")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// An entrypoint that empties /run takes the socket away from its server.
func TestNotifySocketRemoved(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := shell(t, opts{Env: []string{"SWAPINIT_SETTLE=0"}}, `rm -f "$NOTIFY_SOCKET"
		[ $SWAPINIT_GENERATION = 1 ] && exec sleep 1000
		until [ -e `+gate+` ]; do sleep 0.01; done; exit 3`)
	c.awaitErr("generation 1: its NOTIFY_SOCKET /")
	done := c.later("swap")
	c.awaitErr("generation 2: its NOTIFY_SOCKET /")
	touch(t, gate)
	if r := receive(t, "the swap", done); r.Code != 1 || !strings.Contains(r.Stderr, "before it was ready: its NOTIFY_SOCKET /") || !strings.Contains(r.Stderr, "was removed") {
		t.Errorf("the swap: %v", r)
	}
}

// Where nothing is asked of a server it has no such socket.
func TestNotifySocketNotAsked(t *testing.T) {
	for env, want := range map[string]string{"SWAPINIT_READY=none": "[]", "SWAPINIT_READY=none SWAPINIT_WATCHDOG=1h": "[/", "SWAPINIT_READY=delay:0s": "[/"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			c := shell(t, opts{Env: strings.Fields(env)}, "echo [$NOTIFY_SOCKET]")
			c.wantStatus(0)
			if !strings.HasPrefix(c.Stdout(), want) {
				t.Errorf("got %q", c.Stdout())
			}
		})
	}
}
