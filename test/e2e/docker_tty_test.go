//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// dockerOnTTY is docker run -it on a terminal of the test's own.
func dockerOnTTY(t *testing.T, args ...string) (*dockerTerminal, *dockerContainer) {
	t.Helper()
	id := docker(t, append([]string{"create", "-it", "--label", "swapinit.test=1", "--label", dockerRunLabel}, args...)...)
	c := dockerAdopt(t, id)
	return dockerOnTerminal(t, "docker", "start", "-a", "-i", id), c
}

// docker run -it: the child has the terminal, its keys and its size.
func TestDockerTerminalKeys(t *testing.T) {
	t.Parallel()
	d, c := dockerOnTTY(t, dockerImage(t, "scratch"), "/fixture", "keys")
	d.await("keys: started [")
	// docker gives the terminal its size some time after the start.
	dockerEventually(t, "the terminal has its size", func() bool {
		d.press("hello\r")
		return strings.Contains(d.text(), "keys: line hello [80x24]")
	})
	d.press("\x03")
	d.await("keys: signal 2 [")
	d.press("\x1c")
	d.await("keys: signal 3 [")
	d.resize(101, 37)
	d.await("keys: signal 28 [101x37]")
	d.press("end\r")
	if code := d.wait(); code != 5 {
		t.Errorf("exit status %d, want 5", code)
	}
	if code := c.wait(); code != 5 {
		t.Errorf("exit status of the container %d, want 5", code)
	}
	// Each key once: the terminal's signal, not a second one by swapinit.
	if n := strings.Count(d.text(), "keys: signal 2 ["); n != 1 {
		t.Errorf("Ctrl-C arrived %d times", n)
	}
}

// An interactive shell has job control.
func TestDockerTerminalShell(t *testing.T) {
	t.Parallel()
	d, _ := dockerOnTTY(t, "-e", "PS1=prompt> ", dockerImage(t, "debian"), "bash", "--norc", "-i")
	d.await("prompt> ")
	if strings.Contains(d.text(), "job control") {
		t.Errorf("the shell has no job control: %q", d.text())
	}
	d.press("sleep 1000\r")
	d.await("sleep 1000\r\n")
	// The key must find sleep in the foreground: press until it stopped.
	dockerEventually(t, "Ctrl-Z stops the job", func() bool {
		d.press("\x1a")
		return strings.Contains(d.text(), "Stopped")
	})
	// A shell that has not noticed yet that the job is gone warns at the first
	// exit and obeys the second.
	d.press("kill -KILL %1; exit 7; exit 7\r")
	if code := d.wait(); code != 7 {
		t.Errorf("exit status %d, want 7", code)
	}
}

// docker exec -t swapinit swap shows a person the stages.
func TestDockerTerminalSwap(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	d := dockerOnTerminal(t, "docker", "exec", "-it", c.id, "/swapinit", "swap")
	if code := d.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	<-d.read
	for _, stage := range []string{"started", "ready", "settled", "cut over"} {
		if !strings.Contains(d.text(), stage) {
			t.Errorf("the stage %q is not shown: %q", stage, d.text())
		}
	}
}
