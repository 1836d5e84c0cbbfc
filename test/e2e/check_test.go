package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// problem is one finding of check.
type problem struct{ What, Why, Set string }

// problems are what check finds. Its exit status and its lines have to agree with --json.
func (c *container) problems() []problem {
	c.t.Helper()
	r := c.Verb("check", "--json")
	var found struct {
		V        int       `json:"v"`
		Problems []problem `json:"problems"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &found); err != nil || found.V != 1 || found.Problems == nil {
		c.t.Fatalf("check --json: %v", r)
	}
	if (r.Code == 1) != (len(found.Problems) > 0) || r.Code > 1 {
		c.t.Errorf("check --json: %v, want status 1 if there is anything, else 0", r)
	}
	for _, p := range found.Problems {
		if p.What == "" || p.Why == "" || p.Set == "" || strings.Contains(p.What+p.Why+p.Set, "\n") {
			c.t.Errorf("%+v: want what, why and what to set, on one line", p)
		}
	}
	return found.Problems
}

// found polls until check finds something with these words, and fails if it ever finds
// something else.
func (c *container) found(words ...string) {
	c.t.Helper()
	var all []problem
	if !poll(func() bool {
		all = c.problems()
		return c.t.Failed() || len(all) > 0
	}) || len(all) == 0 {
		c.t.Fatalf("check finds nothing, want %q", words)
	}
	if len(all) > 1 {
		c.t.Errorf("check finds %d, want 1: %+v", len(all), all)
	}
	r := c.Verb("check")
	oneLine(c.t, r.Stdout, words...)
	if r.Code != 1 {
		c.t.Errorf("check: %v, want status 1", r)
	}
	oneLine(c.t, r.Stderr, "1 to mend")
}

// sound fails if check finds anything.
func (c *container) sound() {
	c.t.Helper()
	if r := c.Verb("check"); r.Code != 0 || r.Stdout != "nothing to mend\n" || r.Stderr != "" {
		c.t.Errorf("check: %v, want nothing to mend", r)
	}
}

// young fails unless check says what the server waits for, and finds nothing.
func (c *container) young(words ...string) {
	c.t.Helper()
	r := c.Verb("check")
	if r.Code != 0 || r.Stderr != "" {
		c.t.Errorf("check: %v, want status 0", r)
	}
	oneLine(c.t, r.Stdout, append(words, "generation 1 is not ready yet (")...)
}

// A healthy server of any kind is left alone.
func TestCheckHealthy(t *testing.T) {
	const other = "127.0.0.1:9000"
	passing := slices.Clip([]string{"sh", "-c", `trap 'kill $!' TERM; "$0" "$@" & wait`})
	for _, tc := range []struct {
		name string
		env  []string
		args []string
	}{
		{"LISTEN_FDS", nil, server(t)},
		{"adopted", nil, binding(t, []string{bindWeb})},
		{"adopted, of IPv4 at both", []string{"SWAPINIT_LISTEN=:8080"}, binding(t, []string{"tcp4://0.0.0.0:8080"})},
		{"adopted, of IPv4 alone", []string{"SWAPINIT_LISTEN=:8080"}, server(t, "-take", "none", "-ready", "none", "-bind", "tcp4://0.0.0.0:8080")},
		{"adopted, by a wrapper's child", nil, append(passing, binding(t, []string{bindWeb})...)},
		{"fd 3, by a wrapper's child", nil, append(passing, server(t, "-from", "starter", "-bind", "tcp4://"+other+"?reuseport")...)},
		{"adopted, forking", nil, binding(t, []string{bindWeb + "?reuseport"}, "-prefork", "2")},
		{"without adoption", []string{"SWAPINIT_ADOPT=off"}, server(t)},
		{"a shared port beside", nil, server(t, "-bind", "tcp4://"+other+"?reuseport")},
		{"an ephemeral port beside", []string{"SWAPINIT_ADOPT=off"}, server(t, "-bind", "tcp4://127.0.0.1:0")},
		{"a Unix endpoint", []string{"SWAPINIT_LISTEN=unix:///tmp/check.sock"}, server(t)},
		{"a UDP endpoint", []string{"SWAPINIT_LISTEN=udp://127.0.0.1:5300", "SWAPINIT_READY=none"}, []string{"sleep", "1000"}},
		{"fd 0", []string{"SWAPINIT_LISTEN=tcp://" + web + "?fd=0"}, server(t, "-from", "stdin")},
		{"two endpoints", []string{"SWAPINIT_LISTEN=web=tcp://" + web + ",other=tcp://" + other}, server(t)},
		{"workers", []string{"SWAPINIT_WORKERS=2"}, server(t)},
		{"no endpoint", []string{"SWAPINIT_LISTEN="}, server(t)},
		{"no endpoint, nobody listens", []string{"SWAPINIT_LISTEN=", "SWAPINIT_READY=none"}, []string{"sleep", "1000"}},
		{"its own port, replaced", []string{"SWAPINIT_LISTEN=", "SWAPINIT_STRATEGY=replace"}, server(t, "-bind", "tcp4://"+other)},
		{"its own port, handed over", []string{"SWAPINIT_LISTEN=", "SWAPINIT_STRATEGY=handover"}, server(t, "-hand", other, "-ready", "channel")},
		{"another signal", []string{"SWAPINIT_RETIRE_SIGNAL=QUIT"}, server(t, "-on", "QUIT")},
		{"no limits, no connections", []string{"SWAPINIT_DRAIN_TIMEOUT=0", "SWAPINIT_RETIRE_TIMEOUT=0"}, server(t)},
		{"it asks for more time", []string{"SWAPINIT_READY_TIMEOUT=1ms"}, server(t, "-extend", "1h", "-gate", "/nonexistent")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv(tc.env...), Args: tc.args})
			if slices.Contains(tc.args, "-extend") {
				c.awaitOut("extended")
				c.young()
				return
			}
			c.awaitHealthy()
			// With neither endpoints nor SWAPINIT_READY it is healthy before it says more.
			await(t, "it to be ready", func() bool { return !strings.Contains(c.Verb("check").Stdout, "is not ready yet") })
			c.sound()
		})
	}
}

// Nobody is called never who has only begun.
func TestCheckYoung(t *testing.T) {
	t.Parallel()
	start(t, opts{Env: webEnv(), Args: server(t, "-gate", "/nonexistent")}).young("the server must bind its endpoint and accept there")
	// What is known of why is said by health, too.
	c := start(t, opts{Env: []string{"SWAPINIT_READY=http://127.0.0.1:9000/"}, Args: []string{"sleep", "1000"}})
	const why = "last probe: cannot connect to 127.0.0.1:9000: connection refused"
	await(t, "its last probe", func() bool { return strings.Contains(c.Verb("check").Stdout, why) })
	c.young(why)
	if r := c.Verb("health"); r.Code != 1 || r.Stderr != "swapinit: health failed: generation 1 is not ready: "+why+"\n" {
		t.Errorf("health: %v", r)
	}
	if r := c.Verb("check", "--json"); !strings.Contains(r.Stdout, `"problems":[],"not_ready":"generation 1 is not ready yet (`) {
		t.Errorf("check --json: %v", r)
	}
}

func TestCheckNeverReady(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  []string
		want []string
	}{
		{"an endpoint", []string{"SWAPINIT_LISTEN=tcp://" + web}, []string{"SWAPINIT_READY=auto: generation 1 is not ready", "SWAPINIT_READY_TIMEOUT=10ms and fail", "must bind its endpoint and accept there"}},
		{"no endpoint", nil, []string{"SWAPINIT_READY=auto", "set SWAPINIT_READY to listen, delay:5s"}},
		{"a probe", []string{"SWAPINIT_READY=tcp://127.0.0.1:9000"}, []string{"SWAPINIT_READY=tcp://127.0.0.1:9000", "last probe: ", "connection refused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: append(tc.env, "SWAPINIT_READY_TIMEOUT=10ms"), Args: []string{"sleep", "1000"}})
			await(t, "its last probe", func() bool { return len(tc.want) < 3 || strings.Contains(c.Verb("check").Stdout, tc.want[1]) })
			c.found(tc.want...)
			if tc.env != nil && strings.HasPrefix(tc.env[0], "SWAPINIT_LISTEN") {
				c.wantFailed(c.Verb("swap"), "must bind its endpoint and accept there") // in the same words
			}
		})
	}
}

// An endpoint that was lost is named, and the one that was not is not.
func TestCheckLostEndpoint(t *testing.T) {
	two := []string{"SWAPINIT_LISTEN=a=tcp://" + web + ",b=tcp://127.0.0.1:9000", "SWAPINIT_READY=none"}
	for _, tc := range []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{"one", two, []string{"sh", "-c", "exec sleep 1000 4<&-"}, []string{"endpoint b (tcp://127.0.0.1:9000): no process of generation 1 holds its socket", "npm"}},
		{"after it was ready", nil, server(t, "-take", "none"), []string{"endpoint web", "no process of generation 1", "or by exec, or let it bind the port itself"}},
		{"a wrapper keeps it", []string{"SWAPINIT_READY=none"}, []string{"sh", "-c", "trap '' USR1; sleep 1000 3<&-; :"}, []string{"endpoint web", "only sh (pid ", "exec"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv(tc.env...), Args: tc.args})
			c.found(tc.want...)
		})
	}
}

// Whoever waits in a queue that nobody looks at shows that the server holds its socket for
// nothing.
func TestCheckDeafServer(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: webEnv("SWAPINIT_READY=none"), Args: []string{"sleep", "1000"}})
	c.sound()
	conn, err := c.box.Dial(t.Context(), "tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.found("endpoint web", "1 connection waits there, and none is accepted")
}

// The server is a child of what was started, and LISTEN_PID is not its own.
func TestCheckWrapper(t *testing.T) {
	const own = "tcp4://127.0.0.1:9000?reuseport" // as gunicorn binds its default
	wrapped := func(script string, env ...string) *container {
		return start(t, opts{Env: webEnv(append([]string{"SWAPINIT_READY=none"}, env...)...),
			Args: append([]string{"sh", "-c", script + ` "$0" "$@"; :`}, binding(t, []string{own})...)})
	}
	t.Run("LISTEN_PID", func(t *testing.T) {
		t.Parallel()
		wrapped("trap : TERM;").found("LISTEN_PID: it is ", "that is sh, which has started server (pid ", "exec")
	})
	t.Run("the stop signal", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: webEnv(), Args: append([]string{"sh", "-c", `"$0" "$@"; :`}, binding(t, []string{bindWeb})...)})
		c.awaitHealthy()
		c.found("sh (pid ", "it has the server, server (pid ", "ends at TERM without passing it on", "SWAPINIT_LEFTOVER_TIMEOUT=5s", "exec")
	})
}

// A shell in front of swapinit keeps the signals that are sent to PID 1.
func TestCheckShellAtTheTop(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		found        bool
	}{
		{"sh", `"$0" "$@"; :`, true},
		{"sh that passes it on", `trap 'kill $!' TERM; "$0" "$@" & wait`, false},
		{"exec", `exec "$0" "$@"`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-c", tc.script, binary(t, "swapinit")}, server(t)...)
			c := start(t, opts{Early: true, Program: "/bin/sh", Env: webEnv(), Args: args})
			await(t, "the control socket", func() bool { return c.Verb("version").Code == 0 && c.Verb("status").Code == 0 })
			c.awaitHealthy()
			if tc.found {
				c.found("PID 1: it is a shell, sh (pid 1), and swapinit is below it", "docker stop", "exec form", "or begin swapinit with exec")
			} else {
				c.sound()
			}
		})
	}
}

// What the server has for itself.
func TestCheckAddresses(t *testing.T) {
	t.Run("as the swap says it", func(t *testing.T) {
		t.Parallel()
		c := startBinding(t, opts{}, []string{bindWeb, "udp4://127.0.0.1:9000"})
		const why = "generation 1 has udp://127.0.0.1:9000 for itself, so a successor beside it would find the address already in use: UDP is not adopted"
		c.found("udp://127.0.0.1:9000: "+why, "SWAPINIT_STRATEGY=replace stops the predecessor first")
		c.wantFailed(c.Verb("swap"), why)
	})
	t.Run("no endpoint", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{"SWAPINIT_READY=none"}, Args: binding(t, []string{"tcp4://127.0.0.1:9000", "tcp4://127.0.0.1:9001"})})
		c.awaitOut("ready")
		c.found("port 9000, 9001: generation 1 listens there itself", "SWAPINIT_LISTEN=:9000,:9001 (and SWAPINIT_ADOPT=auto, the default) lets both have it")
	})
	t.Run("strangers", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: webEnv("SWAPINIT_ADOPT=off"), Args: server(t, "-reuseport", web)})
		c.awaitHealthy()
		c.found("endpoint web: somebody listens on its address too, with 2 sockets of its own (SO_REUSEPORT)")
	})
	t.Run("an adoption that cannot be", func(t *testing.T) {
		t.Parallel()
		inner := binary(t, "swapinit")
		c := start(t, opts{Env: []string{"SWAPINIT_ADOPT=on", "SWAPINIT_READY=none"}, Args: append([]string{"env", "SWAPINIT_ADOPT=on", inner}, binding(t, []string{"tcp4://127.0.0.1:9000"})...)})
		c.awaitOut("ready")
		c.awaitErr(" for itself") // the inner one's control socket
		_, rest, _ := strings.Cut(c.Stderr(), "unix://")
		address, _, _ := strings.Cut(rest, " ")
		r := c.execEnv(append(c.env, "SWAPINIT_CONTROL="+address), inner, "check")
		if r.Code != 1 || !strings.Contains(r.Stdout, "SWAPINIT_ADOPT: cannot answer bind() of the server: another supervisor is above swapinit already (EBUSY); it has to take its socket from swapinit") {
			t.Errorf("check: %v", r)
		}
	})
}

func TestCheckStopSignal(t *testing.T) {
	program := func(t *testing.T, name string) string {
		path := tempDir(t) + "/" + name
		if err := os.Link(binary(t, "server"), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{"SWAPINIT_READY=none"}, Args: []string{"sh", "-c", "trap '' TERM; exec sleep 1000"}})
		c.found("the stop signal TERM: sleep (pid ", "ignores it", "KILL after SWAPINIT_RETIRE_TIMEOUT=30s", "set SWAPINIT_STOP_SIGNAL")
	})
	t.Run("ignored, no limit", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{"SWAPINIT_READY=none", "SWAPINIT_RETIRE_TIMEOUT=0", "SWAPINIT_RETIRE_SIGNAL=USR1"}, Args: []string{"sh", "-c", "trap '' USR1; exec sleep 1000"}})
		c.found("the stop signal USR1: sleep (pid ", "it would never end", "set SWAPINIT_RETIRE_SIGNAL")
	})
	t.Run("not the graceful one", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: webEnv(), Args: []string{program(t, "nginx")}})
		c.awaitHealthy()
		c.found("the stop signal TERM: nginx (pid ", "ends gracefully at QUIT", "set SWAPINIT_STOP_SIGNAL=QUIT")
	})
	for _, set := range []string{"SWAPINIT_STOP_SIGNAL=QUIT", "SWAPINIT_RETIRE_SIGNAL=QUIT", "SWAPINIT_SIGNAL_MAP=TERM=QUIT"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv(set), Args: []string{program(t, "nginx"), "-on", "QUIT"}})
			c.awaitHealthy()
			c.sound()
		})
	}
}

// A predecessor that may take for ever, before the swap and after it.
func TestCheckDrain(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_DRAIN_TIMEOUT=0", "SWAPINIT_MAX_GENERATIONS=2", "SWAPINIT_IDLE_AFTER=1ms"}})
	quiet := c.keep()
	defer quiet.conn.Close()
	c.awaitStatus("an idle connection", func(s status) bool { return s.connections(1) == "1 1 0" })
	c.sound() // what is idle ends
	request := c.busy()
	c.found("SWAPINIT_DRAIN_TIMEOUT=0: ", "until its connections are idle", "1 is not", "a request without an answer", "SWAPINIT_DRAIN_TIMEOUT=30s")
	c.Swap()
	c.found("SWAPINIT_MAX_GENERATIONS: it is 2")
	await(t, "a drain that has gone on for long", func() bool { return len(c.problems()) == 2 })
	if r := c.Verb("check"); !strings.Contains(r.Stdout, "generation 1: it drains for 1") || !strings.Contains(r.Stdout, "for 1 connection (the oldest: 127.0.0.1:") {
		t.Errorf("check: %v", r)
	}
	request.finish()
	_ = quiet.conn.Close()
	c.awaitStates("2:active")
	c.sound()
}

// What the next start needs has gone meanwhile.
func TestCheckNextStart(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(dir string) []string
		harm func(dir string) error
		want []string
	}{
		{"the directory", func(dir string) []string { return []string{"SWAPINIT_DIR=" + dir + "/release"} },
			func(dir string) error { return os.Rename(dir+"/release", dir+"/gone") }, []string{"cannot use SWAPINIT_DIR=", "no such file"}},
		{"the environment file", func(dir string) []string { return []string{"SWAPINIT_ENV_FILE=" + dir + "/env"} },
			func(dir string) error { return os.WriteFile(dir+"/env", []byte("A='\n"), 0o644) }, []string{"cannot use SWAPINIT_ENV_FILE="}},
		{"the target file", func(dir string) []string { return []string{"SWAPINIT_TARGET_FILE=" + dir + "/target"} },
			func(dir string) error { return os.WriteFile(dir+"/target", []byte("a\nb\n"), 0o644) }, []string{"cannot use SWAPINIT_TARGET_FILE=", "a second command"}},
		{"what it names", func(dir string) []string { return []string{"SWAPINIT_TARGET_FILE=" + dir + "/target"} },
			func(dir string) error { return os.WriteFile(dir+"/target", []byte("nosuch\n"), 0o644) }, []string{`cannot find command "nosuch"`}},
		{"the command", func(dir string) []string { return []string{"SWAPINIT_SWAP_COMMAND=" + dir + "/run"} },
			func(dir string) error { return os.Remove(dir + "/run") }, []string{"cannot find command", "/run"}},
		{"its mode", func(dir string) []string { return []string{"SWAPINIT_SWAP_COMMAND=" + dir + "/run"} },
			func(dir string) error { return os.Chmod(dir+"/run", 0o600) }, []string{"cannot execute", "permission denied"}},
		{"a hook", func(dir string) []string { return []string{"SWAPINIT_PRE_SWAP=" + dir + "/run before"} },
			func(dir string) error { return os.Remove(dir + "/run") }, []string{"SWAPINIT_PRE_SWAP: cannot find command"}},
		{"a check", func(dir string) []string { return []string{"SWAPINIT_READY=exec:" + dir + "/run check"} },
			func(dir string) error { return os.Remove(dir + "/run") }, []string{"SWAPINIT_READY: cannot find command"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			write(t, dir+"/env", "A=1\n")
			write(t, dir+"/target", "sleep 1000\n")
			write(t, dir+"/run", "#!/bin/sh\n")
			for _, err := range []error{os.Mkdir(dir+"/release", 0o755), os.Chmod(dir+"/run", 0o755)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			c := start(t, opts{Env: ns.LastWins(append([]string{"SWAPINIT_READY=none"}, tc.set(dir)...)), Args: []string{"sleep", "1000"}})
			c.awaitHealthy()
			await(t, "it to be sound", func() bool { return c.Verb("check").Code == 0 })
			if err := tc.harm(dir); err != nil {
				t.Fatal(err)
			}
			c.found(append(tc.want, "the next start: ", "mend it")...)
		})
	}
}

// In a container that has joined a gate.
func TestCheckJoined(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c := g.first("one", nil)
	c.sound()
	adopted := g.memberWith(opts{Env: []string{"SWAPINIT_KEEP=1h"}}, "two", "-from", "none", "-ready", "none", "-bind", bindWeb)
	g.awaitHolder("two")
	adopted.awaitHealthy()
	adopted.sound()
	c.sound() // without a server
	g.stop()
	adopted.found("the gate at "+g.socket(), "no swap begins until it is back")
}

// The gate's endpoints are those of a member, which has no SWAPINIT_LISTEN of its own.
func TestCheckJoinedElsewhere(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c := g.first("one", nil, "-from", "none", "-ready", "none", "-bind", bindWeb, "-bind", "tcp4://127.0.0.1:9000")
	const do = "let the server open one of the gate's ports (8080), or name it in the gate's SWAPINIT_LISTEN"
	c.awaitErr("generation 1 has tcp://127.0.0.1:9000 for itself: it is no endpoint: " + do)
	c.found("tcp://127.0.0.1:9000: ", "already in use: it is no endpoint; "+do)
	r := c.Verb("swap")
	c.wantFailed(r, "it is no endpoint; "+do)
	if all := c.Stderr() + c.Verb("check").Stdout + r.Stderr; strings.Contains(all, "name it in SWAPINIT_LISTEN") || strings.Contains(all, "SWAPINIT_STRATEGY") {
		t.Errorf("it advises what a member may not do: %q", all)
	}
}

func TestCheckStopping(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Args: []string{"sh", "-c", "trap 'echo told' TERM; echo began; while :; do sleep 0.01; done"}})
	c.awaitOut("began")
	c.Signal(syscall.SIGTERM)
	c.awaitOut("told")
	c.wantFailed(c.Verb("check"), "check failed: the container is stopping")
}

// Many ask at once, and get the same answer.
func TestCheckMany(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: []string{"SWAPINIT_READY=none"}, Args: []string{"sh", "-c", "trap '' TERM; exec sleep 1000"}})
	c.found("ignores it")
	var all []<-chan result
	for range 8 {
		all = append(all, c.later("check"))
	}
	for n, answer := range all {
		if r := receive(t, fmt.Sprintf("check %d", n), answer); r.Code != 1 || !strings.Contains(r.Stdout, "ignores it") {
			t.Errorf("check %d: %v", n, r)
		}
	}
}
