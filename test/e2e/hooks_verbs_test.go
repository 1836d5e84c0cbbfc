package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// swap --follow stays until the generation has ended.
func TestFollow(t *testing.T) {
	follow := func(c *container, flags ...string) <-chan result {
		done := c.later(append([]string{"swap", "--follow", "--"}, server(c.t, flags...)...)...)
		c.awaitStates("2:active")
		select {
		case r := <-done:
			c.t.Fatalf("it did not stay: %v", r)
		default:
		}
		return done
	}
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		done := follow(c)
		if r := c.Verb(append([]string{"swap", "--"}, server(t, "-die", "boot")...)...); r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		if len(done) > 0 {
			t.Error("a failed swap replaces nothing")
		}
		c.Swap()
		r := receive(t, "its end", done)
		if r.Code != 0 || !strings.Contains(r.Stdout, "generation 2 was replaced") {
			t.Errorf("swap --follow: %v", r)
		}
	})
	t.Run("exits", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		done := follow(c)
		c.do("exit", "3")
		r := receive(t, "its end", done)
		if r.Code != 3 {
			t.Fatalf("swap --follow: %v, want status 3", r)
		}
		oneLine(t, r.Stderr, "generation 2 exited with status 3")
		c.wantStatus(3)
	})
	t.Run("is killed", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		done := follow(c)
		c.do("kill", "KILL")
		if r := receive(t, "its end", done); r.Code != 137 {
			t.Fatalf("swap --follow: %v, want status 137", r)
		}
		c.wantStatus(137)
	})
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, opts{})
		r := c.Verb(append([]string{"swap", "--follow", "--"}, server(t, "-die", "boot", "-die-status", "9")...)...)
		if r.Code != 1 {
			t.Fatalf("swap --follow: %v, want status 1", r)
		}
		oneLine(t, r.Stderr, "status 9")
	})
	t.Run("crash of a worker", func(t *testing.T) {
		t.Parallel()
		c := startWorkers(t, 2, opts{})
		done := c.later(append([]string{"swap", "--follow", "--"}, workerServer(t)...)...)
		c.awaitStates("2:active")
		c.kill(c.workers(2)[0].Pid, syscall.SIGKILL)
		await(t, "the worker to be back", func() bool { return c.workers(2)[0].Restarts == 1 })
		if len(done) > 0 {
			t.Error("the generation has not ended")
		}
		c.Swap()
		if r := receive(t, "its end", done); r.Code != 0 {
			t.Errorf("swap --follow: %v", r)
		}
	})
}

// All workers anew, as another generation with the same command.
func TestRestart(t *testing.T) {
	for _, force := range []bool{false, true} {
		t.Run(fmt.Sprintf("force %v", force), func(t *testing.T) {
			t.Parallel()
			env := []string{"SWAPINIT_SWAP_COMMAND=" + binary(t, "server") + " -say configured"} // for a swap
			c := startWorkers(t, 2, opts{Env: env}, "-say", "mine", "-stop", "ignore")
			before := c.workers(1)
			args := []string{"restart"}
			if force {
				args = append(args, "--force")
			}
			done := c.later(args...)
			defer func() { c.wantOnlyWorkers("mine", 2) }()
			if !force {
				r := receive(t, "the restart", done)
				if r.Code != 0 || !strings.Contains(r.Stdout, "restart done: generation 2 has all the traffic") {
					t.Fatalf("restart: %v", r)
				}
				c.awaitOut("gen 1 worker 0: got TERM")
				return
			}
			// It ignores its stop signal: with 30 s of retire timeout it lives on.
			r := receive(t, "the restart", done)
			if r.Code != 0 {
				t.Fatalf("restart --force: %v", r)
			}
			c.wantNever("gen 1 worker 0: got TERM")
			c.awaitStates("2:active")
			for _, p := range c.Procs() {
				if p.Pid == before[0].Pid || p.Pid == before[1].Pid {
					t.Errorf("%d lives", p.Pid)
				}
			}
			c.wantOnlyWorkers("generation 2", 2)
			if r := c.Verb("restart", "--canary", "1%/1s"); r.Code != 2 {
				t.Errorf("restart --canary: %v, want status 2", r)
			}
		})
	}
}

// Connections wait while nobody runs, under restart --force as well.
func TestRestartForceLosesNoConnection(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 50)
	if r := c.Verb("restart", "--force"); r.Code != 0 {
		t.Fatalf("restart --force: %v", r)
	}
	moreRequests(t, l, 50)
	if count := l.Stop(); count.Refused > 0 {
		t.Errorf("%v", count) // what the killed one had accepted is lost
	}
}

// A watched file asks for a swap when it is another one, not when it is touched.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	config, release := filepath.Join(dir, "config"), filepath.Join(dir, "current")
	write(t, config, "one\n")
	for _, name := range []string{"r1", "r2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "app"), name)
	}
	if err := os.Symlink("r1", release); err != nil {
		t.Fatal(err)
	}
	c := startWeb(t, opts{Env: []string{"SWAPINIT_WATCH=" + config + "," + release + " " + dir + "/absent"}})
	// The first look comes a moment after the start, and what was written before
	// that is no change: on a busy machine it may take another one.
	var last time.Time
	text := ""
	await(t, "a swap for the file", func() bool {
		if time.Since(last) > 10*time.Second {
			last, text = time.Now(), text+"two\n"
			write(t, config, text)
		}
		return c.status().states() == "2:active"
	})
	// A touch, and a rewrite of the same: the next thing that happens is the swap
	// for the release that comes after them.
	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(config, now, now); err != nil {
		t.Fatal(err)
	}
	write(t, config, text)
	if err := os.Remove(release); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("r2", release); err != nil {
		t.Fatal(err)
	}
	c.awaitStates("3:active")
	if n := strings.Count(c.Stderr(), "watch: "+config+" changed"); n != 1 {
		t.Errorf("the file has changed once, and %d times it said:\n%s", n, c.Stderr())
	}
	if !strings.Contains(c.Stderr(), "watch: "+release+" changed") {
		t.Errorf("said %q", c.Stderr())
	}
}

// What is in the target file is what runs, or nothing changes.
func TestTargetFileIsUnfit(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	target := filepath.Join(dir, "target")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_TARGET_FILE=" + target}})
	for name, text := range map[string]string{
		"empty": "", "huge": binary(t, "server") + " -say " + strings.Repeat("x", 70<<10), "binary": "\x7fELF\x00\x01\x02", "only white space": " \t\n\n",
	} {
		write(t, target, text)
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Fatalf("%s: %v, want status 1", name, r)
		}
		oneLine(t, r.Stderr, target)
	}
	c.wantNever("gen 1: got")
	c.awaitStates("1:active")

	// One that cannot be written: the swap stands, and the log says so.
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(target, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := c.Verb("swap")
	if r.Code != 1 {
		t.Fatalf("a directory: %v, want status 1", r)
	}
	oneLine(t, r.Stderr, target)
	c.Swap(append([]string{"--"}, server(t, "-say", "given")...)...)
	c.wantAnswer("given")
	c.awaitErr("cannot write SWAPINIT_TARGET_FILE")
}
