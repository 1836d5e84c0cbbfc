//go:build linux

package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// dockerProcess is a line of fixture procs.
type dockerProcess struct {
	pid, parent int
	state, name string
}

func (c *dockerContainer) processes() (all []dockerProcess) {
	c.t.Helper()
	for line := range strings.Lines(c.exec(c.fixture(), "procs")) {
		f := strings.Fields(line)
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			c.t.Fatalf("procs: %q", line)
		}
		parent, err := strconv.Atoi(f[1])
		if err != nil {
			c.t.Fatalf("procs: %q", line)
		}
		all = append(all, dockerProcess{pid, parent, f[2], f[3]})
	}
	return all
}

// awaitNoOrphans waits until the container holds the init, the server and
// nothing else but the process that looks.
func (c *dockerContainer) awaitNoOrphans(want int) {
	c.t.Helper()
	var last []dockerProcess
	dockerEventually(c.t, "every orphan is reaped", func() bool {
		last = c.processes()
		return len(last) == want+1
	})
	for _, p := range last {
		if p.state == "Z" {
			c.t.Errorf("a zombie is left: %+v", p)
		}
	}
}

// The orphans of docker exec sessions come to PID 1, which reaps them.
func TestDockerExecOrphans(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	c.exec("/fixture", "orphans", "200")
	c.awaitNoOrphans(2)
	if s := c.status(); !s.only(1) {
		t.Errorf("after 200 orphans: %+v", s)
	}
}

// A process that a docker exec session left behind, in a session of its own,
// gets TERM and its time when the container stops.
func TestDockerNobodyLeftBehind(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, "-e", "SWAPINIT_LEFTOVER_TIMEOUT=60s", dockerImage(t, "debian"), "fixture", "serve", "-exit", "6")
	c.awaitReady()
	docker(t, "exec", "-d", c.id, "fixture", "linger", "/tmp/session", "700ms")
	c.exec("sh", "-c", "fixture linger /tmp/orphan 700ms >/dev/null 2>&1 </dev/null &")
	for _, file := range []string{"/tmp/session.started", "/tmp/orphan.started"} {
		dockerEventually(t, file, func() bool { return c.try("test", "-e", file).Code == 0 })
	}
	docker(t, "stop", "-t", "90", c.id)
	if code := c.wait(); code != 6 {
		t.Errorf("exit status %d, want the server's own 6", code)
	}
	for _, file := range []string{"/tmp/session", "/tmp/orphan"} {
		if r := dockerTry(t, "cp", c.id+":"+file, t.TempDir()); r.Code != 0 {
			t.Errorf("the process of %s did not get the time to finish: %v", file, r)
		}
	}
}

// Under docker run --init swapinit is not PID 1. It is a subreaper then, and
// all else is as ever.
func TestDockerInitFlag(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, "--init", dockerImage(t, "debian"), "sh", "-c", "fixture orphans 20; fixture linger /tmp/stray 0s & exec fixture serve -exit 4")
	c.awaitReady()
	s := c.status()
	if s.Pid <= 1 {
		t.Errorf("swapinit is process %d, want one that is not PID 1", s.Pid)
	}
	// --init's init, swapinit, the server, its child that lingers.
	c.awaitNoOrphans(4)

	// An orphan that this leaves belongs to swapinit, not to PID 1.
	c.swap("--", "sh", "-c", "(fixture linger /tmp/orphan 0s &) ; exec fixture serve -exit 5")
	dockerEventually(t, "the orphan runs", func() bool { return c.try("test", "-e", "/tmp/orphan.started").Code == 0 })
	found := false
	_, server := c.status().active()
	for _, p := range c.processes() {
		if p.name == "fixture" && p.parent == s.Pid && p.pid != server {
			found = true
		}
	}
	if !found {
		t.Errorf("the orphan is no child of swapinit (%d): %+v", s.Pid, c.processes())
	}
	if r := c.try("swapinit", "health"); r.Code != 0 {
		t.Errorf("health: %v", r)
	}
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 5 {
		t.Errorf("exit status %d, want 5", code)
	}
	if r := dockerTry(t, "cp", c.id+":/tmp/orphan", t.TempDir()); r.Code != 0 {
		t.Errorf("the orphan did not get its TERM: %v", r)
	}
}

// docker run IMAGE COMMAND: the command runs instead of the server, under
// swapinit; its flags are its own.
func TestDockerCommandReplacement(t *testing.T) {
	t.Parallel()
	image := dockerImage(t, "debian")
	run := func(t *testing.T, args ...string) dockerResult {
		t.Helper()
		return dockerTry(t, append([]string{"run", "--rm", "--label", "swapinit.test=1", "--label", dockerRunLabel}, args...)...)
	}
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
	}{
		{"bash", []string{image, "bash", "-c", "test $$ != 1 && echo $PPID; exit 42"}, 42, "1\n"},
		{"flags of the command", []string{image, "echo", "-h", "--version"}, 0, "-h --version\n"},
		{"after --", []string{image, "--", "echo", "swap"}, 0, "swap\n"},
		{"killed by a signal", []string{image, "sh", "-c", "kill -9 $$"}, 137, ""},
		{"not found", []string{image, "no-such-command"}, 127, ""},
		{"not executable", []string{image, "/etc/passwd"}, 126, ""},
		{"a directory", []string{image, "/etc"}, 126, ""},
		{"no command", []string{"--entrypoint", "swapinit", image}, 125, ""},
		{"no shebang", []string{image, "sh", "-c", "echo 'echo $0 $1' >/tmp/s; chmod +x /tmp/s; exec swapinit -s /tmp/s x"}, 0, "/tmp/s x\n"},
		{"exit map", []string{"-e", "SWAPINIT_EXIT_MAP=3=0", image, "sh", "-c", "exit 3"}, 0, ""},
		{"user", []string{"-e", "SWAPINIT_USER=1234:99", image, "sh", "-c", "id -u; id -g"}, 0, "1234\n99\n"},
		{"stdin is a pipe's end", []string{image, "cat"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.args...)
			if r.Code != c.code || r.Stdout != c.stdout {
				t.Errorf("%v, want status %d, stdout %q", r, c.code, c.stdout)
			}
			if c.code >= 125 && c.code <= 127 && strings.Count(r.Stderr, "\n") != 1 {
				t.Errorf("want one line on stderr: %q", r.Stderr)
			}
		})
	}
	t.Run("a setting that is none", func(t *testing.T) {
		r := run(t, "-e", "SWAPINIT_REDY=fd", image, "true")
		if r.Code != 125 || !strings.Contains(r.Stderr, "SWAPINIT_REDY") || !strings.Contains(r.Stderr, "SWAPINIT_READY") {
			t.Errorf("%v, want status 125 and the nearest name", r)
		}
	})
	t.Run("a value that is bad", func(t *testing.T) {
		// docker run --env-file keeps quotes: the value arrives with them.
		r := run(t, "-e", `SWAPINIT_SETTLE="1s"`, image, "true")
		if r.Code != 125 || !strings.Contains(r.Stderr, "SWAPINIT_SETTLE") || !strings.Contains(r.Stderr, "1s") {
			t.Errorf("%v, want status 125, the variable and its value", r)
		}
	})
}
