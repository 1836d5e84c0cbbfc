//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// docker stop: the server gets its stop signal, its time, and the last word on
// the exit status.
func TestDockerStop(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"), "/fixture", "serve", "-exit", "3", "-drain", "300ms")
	c.awaitReady()
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 3 {
		t.Errorf("exit status %d, want the server's own 3", code)
	}
	stdout, stderr := c.logs()
	if !strings.HasSuffix(stdout, "fixture: stopping\nfixture: stopped\n") {
		t.Errorf("the server did not end gracefully: %q", stdout)
	}
	// info is silent for a container that only starts and stops.
	if stderr != "" {
		t.Errorf("swapinit logged %q", stderr)
	}
}

// A server that ignores TERM is killed at Docker's deadline, or earlier by
// SWAPINIT_STOP_TIMEOUT, which leaves swapinit the time to tell.
func TestDockerStopDeaf(t *testing.T) {
	t.Parallel()
	t.Run("Docker's deadline", func(t *testing.T) {
		t.Parallel()
		c := dockerRun(t, dockerImage(t, "scratch"), "/fixture", "serve", "-deaf")
		c.awaitReady()
		docker(t, "stop", "-t", "1", c.id)
		if code := c.wait(); code != 137 {
			t.Errorf("exit status %d, want 137", code)
		}
	})
	t.Run("own deadline", func(t *testing.T) {
		t.Parallel()
		c := dockerRun(t, "-e", "SWAPINIT_STOP_TIMEOUT=300ms", dockerImage(t, "scratch"), "/fixture", "serve", "-deaf")
		c.awaitReady()
		docker(t, "stop", "-t", "60", c.id)
		if code := c.wait(); code != 137 {
			t.Errorf("exit status %d, want 137", code)
		}
		if stdout, _ := c.logs(); !strings.Contains(stdout, "fixture: got signal 15") {
			t.Errorf("the server got no TERM: %q", stdout)
		}
	})
}

// docker stop as soon as there is a server process is not lost, whether that
// process has come to a handler of its own or not. (Before that nobody can
// promise anything: the kernel drops a signal that PID 1 has no handler for.)
func TestDockerStopAtOnce(t *testing.T) {
	t.Parallel()
	image := dockerImage(t, "scratch")
	for range 5 {
		c := dockerRun(t, image)
		dockerEventually(t, "a child of swapinit", func() bool {
			// A heading, the init, the child; docker top fails too early.
			r := dockerTry(t, "top", c.id, "-eo", "pid")
			return r.Code == 0 && strings.Count(r.Stdout, "\n") > 2
		})
		docker(t, "stop", "-t", "100", c.id)
		if code := c.wait(); code != 0 && code != 143 {
			t.Errorf("exit status %d, want 0 (the server's own) or 143 (no handler yet)", code)
		}
	}
}

func TestDockerKill(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	docker(t, "kill", c.id)
	if code := c.wait(); code != 137 {
		t.Errorf("exit status %d, want 137", code)
	}
}

// Signals of docker kill: HUP and USR2 ask for a swap and do not reach the
// server, any other one does, unchanged.
func TestDockerKillSignals(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	for _, s := range []struct {
		name   string
		number int
	}{{"USR1", 10}, {"INT", 2}, {"QUIT", 3}, {"WINCH", 28}, {"RTMIN+3", 37}} {
		docker(t, "kill", "-s", s.name, c.id)
		c.awaitLog(fmt.Sprintf("fixture: got signal %d\n", s.number))
	}
	for i, name := range []string{"HUP", "USR2"} {
		docker(t, "kill", "-s", name, c.id)
		c.awaitStatus("generation swapped in by "+name, func(s dockerStatus) bool { return s.only(i + 2) })
	}
	docker(t, "kill", "-s", "USR1", c.id)
	dockerEventually(t, "USR1 at the third generation", func() bool {
		stdout, _ := c.logs()
		return strings.Count(stdout, "fixture: got signal 10\n") == 2
	})
	stdout, _ := c.logs()
	for _, n := range []int{1, 12} {
		if strings.Contains(stdout, fmt.Sprintf("fixture: got signal %d\n", n)) {
			t.Errorf("a swap signal (%d) reached the server", n)
		}
	}
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}
