//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// engine is a Docker daemon of the test's own whose init is swapinit, beside the one of
// this machine, whose init is docker-init. Both run the same image, in which nothing
// knows either.
type engine struct {
	t     *testing.T
	dir   string
	image string
}

// dockerEngineImage builds docker/engine/image, named by a hash of what it is made from.
func dockerEngineImage(t *testing.T) string {
	t.Helper()
	base := dockerBase(t, "base")
	image, err := dockerImages.get("engine", func() (string, error) {
		sum, err := dockerHash("docker/engine/image", base)
		if err != nil {
			return "", err
		}
		dir, err := dockerBinaries()
		if err != nil {
			return "", err
		}
		unlock, err := dockerLock(dir)
		if err != nil {
			return "", err
		}
		defer unlock()
		image := "swapinit-test/engine:" + sum
		if exec.Command("docker", "image", "inspect", image).Run() == nil {
			return image, nil
		}
		if out, err := exec.Command("docker", "build", "-q", "-t", image, "--build-arg", "BASE="+base, "docker/engine/image").CombinedOutput(); err != nil {
			return "", fmt.Errorf("docker build docker/engine/image: %w\n%s", err, out)
		}
		return image, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// dockerEngine starts the daemon and loads the image into it.
func dockerEngine(t *testing.T) *engine {
	t.Helper()
	dockerNeed(t)
	if _, err := exec.LookPath("dockerd"); err != nil {
		dockerSkip(t, errors.New("there is no dockerd in PATH"))
	}
	if os.Getuid() != 0 || !mappedRoot() {
		dockerSkip(t, errors.New("a Docker daemon of its own needs root"))
	}
	image := dockerEngineImage(t)
	// What this machine's daemon uses mostly works for another one, and is faster.
	drivers := []string{"vfs"}
	if own := docker(t, "info", "--format", "{{.Driver}}"); own == "overlay2" || own == "fuse-overlayfs" {
		drivers = []string{own, "vfs"}
	}
	var problem string
	for _, driver := range drivers {
		var e *engine
		if e, problem = startEngine(t, driver); e != nil {
			e.image = image
			e.load()
			return e
		}
	}
	t.Fatal(problem)
	return nil
}

// mappedRoot reports whether uid 0 is the machine's own.
func mappedRoot() bool {
	return strings.Join(strings.Fields(read("/proc/self/uid_map")), " ") == "0 0 4294967295"
}

// startEngine returns nil and the daemon's log if it does not run with this driver.
func startEngine(t *testing.T, driver string) (*engine, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "swapinit-engine-")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, dir: dir}
	// The one line that docs/engine-init.md is about.
	config, err := json.Marshal(map[string]any{"init-path": e.path("docker-init")})
	if err != nil {
		t.Fatal(err)
	}
	write(t, e.path("cfg.json"), string(config))
	engineBinaries(t, e.path("docker-init"), e.path("fixture"))
	cmd := exec.Command("docker/engine/daemon", dir, driver)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	end := sync.OnceFunc(func() {
		stdin.Close()
		<-ended // it gives up by itself
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("the daemon has left %s", dir)
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", e.log())
		}
		end()
	})
	runs, over := false, false
	dockerEventually(t, "the daemon answers", func() bool {
		runs = e.command("version").Run() == nil
		over = !runs && strings.Contains(e.log(), "failed to start daemon")
		return runs || over
	})
	if over {
		log := e.log()
		end()
		return nil, log
	}
	return e, ""
}

// engineBinaries copies the released binary, and the server of the tests, for containers.
func engineBinaries(t *testing.T, init, fixture string) {
	t.Helper()
	binaries, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{init: binary(t, "swapinit"), fixture: filepath.Join(binaries, "fixture")} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func (e *engine) path(name string) string { return filepath.Join(e.dir, name) }

func (e *engine) log() string { return read(e.path("log")) }

// command is a docker command for this daemon.
func (e *engine) command(args ...string) *exec.Cmd {
	return exec.Command("docker", append([]string{"--host", "unix://" + e.path("s.sock")}, args...)...)
}

func (e *engine) try(t *testing.T, args ...string) dockerResult {
	t.Helper()
	return dockerCommand(t, e.command(args...))
}

func (e *engine) do(t *testing.T, args ...string) string {
	t.Helper()
	r := e.try(t, args...)
	if r.Code != 0 {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), r)
	}
	return strings.TrimSpace(r.Stdout)
}

// load copies the image from this machine's daemon.
func (e *engine) load() {
	e.t.Helper()
	save, load := exec.Command("docker", "save", e.image), e.command("load", "-q")
	var err error
	if load.Stdin, err = save.StdoutPipe(); err != nil {
		e.t.Fatal(err)
	}
	if err := save.Start(); err != nil {
		e.t.Fatal(err)
	}
	out, err := load.CombinedOutput()
	if err := errors.Join(err, save.Wait()); err != nil {
		e.t.Fatalf("cannot copy the image: %v: %s", err, out)
	}
}

// engineContainer is a container of that daemon.
type engineContainer struct {
	e  *engine
	t  *testing.T
	id string
}

// run starts a container with the engine's init, and with the server of the tests in it.
func (e *engine) run(t *testing.T, args ...string) *engineContainer {
	t.Helper()
	id := e.do(t, append([]string{"run", "-d", "--init", "--label", "swapinit.test=1", "--network", "none",
		"--volume", e.path("fixture") + ":/usr/local/bin/fixture:ro"}, args...)...)
	c := &engineContainer{e, t, id}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := e.command("logs", id).CombinedOutput()
			t.Logf("logs of container %.12s:\n%s", id, logs)
		}
		_ = e.command("rm", "-f", "-v", id).Run()
	})
	return c
}

func (c *engineContainer) try(args ...string) dockerResult {
	c.t.Helper()
	return c.e.try(c.t, append([]string{"exec", c.id}, args...)...)
}

// verb runs a verb of the engine's init, by the path at which the engine has put it.
func (c *engineContainer) verb(args ...string) dockerResult {
	c.t.Helper()
	return c.try(append([]string{"/sbin/docker-init"}, args...)...)
}

func (c *engineContainer) status() (s dockerStatus, ok bool) {
	c.t.Helper()
	r := c.verb("status", "--json")
	if r.Code != 0 {
		return s, false
	}
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		c.t.Fatalf("status --json: %v: %q", err, r.Stdout)
	}
	return s, true
}

func (c *engineContainer) await(what string, want func(dockerStatus) bool) {
	c.t.Helper()
	dockerEventually(c.t, what, func() bool {
		if c.e.do(c.t, "inspect", "-f", "{{.State.Status}}", c.id) == "exited" {
			c.t.Fatalf("the container ended while waiting: %s", what)
		}
		s, ok := c.status()
		return ok && want(s)
	})
}

func (c *engineContainer) awaitLog(text string) {
	c.t.Helper()
	dockerEventually(c.t, fmt.Sprintf("%q in the log", text), func() bool {
		r := c.e.try(c.t, "logs", c.id)
		return strings.Contains(r.Stdout+r.Stderr, text)
	})
}

// stop stops the container and returns its exit status.
func (c *engineContainer) stop() string {
	c.t.Helper()
	c.e.do(c.t, "stop", "-t", "60", c.id)
	return c.e.do(c.t, "wait", c.id)
}

// load asks the server again and again, from inside.
func (c *engineContainer) load(args ...string) *dockerLoader {
	c.t.Helper()
	l := &dockerLoader{t: c.t, done: make(chan struct{})}
	cmd := c.e.command(append([]string{"exec", "-i", c.id, "fixture", "load"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if l.stdin, err = cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(l.done)
		tallies := json.NewDecoder(stdout)
		for err := error(nil); err == nil; {
			var tally dockerTally
			if err = tallies.Decode(&tally); err == nil {
				l.mu.Lock()
				l.last = tally
				l.mu.Unlock()
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	}()
	c.t.Cleanup(func() {
		l.stdin.Close()
		<-l.done
	})
	return l
}
