package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// Endpoints that the server binds for itself are endpoints: all that steering does works
// the same.

func TestAdoptCanary(t *testing.T) {
	for _, tc := range []struct{ listen, bind string }{{"tcp://" + web, bindWeb}, {":8080", "tcp4://0.0.0.0:8080"}} {
		t.Run(plain(tc.listen), func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=" + tc.listen, "SWAPINIT_CANARY=25%/1h"}}, []string{tc.bind})
			swap := c.later("swap")
			c.awaitShares("1:75 2:25")
			c.wantShare(0.25)
			c.wantNever("gen 1: got")
			if r := c.Verb("promote"); r.Code != 0 {
				t.Fatalf("promote: %v", r)
			}
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			c.wantOnly(2)
			c.awaitStates("2:active")
			c.awaitShares("2:100")
		})
	}
}

func TestAdoptKeepAndRollback(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{"SWAPINIT_KEEP=1h", "SWAPINIT_LISTEN=:8080"}}, []string{"tcp4://0.0.0.0:8080"}, "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	c.Swap()
	c.wantOnly(2)
	c.awaitShares("1:0 2:100")
	c.steady(1, "draining")
	if r := c.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	c.wantOnly(1)
	c.awaitDrained(2)
	c.awaitStates("1:active")
	c.wantNever("gen 1: got")
	c.Swap()
	c.wantOnly(3)
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	c.awaitStates("3:active")
	noLoss(t, l)
}

func TestAdoptDrainsUntilIdle(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{soonIdle}}, []string{bindWeb}, "-stop", "exit")
	quiet := c.keep()
	request := c.busy()
	c.awaitStatus("its connections", func(s status) bool { return s.connections(1) == "2 1 0" })
	c.Swap()
	c.wantOnly(2)
	c.steady(1, "draining")
	if got := quiet.get("/"); got != "generation 1\n" {
		t.Errorf("a kept connection is answered by %q", got)
	}
	request.finish()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
}

// A server that crashes leaves an endpoint that goes on: who comes waits for the next.
func TestAdoptRespawn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ listen, bind string }{{"tcp://" + web, bindWeb}, {":8080", "tcp4://0.0.0.0:8080"}} {
		t.Run(plain(tc.listen), func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=" + tc.listen, "SWAPINIT_RESPAWN=on-failure"}}, []string{tc.bind}, "-stop", "exit", "-work", "5ms")
			for n := 1; n <= 2; n++ {
				c.kill(c.status().pidOf(1), syscall.SIGKILL)
				k := c.open("tcp", web)
				if got := k.get("/"); got != "generation 1\n" {
					t.Errorf("answer %q", got)
				}
				_ = k.conn.Close()
				c.awaitTimes("gen 1: bound", n+1)
			}
			c.awaitHealthy()
			l := c.loadOn("tcp", web)
			moreRequests(t, l, 20)
			c.Swap()
			c.awaitDrained(1)
			noLoss(t, l)
		})
	}
}

func TestAdoptWorkers(t *testing.T) {
	t.Parallel()
	flags := []string{"-from", "none", "-ready", "none", "-bind", bindWeb, "-stop", "exit", "-work", "5ms"}
	c := startWorkers(t, 3, opts{Env: []string{"SWAPINIT_STEER=require", "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_IDLE_AFTER=1h"}}, flags...)
	before := c.workers(1)
	c.kill(before[1].Pid, syscall.SIGKILL)
	c.awaitStatus("the worker to be back", func(status) bool {
		all := c.workers(1)
		return all[1].Restarts == 1 && all[1].Ready
	})
	seen := map[string]bool{}
	await(t, "an answer of each worker", func() bool {
		seen[c.ask1("tcp", web)] = true
		return len(seen) >= 3
	})
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 30)
	c.Swap()
	c.awaitDrained(1)
	c.awaitStates("2:active")
	for range 30 {
		if got := c.ask1("tcp", web); !strings.HasPrefix(got, "generation 2 worker") {
			t.Fatalf("answer %q", got)
		}
	}
	noLoss(t, l)
	c.wantAdopted(1)
}

// In batches: never fewer than all workers serve, and nothing is lost.
func TestAdoptWorkersInBatches(t *testing.T) {
	t.Parallel()
	flags := []string{"-from", "none", "-ready", "none", "-bind", bindWeb, "-work", "5ms"}
	c := startWorkers(t, 3, opts{Env: []string{"SWAPINIT_BATCH=1", manyGenerations}}, flags...)
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 30)
	c.Swap()
	c.awaitStates("2:active")
	moreRequests(t, l, 30)
	noLoss(t, l)
}

// A path that is watched, and a file that names the command.
func TestAdoptWatch(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	file := write(t, dir+"/version", "1")
	target := dir + "/target"
	c := startBinding(t, opts{Env: []string{"SWAPINIT_WATCH=" + file, "SWAPINIT_TARGET_FILE=" + target}}, []string{bindWeb}, "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	write(t, file, "2")
	c.awaitOut("gen 2: ready")
	c.awaitStates("2:active")
	c.wantOnly(2)
	write(t, target, strings.Join(binding(t, []string{bindWeb}, "-say", "new"), " ")+"\n")
	c.Swap()
	c.awaitStatus("generation 3", func(s status) bool { return s.stateOf(3) == "active" })
	if got := c.ask1("tcp", web); got != "generation 3 new\n" {
		t.Errorf("answer %q", got)
	}
	c.awaitDrained(2)
	noLoss(t, l)
}

// Every TCP port that the server listens on is an endpoint with SWAPINIT_ADOPT=on, or
// with its number.
func TestAdoptOn(t *testing.T) {
	for _, tc := range []struct{ adopt, bind string }{
		{"on", bindWeb}, {"8080", bindWeb}, {"on", "tcp4://0.0.0.0:8080"}, {"on", "tcp6://[::]:8080?v6only=0"}, {"7000,8080", "tcp4://0.0.0.0:8080?reuseport&sockets=2"},
	} {
		t.Run(plain(tc.adopt+" "+tc.bind), func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: []string{"SWAPINIT_ADOPT=" + tc.adopt, "SWAPINIT_SETTLE=0", "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_IDLE_AFTER=1h", manyGenerations},
				Args: binding(t, []string{tc.bind}, "-stop", "exit", "-work", "5ms")})
			c.awaitOut("gen 1: ready")
			await(t, "the endpoint", func() bool { return len(c.adopted()) == 1 })
			c.awaitHealthy()
			c.manySwaps([]string{web})
			c.wantAdopted(1)
		})
	}
}

// Sockets that are all bound before the first of them listens are one endpoint, too.
func TestAdoptOnTogether(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	bind := bindWeb + "?reuseport&late=" + gate
	c := start(t, opts{Env: []string{"SWAPINIT_ADOPT=on"}, Args: binding(t, []string{bind, bind, bind})})
	await(t, "three sockets", func() bool { return strings.Count(c.Stdout(), "waits to listen") == 3 })
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	await(t, "the sockets", func() bool { return len(c.boundAt(1, bind)) == 3 })
	c.awaitHealthy()
	c.wantAdopted(1)
	if sockets := c.boundAt(1, bind); inodeIn(sockets[0]) != inodeIn(sockets[2]) {
		t.Errorf("they are %q, want one socket", sockets)
	}
}

// An unprivileged server gets no port that it could not have.
func TestAdoptLowPorts(t *testing.T) {
	t.Parallel()
	needUser(t, 1234)
	c := start(t, opts{Env: []string{"SWAPINIT_ADOPT=on", "SWAPINIT_USER=1234"}, Args: binding(t, []string{"tcp4://127.0.0.1:80?try", "tcp4://127.0.0.1:8080"})})
	c.awaitOut("permission denied")
	c.awaitOut("gen 1: bound tcp4://127.0.0.1:8080")
}

// Whoever the server is: it is adopted.
func TestAdoptUsers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		o        opts
		run      []string // before the server
		confined string   // no_new_privs, which root does not need
	}{
		{"SWAPINIT_USER", opts{Env: []string{"SWAPINIT_USER=1234:1234"}}, nil, "1"},
		{"the whole container", opts{Config: ns.Config{Uid: 1234}}, nil, "1"},
		{"by an exec", opts{}, []string{"become", "1234"}, "0"},
		{"by a shell and an exec", opts{}, nil, "0"},
	} {
		for _, ptrace := range []bool{true, false} {
			if !ptrace && tc.o.Uid != 0 {
				continue // it has no capability at all
			}
			t.Run(fmt.Sprintf("%s, CAP_SYS_PTRACE %v", tc.name, ptrace), func(t *testing.T) {
				t.Parallel()
				needUser(t, 1234)
				o := tc.o
				args := binding(t, []string{bindWeb}, "-stop", "exit", "-work", "5ms")
				if tc.run != nil {
					args = append(append([]string{binary(t, "server")}, tc.run...), args...)
				}
				if tc.name == "by a shell and an exec" {
					args = append([]string{"sh", "-c", `"$0" become 1234 "$@"; exit $?`, binary(t, "server")}, args...)
				}
				if o.Args = args; !ptrace {
					o.Program, o.Args = binary(t, "server"), append([]string{"without-ptrace", binary(t, "swapinit")}, args...)
				}
				o.Env = webEnv(append([]string{"SWAPINIT_STEER=require", "SWAPINIT_IDLE_AFTER=1h", "SWAPINIT_DRAIN_TIMEOUT=1h", manyGenerations}, o.Env...)...)
				c := start(t, o)
				c.awaitHealthy()
				if p := procNamed(c, "server"); p == nil || !strings.HasPrefix(procField(p.Host, "Uid"), "1234") {
					t.Errorf("the server is %+v", p)
				} else if got := procField(p.Host, "NoNewPrivs"); got != tc.confined && procField(os.Getpid(), "NoNewPrivs") == "0" {
					t.Errorf("NoNewPrivs is %s, want %s", got, tc.confined)
				}
				c.wantAdopted(1)
				l := c.loadOn("tcp", web)
				for n := 2; n <= 3; n++ {
					moreRequests(t, l, 30)
					c.Swap()
					c.wantOnly(n)
					c.awaitDrained(n - 1)
				}
				noLoss(t, l)
			})
		}
	}
}

// In auto nobody loses what no_new_privs takes away: a program with a setuid bit that
// is not root's to run is left alone.
func TestAdoptLeavesSetuidPrograms(t *testing.T) {
	for _, adopt := range []string{"auto", "on"} {
		t.Run(adopt, func(t *testing.T) {
			t.Parallel()
			needUser(t, 1234)
			program := tempDir(t) + "/server"
			data, err := os.ReadFile(binary(t, "server"))
			if err == nil {
				err = os.WriteFile(program, data, 0o755)
			}
			if err == nil {
				err = os.Chmod(program, 0o755|os.ModeSetuid)
			}
			if err != nil {
				t.Fatal(err)
			}
			args := binding(t, []string{bindWeb + "?try"})
			c := start(t, opts{Env: webEnv("SWAPINIT_USER=1234", "SWAPINIT_ADOPT="+adopt), Args: append([]string{program}, args[1:]...)})
			c.awaitOut("gen 1: ready")
			if adopt == "on" {
				c.awaitHealthy()
				c.wantAdopted(1)
				return
			}
			c.awaitLine("setuid", "SWAPINIT_ADOPT=on")
			c.awaitOut("address already in use")
			p := procNamed(c, "server")
			if p == nil {
				t.Fatal("no server")
			}
			if got, own := filtered(p.Host), filtered(os.Getpid()); got != own {
				t.Errorf("Seccomp and NoNewPrivs are %q, want %q", got, own)
			}
		})
	}
}
