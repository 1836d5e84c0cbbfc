package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Races of swapping servers that have no test of another name. Their numbers
// are: 5 O_NONBLOCK, 6 NoLeaks, 8 and 9 OneSwapAtATime, 11 FailureIsFree,
// 13 MainPid, 16 RetireTimeout, 17 Watchdog, 18 FailureIsFree, 19
// TermDuringASwap, 21 DirAndEnvFile, 22 Readiness, 23 Datagrams.

// Race 1. The predecessor goes away with connections waiting in the queue:
// none of them is reset.
func TestRace01QueuedConnectionsSurvive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, network string
		env           string
		setup         string
		killed        bool // else it goes on, and serves them while it drains
		by            string
	}{
		{"shared", "tcp", "SWAPINIT_STEER=off", "", true, "generation 2"},
		{"shared unix", "unix", "SWAPINIT_STEER=off", "", true, "generation 2"},
		{"steered", "tcp", "SWAPINIT_STEER=require", "", false, "generation 1"},
		{"steered unix", "unix", "SWAPINIT_STEER=require", "", false, "generation 1"},
		// The kernel hands them on where it is told to.
		{"migrated", "tcp", "SWAPINIT_STEER=require", "/proc/sys/net/ipv4/tcp_migrate_req", true, "generation 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			queued(t, c.network, c.env, c.setup, c.killed, c.by)
		})
	}
}

func queued(t *testing.T, network, env, setup string, killed bool, by string) {
	sock := filepath.Join(tempDir(t), "a.sock")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LISTEN=web=tcp://" + web + " unix://" + sock, env}})
	if setup != "" {
		err := c.box.InNetwork(func() error {
			here, _ := os.Readlink("/proc/thread-self/ns/net")
			if home, _ := os.Readlink("/proc/self/ns/net"); here == home {
				return errors.New("this is no namespace of the test's own")
			}
			return os.WriteFile(setup, []byte("1"), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Stopped, it accepts nothing: the connections stay in the queue.
	pid := c.hostPid(c.status().pidOf(1))
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(t, "the predecessor to stop", func() bool { return strings.HasPrefix(procField(pid, "State"), "T") })
	address := map[string]string{"tcp": web, "unix": sock}[network]
	var queue []net.Conn
	for range 100 {
		conn, err := c.box.Dial(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		queue = append(queue, conn)
	}
	if r := c.swapWith("-gate", "/"); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	sig := syscall.SIGCONT
	if killed {
		sig = syscall.SIGKILL
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
	for i, conn := range queue {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		text, _ := io.ReadAll(answer.Body)
		if !strings.Contains(string(text), by) {
			t.Errorf("connection %d: %q, want %s", i, text, by)
		}
	}
}

// hostPid translates a pid of the container.
func (c *container) hostPid(pid int) int {
	c.t.Helper()
	for _, p := range c.Procs() {
		if p.Pid == pid {
			return p.Host
		}
	}
	c.t.Fatalf("no process %d in the container", pid)
	return 0
}

// Race 3. shutdown(2) by any holder stops a listener for all of them; it
// listens again at once.
func TestRace03ShutdownOfTheSharedListener(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(tempDir(t), "a.sock")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LISTEN=web=tcp://" + web + " unix://" + sock}})
	c.do("shutdown", "")
	await(t, "the endpoint to accept again", func() bool {
		conn, err := c.box.Dial(t.Context(), "tcp", web)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	c.awaitErr("swapinit: ")
	// The one that shut it down may have stopped accepting; its successor serves.
	c.Swap()
	c.wantServing(2)
}

// Race 4. A wrapper that does not exec: LISTEN_PID is the wrapper's pid, the
// server refuses the sockets, and the swap fails with its words.
func TestRace04WrapperWithoutExec(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	r := c.Verb("swap", "--", "sh", "-c", binary(t, "server")+"; exit 1")
	if r.Code != 1 {
		t.Fatalf("swap: %v, want status 1", r)
	}
	c.awaitErr("LISTEN_PID")
	c.wantNever("gen 1: got")
	c.wantServing(1)
	// With exec it works.
	c.Swap("--", "sh", "-c", "exec "+binary(t, "server"))
	c.awaitStates("3:active")
	c.wantServing(3)
}

// Race 5. O_NONBLOCK belongs to the open file description, which all holders
// share.
func TestRace05Nonblock(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{manyGenerations}})
	l := c.load()
	for _, flags := range [][]string{{"-at-boot", "block"}, {"-at-boot", "nonblock"}, {"-at-boot", "block", "-die", "boot"}, nil} {
		r := c.swapWith(flags...)
		if want := len(flags) == 4; (r.Code == 1) != want {
			t.Fatalf("swap %q: %v", flags, r)
		}
		moreRequests(t, l, 30)
	}
	noLoss(t, l)
}

// Race 7. A stray that keeps the listener after its generation is gone would
// take connections and not answer them: it gets TERM, its time, and KILL.
func TestRace07StrayHoldsTheListener(t *testing.T) {
	t.Parallel()
	for _, stop := range []string{"50ms", "never"} {
		c := startWeb(t, opts{Env: []string{"SWAPINIT_LEFTOVER_TIMEOUT=200ms"}}, "-strays", "1", "-stray-holds", "-stray-stop", stop)
		c.Swap("--", binary(t, "server"))
		c.awaitStates("2:active")
		await(t, "the stray to be gone", func() bool {
			for _, p := range c.Procs() {
				if len(p.Args) > 1 && p.Args[1] == "stray" {
					return false
				}
			}
			return true
		})
		c.awaitOut("gen 1: stray got TERM")
		c.wantServing(2)
	}
}

// Race 10. The successor ends just after it was ready. Before the predecessor
// has its stop signal, it stays; afterwards swapinit ends with the successor's
// status, once all is gone.
func TestRace10SuccessorEndsAfterReady(t *testing.T) {
	t.Run("before the cut-over", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, opts{Env: []string{"SWAPINIT_SETTLE=1h"}})
		swap := c.later(append([]string{"swap", "--"}, server(t, "-die", "FILE="+trigger, "-die-status", "9")...)...)
		c.awaitStates("1:active 2:ready")
		touch(t, trigger)
		if r := receive(t, "the swap", swap); r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		c.wantNever("gen 1: got")
		c.awaitStates("1:active")
		c.wantServing(1)
	})
	t.Run("while the predecessor drains", func(t *testing.T) {
		t.Parallel()
		trigger := tempDir(t) + "/die"
		c := startWeb(t, opts{}, "-status", "3")
		request := c.longRequest()
		c.Swap(append([]string{"--"}, server(t, "-die", "FILE="+trigger, "-die-status", "9")...)...)
		c.awaitOut("gen 1: got TERM")
		touch(t, trigger)
		c.awaitOut("gen 2: dying")
		request.finish()
		c.wantStatus(9)
		c.wantOrder("gen 2: dying", "gen 1: done")
	})
}

// Race 12. Ready while an older one still drains, then a third swap.
func TestRace12SwapsWhileDraining(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_RETIRE_TIMEOUT=1h"}})
	first := c.longRequest()
	c.Swap()
	second := c.longRequest()
	c.Swap()
	c.awaitStates("1:draining 2:draining 3:active")
	c.wantServing(3)
	first.finish()
	c.awaitStates("2:draining 3:active")
	second.finish()
	c.awaitStates("3:active")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// Race 14. A server that removes or replaces the path of a Unix endpoint does
// not take it away: swapinit owns it.
func TestRace14UnixPathIsRestored(t *testing.T) {
	for _, act := range []string{"unlink", "rebind"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			sock := filepath.Join(tempDir(t), "a.sock")
			c := startWeb(t, opts{Env: []string{"SWAPINIT_LISTEN=web=tcp://" + web + " unix://" + sock}})
			c.Swap()
			c.awaitOut("gen 1: done")
			c.do(act, sock)
			await(t, "the path to lead to the endpoint", func() bool { return strings.Contains(c.ask1("unix", sock), "generation 2") })
			c.Swap()
			await(t, "the successor on the path", func() bool { return strings.Contains(c.ask1("unix", sock), "generation 3") })
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
			entries, err := os.ReadDir(filepath.Dir(sock))
			if err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v %v", entries, err)
			}
		})
	}
}

// Race 15. A pid that belonged to a retired predecessor comes back before its
// retire timeout: the KILL does not hit the new process.
func TestRace15PidReuse(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_RETIRE_TIMEOUT=2s"}})
	pid := c.status().pidOf(1)
	if r := c.Exec("sh", "-c", "test -w /proc/sys/kernel/ns_last_pid"); r.Code != 0 {
		skip(t, "namespaces", "ns_last_pid cannot be set")
	}
	c.Swap()
	c.awaitStates("2:active") // the first one is gone
	reuse := fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9 10; do echo %d > /proc/sys/kernel/ns_last_pid; setsid sleep 1000 >/dev/null 2>&1 </dev/null & "+
		"[ $! = %d ] && exit 0; kill $!; done; exit 1", pid-1, pid)
	if r := c.Exec("sh", "-c", reuse); r.Code != 0 {
		skip(t, "namespaces", "pid %d could not be had again: %v", pid, r)
	}
	// A later predecessor that ignores TERM is killed: by then the first one's
	// time is over as well.
	c.Swap("--", binary(t, "server"), "-stop", "ignore")
	c.Swap("--", binary(t, "server"))
	c.awaitOut("gen 3: got TERM")
	c.awaitStates("4:active")
	for _, p := range c.Procs() {
		if p.Pid == pid && p.Name == "sleep" {
			return
		}
	}
	t.Errorf("the process that has pid %d now was killed", pid)
}

// Race 20. The active one crashes while the successor boots: the successor is
// promoted when it is ready, and if it fails, too, the status is that of the
// one that was active.
func TestRace20ActiveDiesInMidSwap(t *testing.T) {
	t.Run("the successor gets ready", func(t *testing.T) {
		t.Parallel()
		gate := tempDir(t) + "/gate"
		c := startWeb(t, opts{})
		swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", gate, "-status", "22")...)...)
		c.awaitOut("gen 2: started")
		c.awaitStates("1:active 2:starting")
		c.do("exit", "21")
		await(t, "the end of the first", func() bool { return !strings.Contains(c.status().states(), "1:") })
		conn, err := c.box.Dial(t.Context(), "tcp", web) // waits in the endpoint
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		defer conn.Close()
		touch(t, gate)
		if r := receive(t, "the swap", swap); r.Code != 0 {
			t.Fatalf("swap: %v", r)
		}
		c.awaitStates("2:active")
		c.wantServing(2)
		c.Signal(syscall.SIGTERM)
		c.wantStatus(22)
	})
	t.Run("both fail", func(t *testing.T) {
		t.Parallel()
		gate := tempDir(t) + "/gate"
		c := startWeb(t, opts{})
		swap := c.later("swap", "--", "sh", "-c", "while ! [ -e "+gate+" ]; do sleep 0.01; done; exit 22")
		c.awaitStates("1:active 2:starting")
		c.do("exit", "21")
		await(t, "the end of the first", func() bool { return !strings.Contains(c.status().states(), "1:") })
		touch(t, gate)
		c.wantStatus(21)
		if r := receive(t, "the swap", swap); r.Code == 0 {
			t.Errorf("swap: %v", r)
		}
	})
}

// No signal of swapinit's reaches a recycled pid even when pids are few: with
// a tiny pid space every pid is used again and again while generations come,
// fail, and are killed.
func TestFewPids(t *testing.T) {
	t.Parallel()
	if !ownPidMax() {
		skip(t, "namespaces", "a PID namespace has no pid_max of its own before Linux 6.14")
	}
	c := startWeb(t, opts{Env: []string{"SWAPINIT_RETIRE_TIMEOUT=50ms"}})
	if r := c.Exec("sh", "-c", "echo 400 > /proc/sys/kernel/pid_max"); r.Code != 0 {
		skip(t, "namespaces", "pid_max cannot be set: %v", r)
	}
	c.execStray("600ms")
	for n := range 40 {
		flags := []string{"-stop", []string{"ignore", "finish", "exit"}[n%3]}
		if n%5 == 4 {
			if r := c.swapWith("-die", "boot"); r.Code != 1 {
				t.Fatalf("swap: %v", r)
			}
		}
		if r := c.swapWith(flags...); r.Code != 0 {
			t.Fatalf("swap %d: %v", n, r)
		}
	}
	c.wantNever("stray got")
	c.Swap(append([]string{"--"}, server(t)...)...)
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// ownPidMax reports whether pid_max belongs to the PID namespace (Linux 6.14);
// before, writing it would change the whole machine.
func ownPidMax() bool {
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		return false
	}
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 6 || major == 6 && minor >= 14
}
