package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What inits must get right, one test a point. Points 6 (TestTransparent), 7
// and 8 (terminals) are in files of their own.

// rounds is how often a race is given its chance.
const rounds = 20

// shell starts a container whose command is a shell script.
func shell(t *testing.T, o opts, script string) *container {
	t.Helper()
	o.Args = append(o.Args, "sh", "-c", script)
	return start(t, o)
}

// Point 1. While swapinit is stopped both die, so that there is one SIGCHLD
// for two.
func TestMainAndOrphanDieTogether(t *testing.T) {
	t.Parallel()
	for range rounds {
		c := shell(t, opts{}, "(sleep 1000 &) ; echo up; exec sleep 2000")
		c.awaitOut("up")
		isSleep := func() bool {
			n := 0
			for _, p := range c.Procs() {
				if p.Name == "sleep" {
					n++
				}
			}
			return n == 2
		}
		await(t, "both processes", isSleep)
		c.Signal(syscall.SIGSTOP)
		for _, p := range c.Procs() {
			if p.Name == "sleep" {
				_ = syscall.Kill(p.Host, syscall.SIGKILL)
			}
		}
		c.Signal(syscall.SIGCONT)
		c.wantStatus(128 + 9)
	}
}

// Point 2. 127 is what a shell says when it finds no command; an init that
// takes it for a failed exec of its own hangs.
func TestMainExits127(t *testing.T) {
	t.Parallel()
	shell(t, opts{}, "exit 127").wantStatus(127)
}

// Point 3.
func TestMainExitsBeforeAnythingIsRegistered(t *testing.T) {
	t.Parallel()
	for i := range rounds {
		start(t, opts{Args: []string{"true"}}).wantStatus(0)
		start(t, opts{Args: []string{"false"}, Plain: i%2 == 0}).wantStatus(1)
	}
}

// Point 4. From the moment that swapinit listens to signals TERM is never lost,
// whether there is a child already or not.
func TestTermDuringStartUp(t *testing.T) {
	t.Parallel()
	for range rounds {
		c := start(t, opts{Args: []string{"sleep", "1000"}})
		c.Signal(syscall.SIGTERM)
		c.wantStatus(128 + 15)
	}
}

// Point 4, the moments before: the Go runtime has handlers, but nobody listens
// yet. It ends the process with status 2, which is not faithful, but TERM is not
// lost either.
func TestTermBeforeSwapinitListens(t *testing.T) {
	t.Parallel()
	for range rounds {
		c := start(t, opts{Args: []string{"sleep", "1000"}, Early: true})
		await(t, "the runtime's handlers", func() bool { return c.catches(syscall.SIGTERM) })
		c.Signal(syscall.SIGTERM)
		if got := c.Wait(); got != 2 && got != 128+15 {
			t.Fatalf("exit status %d", got)
		}
	}
}

// Point 5.
func TestAllExitCodes(t *testing.T) {
	t.Parallel()
	limit := make(chan struct{}, 4)
	var all sync.WaitGroup
	for code := range 256 {
		limit <- struct{}{}
		c := shell(t, opts{Plain: true}, "exit "+strconv.Itoa(code))
		all.Add(1)
		go func() {
			defer all.Done()
			<-c.box.Done()
			<-limit
			if s := c.box.Status(); !s.Exited() || s.ExitStatus() != code {
				t.Errorf("exit %d: %v", code, s)
			}
		}()
	}
	all.Wait()
	for _, code := range []int{0, 1, 125, 126, 127, 128, 137, 255} {
		shell(t, opts{}, "exit "+strconv.Itoa(code)).wantStatus(code)
	}
}

// Point 5.
func TestSignalDeaths(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 24, 30, 31, 34, 40, 64} {
		c := start(t, opts{Plain: true, Args: []string{"sh", "-c", fmt.Sprintf("ulimit -c 0; kill -%d $$; exit 77", sig)}})
		if got := c.Wait(); got != 128+int(sig) {
			t.Errorf("signal %d: exit status %d, want %d", sig, got, 128+int(sig))
		}
	}
}

// Point 5.
func TestAStoppedChildIsNoExit(t *testing.T) {
	t.Parallel()
	c := shell(t, opts{}, "echo up; kill -STOP $$; echo on; exit 9")
	c.awaitOut("up")
	var child int
	await(t, "the child to stop", func() bool {
		for _, p := range c.Procs() {
			if p.State == "T" {
				child = p.Host
			}
		}
		return child != 0
	})
	if r := c.Verb("status"); r.Code != 0 || c.ended() {
		t.Fatalf("a stopped child ended swapinit: %v", r)
	}
	if err := syscall.Kill(child, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.wantStatus(9)
}

// Points 9 and 10 with a shell's background job; TestNobodyLeftBehind has the
// same for daemons. The hour shows that swapinit does not wait for the end of
// the grace.
func TestBackgroundJobsGetTheirTime(t *testing.T) {
	t.Parallel()
	job := "sh -c 'trap \"sleep 0.6; echo finished; exit\" TERM; echo job; while :; do sleep 0.01; done'"
	for _, how := range []string{job + " & wait", "setsid " + job + " & wait"} {
		c := shell(t, opts{Env: []string{"SWAPINIT_LEFTOVER_TIMEOUT=1h"}}, "trap 'exit 3' TERM; "+how)
		c.awaitOut("job")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(3)
		if !strings.Contains(c.Stdout(), "finished") {
			t.Errorf("%s: killed midway", how)
		}
	}
}

// Point 11. An unprivileged init may not signal a child that became root.
func TestARefusedKillIsAWarning(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	const nobody = 65534
	needUser(t, nobody)
	suid := filepath.Join(tempDir(t), "server")
	text, err := os.ReadFile(binary(t, "server"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(suid, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(suid, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(suid, &fs); err == nil && fs.Flags&unix.ST_NOSUID != 0 {
		skip(t, "namespaces", "%s is mounted nosuid", filepath.Dir(suid))
	}
	o := opts{Env: webEnv(), Args: []string{suid, "-become-root"}}
	o.Uid = nobody
	c := start(t, o)
	c.awaitOut("ready")
	c.Signal(syscall.SIGUSR1)
	c.Signal(syscall.SIGTERM)
	c.awaitErr("not permitted")
	c.wantServing(1)
	c.wantNever("got")
	c.do("exit", "6")
	c.wantStatus(6)
}

// Point 12, and the rest of "flags stop at the first argument that is not one".
func TestFlagsStopAtTheCommand(t *testing.T) {
	t.Parallel()
	cases := []struct {
		args []string
		out  string
	}{
		{[]string{"echo", "-h"}, "-h\n"},
		{[]string{"--", "echo", "-h"}, "-h\n"},
		{[]string{"-g", "echo", "-V"}, "-V\n"},
		{[]string{"-g", "--", "echo", "--", "-x"}, "-- -x\n"},
		{[]string{"echo", "swap"}, "swap\n"},
	}
	for _, tc := range cases {
		c := start(t, opts{Plain: true, Args: tc.args})
		c.wantStatus(0)
		if got := c.Stdout(); got != tc.out {
			t.Errorf("%q printed %q, want %q", tc.args, got, tc.out)
		}
		if got := c.Stderr(); got != "" {
			t.Errorf("%q said %q", tc.args, got)
		}
	}
}

// Point 13. HUP and USR2 end a process that has no handler for them.
func TestEarlySwapSignalsDoNotReachTheChild(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2} {
		c := shell(t, opts{Env: []string{"SWAPINIT_READY_TIMEOUT=50ms"}}, "trap 'echo stopped; exit 8' TERM; while :; do sleep 0.01; done")
		await(t, "the child", func() bool { return len(c.Procs()) > 1 })
		for range 5 {
			c.Signal(sig)
		}
		await(t, "a failed swap", func() bool { s := c.status(); return s.LastSwap != nil && !s.LastSwap.OK })
		c.awaitStates("1:active")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(8)
	}
}

// Point 14. Not PID 1: orphans come to swapinit all the same, and nothing is
// said about it.
// Without pidfds, which an old kernel has not and a sandbox refuses, all goes by the
// numbers of children that were not reaped.
func TestWithoutPidfds(t *testing.T) {
	for _, what := range []string{"pidfds", "2018"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, refusing(t, what, "SWAPINIT_LEFTOVER_TIMEOUT=1s"), "-strays", "1", "-status", "5")
			c.Signal(syscall.SIGUSR1)
			c.awaitOut("gen 1: got USR1")
			c.Swap("--", binary(t, "server"), "-strays", "1", "-stray-stop", "never", "-status", "6")
			c.awaitOut("gen 1: done")
			c.awaitStates("2:active")
			c.wantServing(2)
			if r := c.swapWith("-die", "boot", "-die-status", "9"); r.Code != 1 || !strings.Contains(r.Stderr, "9") {
				t.Errorf("a failing swap: %v", r)
			}
			// An orphan's zombie is reaped, also of a docker exec.
			if r := c.Exec("sh", "-c", "setsid sh -c 'sleep 0.05; exit 3' & exit 0"); r.Code != 0 {
				t.Error(r)
			}
			await(t, "no zombies", func() bool {
				return !slices.ContainsFunc(c.Procs(), func(p proc) bool { return p.State == "Z" || p.Name == "sh" || p.Name == "sleep" })
			})
			c.Signal(syscall.SIGTERM)
			c.wantStatus(6)
			c.wantOrder("gen 1: got USR1", "gen 1: got TERM", "gen 2: got TERM", "gen 2: done")
		})
		t.Run(what+" and KILL", func(t *testing.T) {
			t.Parallel()
			o := refusing(t, what, "SWAPINIT_RETIRE_TIMEOUT=100ms", "SWAPINIT_STOP_TIMEOUT=100ms", "SWAPINIT_KILL_GROUP=true")
			c := startWeb(t, o, "-stop", "ignore", "-strays", "1", "-stray-same-group", "-stray-stop", "never")
			c.Swap("--", binary(t, "server"), "-stop", "ignore")
			c.awaitStates("2:active")
			c.Signal(syscall.SIGTERM)
			c.wantStatus(128 + 9)
		})
	}
}

// With the /proc of another pid namespace (unshare -pf) nobody is taken for somebody
// else: what is left is told to stop, and swapinit ends with it.
func TestProcOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	o := opts{Env: webEnv("SWAPINIT_LEFTOVER_TIMEOUT=1h"), Args: []string{"sh", "-c", "setsid sleep 1000 & exec \"$@\"", "sh", binary(t, "server")}}
	o.OuterProc = true
	c := start(t, o)
	c.awaitOut("gen 1: ready")
	c.Swap("--", binary(t, "server"))
	c.awaitOut("gen 1: done")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

func TestSubreaperWhenNotPid1(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"-s"}} {
		c := shell(t, opts{Plain: true, Args: flags}, "(sleep 1000 &); echo up; trap 'exit 0' TERM; while :; do sleep 0.01; done")
		c.awaitOut("up")
		await(t, "the orphan", func() bool {
			return slices.ContainsFunc(c.Procs(), func(p proc) bool {
				return p.PPid == c.box.Pid() && slices.Equal(p.Args, []string{"sleep", "1000"})
			})
		})
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
		if got := c.Stderr(); got != "" {
			t.Errorf("said %q", got)
		}
	}
}

// Point 15. The parent ends the moment that swapinit has a child. The pipe is
// closed when swapinit and its child are gone.
func TestParentDeath(t *testing.T) {
	t.Parallel()
	for range rounds {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		o := opts{Plain: true, Bare: true, Args: []string{"/bin/sh", "-c", binary(t, "swapinit") + " -p TERM sleep 1000 & until grep -q . /proc/$!/task/*/children; do :; done; exit 0"}}
		o.Stdout = w
		c := start(t, o)
		_ = w.Close()
		c.wantStatus(0)
		gone := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 1))
			gone <- err
		}()
		receive(t, "swapinit to follow its parent", gone)
		_ = r.Close()
	}
}

// Point 16. A working directory would pin a mount; the child has the one that
// was configured.
func TestOwnWorkingDirectoryIsRoot(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	o := opts{}
	o.Dir = dir
	c := startWeb(t, o)
	if got, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", c.box.Pid())); err != nil || got != "/" {
		t.Errorf("swapinit is in %q (%v), want /", got, err)
	}
	if got := c.state().Dir; got != dir {
		t.Errorf("the child is in %q, want %q", got, dir)
	}
	c.Swap()
	c.awaitStates("2:active")
	if got := c.state().Dir; got != dir {
		t.Errorf("the successor is in %q, want %q", got, dir)
	}
}

// Point 17. A reader of the container's output sees its end, and swapinit does
// not wait for the pipe.
func TestAHeldOpenStdoutDoesNotDelayTheExit(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // this copy is open until after the exit
	o := opts{Env: []string{"SWAPINIT_LEFTOVER_TIMEOUT=1h"}}
	o.Stdout = w
	c := shell(t, o, "sleep 1000 & exit 3")
	c.wantStatus(3)
}

// Point 18. The limit is set while swapinit runs: the next fork fails, and so
// does the next thread.
func TestPidsLimitDuringSwap(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	const uid = 54321 // nobody else's: the limit counts a user's processes
	needUser(t, uid)
	o := opts{}
	o.Uid = uid
	c := startWeb(t, o)
	c.Swap()
	c.awaitStates("2:active")
	l := c.load()
	moreRequests(t, l, 10)
	// Its own user may change the limit; root may not without CAP_SYS_RESOURCE.
	limit := func(soft string) {
		t.Helper()
		as := fmt.Sprintf("--reuid=%d", uid)
		if r := c.Exec("setpriv", as, fmt.Sprintf("--regid=%d", uid), "--clear-groups", "prlimit", "--pid", "1", "--nproc="+soft+":"); r.Code != 0 {
			t.Fatalf("cannot set the limit: %v", r)
		}
	}
	limit("1")
	for range rounds {
		if r := c.Verb("swap"); r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
	}
	limit("1000")
	c.awaitStates("2:active")
	c.wantNever("gen 2: got")
	c.Swap()
	noLoss(t, l)
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}
