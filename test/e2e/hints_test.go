package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// wantFailed fails unless a swap fails for a reason with these words.
func (c *container) wantFailed(r result, words ...string) {
	c.t.Helper()
	if r.Code != 1 {
		c.t.Fatalf("swap: %v, want status 1", r)
	}
	oneLine(c.t, r.Stderr, words...)
}

// What did not say in time that it is ready is told what it could do here: where
// swapinit listens, a listening socket of the server's own never comes.
func TestHintsAtReadiness(t *testing.T) {
	for _, tc := range []struct {
		name      string
		env       []string
		want, not string
	}{
		{"auto, no endpoint", nil, "to listen, delay:5s", "http://"},
		{"auto, an endpoint", []string{"SWAPINIT_LISTEN=:8080"}, "http://host:port/path", "to listen"},
		{"listen, an endpoint", []string{"SWAPINIT_LISTEN=:8080", "SWAPINIT_READY=listen"}, "endpoints for it, which do not count", "to listen"},
		{"notify, an endpoint", []string{"SWAPINIT_LISTEN=:8080", "SWAPINIT_READY=notify"}, "must send READY=1", "to listen"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: append(tc.env, "SWAPINIT_READY_TIMEOUT=10ms"), Args: []string{"sleep", "1000"}})
			r := c.Verb("swap")
			c.wantFailed(r, "not ready within 10ms", tc.want)
			if strings.Contains(r.Stderr, tc.not) {
				t.Errorf("%q suggests %q", r.Stderr, tc.not)
			}
		})
	}
}

// Some say READY=1 before their workers have loaded, and end when those cannot.
func TestHintAtTheSettleTime(t *testing.T) {
	t.Parallel()
	const early = `echo >&$SWAPINIT_READY_FD; [ $SWAPINIT_GENERATION = 1 ] && exec sleep 1000; exit 3`
	c := start(t, opts{Env: []string{"SWAPINIT_LISTEN=tcp://" + web, "SWAPINIT_SETTLE=1h"}, Args: []string{"sh", "-c", early}})
	// It may be seen as dead before it is seen as ready.
	await(t, "a successor that dies while it settles", func() bool {
		r := c.Verb("swap")
		return r.Code == 1 && strings.Contains(r.Stderr, "exited with status 3 while it settled; ") && strings.Contains(r.Stderr, "SWAPINIT_READY=http://")
	})
}

// A server that goes to the background has ended, and takes the container with it.
func TestHintAtTheBackground(t *testing.T) {
	for name, tc := range map[string]struct {
		command string
		lines   int
	}{
		"it has left something": {"sleep 1000 & exit 0", 1},
		"it has left nothing":   {"exit 0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: []string{"SWAPINIT_LISTEN=:8080"}, Early: true, Args: []string{"sh", "-c", tc.command}})
			c.wantStatus(0)
			if lines := linesWith(c.Stderr(), "start it in the foreground"); len(lines) != tc.lines {
				t.Errorf("%q", c.Stderr())
			}
		})
	}
}

func TestHintAtARemovedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "release")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/server", "echo up; exec sleep 1000\n")
	if err := os.Chmod(dir+"/server", 0o755); err != nil {
		t.Fatal(err)
	}
	o := opts{Env: []string{"SWAPINIT_READY=none"}, Args: []string{"./server"}}
	o.Dir = dir
	c := start(t, o)
	c.awaitOut("up")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c.wantFailed(c.Verb("swap"), "WORKDIR", dir, "SWAPINIT_DIR")
}

// A server that has become another user is not swapinit's to signal without CAP_KILL.
func TestHintAtCapKill(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	needUser(t, 65534)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		skip(t, "namespaces", "setpriv (util-linux) is not installed")
	}
	c := start(t, opts{Program: setpriv, Args: []string{"--bounding-set=-kill", binary(t, "swapinit"),
		"sh", "-c", "exec " + setpriv + " --reuid=65534 sh -c 'echo up; exec sleep 1000'"}})
	c.awaitOut("up")
	c.Signal(syscall.SIGTERM)
	c.awaitErr("operation not permitted: it has become another user, and swapinit lacks CAP_KILL")
}

// A daemon of the entrypoint ends with its generation: that is said by its name.
func TestDaemonOfAPredecessorIsNamed(t *testing.T) {
	t.Parallel()
	const script = `setsid sh -c 'exec sleep 1001' & echo >&$SWAPINIT_READY_FD; exec sleep 1000`
	c := start(t, opts{Env: []string{"SWAPINIT_SETTLE=0"}, Args: []string{"sh", "-c", script}})
	await(t, "the daemon", func() bool { return len(c.Procs()) == 3 })
	c.Swap()
	c.awaitStates("2:active")
	c.awaitErr(`generation 1 has ended, and what it has started in sessions of its own ends with it: "sleep" (pid `)
	c.Signal(syscall.SIGTERM)
	c.wantStatus(143)
	if got := c.Stderr(); strings.Contains(got, "generation 2 has ended, and") {
		t.Errorf("the end of the container names daemons: %q", got)
	}
}
