//go:build linux

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The Docker tier runs the real binary in real containers, with Docker's
// default seccomp profile and capabilities. It needs a daemon on this machine
// and no registry: docker/fixtures makes the images. Everything it starts has
// the label swapinit.test=1, is removed by the test that started it, and is
// reached over loopback only: inside the container's own network, or on a port
// published on 127.0.0.1.

// dockerRunID names this run of the tests: what it has started nobody else takes for
// left over (see .ci/run), and what it names differs from what others do.
var dockerRunID = cmp.Or(os.Getenv("SWAPINIT_TEST_RUN"), strconv.Itoa(os.Getpid()))

var dockerRunLabel = "swapinit.test.run=" + dockerRunID

// dockerPatience is how long anything may take before a test gives up. It is
// no measure of anything: a loaded machine must not fail a test.
const dockerPatience = 5 * time.Minute

var dockerDaemon = sync.OnceValue(func() error {
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker client in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("the Docker daemon does not answer: %w: %s", err, bytes.TrimSpace(out))
	}
	if got, want := string(bytes.TrimSpace(out)), "linux/"+runtime.GOARCH; got != want {
		return fmt.Errorf("the Docker daemon runs %s containers, this is %s", got, want)
	}
	return nil
})

// dockerNeed skips the test where there is no Docker, unless
// SWAPINIT_TEST_REQUIRE lists docker: then that is a failure.
func dockerNeed(t *testing.T) {
	t.Helper()
	if err := dockerDaemon(); err != nil {
		dockerSkip(t, err)
	}
}

func dockerSkip(t *testing.T, reason error) {
	t.Helper()
	for _, tier := range strings.FieldsFunc(os.Getenv("SWAPINIT_TEST_REQUIRE"), func(r rune) bool { return r == ' ' || r == ',' }) {
		if tier == "docker" {
			t.Fatalf("SWAPINIT_TEST_REQUIRE asks for docker: %v", reason)
		}
	}
	t.Skip(reason)
}

// dockerResult is what a docker command, or a program run by it, left behind.
type dockerResult struct {
	Stdout, Stderr string
	Code           int
}

func (r dockerResult) String() string {
	return fmt.Sprintf("status %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
}

// dockerTry runs docker and returns whatever came of it.
func dockerTry(t *testing.T, args ...string) dockerResult {
	t.Helper()
	return dockerCommand(t, exec.CommandContext(t.Context(), "docker", args...))
}

func dockerCommand(t *testing.T, cmd *exec.Cmd) dockerResult {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A command that is killed with the test must not wait for its pipes.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return dockerResult{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// docker runs docker, which must succeed, and returns its trimmed stdout.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	r := dockerTry(t, args...)
	if r.Code != 0 {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), r)
	}
	return strings.TrimSpace(r.Stdout)
}

// dockerEventually waits until check holds. A look is several processes of the engine's, so
// it rests for twice as long as one took: else the looks are what a busy machine does.
func dockerEventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.After(dockerPatience)
	for {
		began := time.Now()
		if check() {
			return
		}
		select {
		case <-time.After(max(100*time.Millisecond, 2*time.Since(began))):
		case <-deadline:
			t.Fatalf("gave up waiting: %s", what)
		case <-t.Context().Done():
			t.Fatalf("the test ended while waiting: %s", what)
		}
	}
}

// dockerContainer is a running container, removed when its test ends.
type dockerContainer struct {
	t       *testing.T
	id      string
	program string // the verbs'; "" until somebody asks: the entrypoint, see swapinit
}

// dockerRun starts a container in the background: docker run -d, then args.
func dockerRun(t *testing.T, args ...string) *dockerContainer {
	t.Helper()
	c := dockerAdopt(t, docker(t, append([]string{"run", "-d", "--label", "swapinit.test=1", "--label", dockerRunLabel}, args...)...))
	return c
}

// dockerAdopt makes a container that something else started the test's own.
func dockerAdopt(t *testing.T, id string) *dockerContainer {
	t.Helper()
	c := &dockerContainer{t: t, id: id}
	t.Cleanup(func() {
		// t.Context() is over by now.
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", id).CombinedOutput()
			t.Logf("logs of container %.12s:\n%s", id, logs)
		}
		if out, err := exec.Command("docker", "rm", "-f", "-v", id).CombinedOutput(); err != nil {
			t.Logf("docker rm %.12s: %v: %s", id, err, out)
		}
	})
	return c
}

func (c *dockerContainer) inspect(format string) string {
	c.t.Helper()
	return docker(c.t, "inspect", "-f", format, c.id)
}

// try runs a program in the container.
func (c *dockerContainer) try(args ...string) dockerResult {
	c.t.Helper()
	return dockerTry(c.t, append([]string{"exec", c.id}, args...)...)
}

// exec runs a program in the container, which must succeed.
func (c *dockerContainer) exec(args ...string) string {
	c.t.Helper()
	r := c.try(args...)
	if r.Code != 0 {
		c.t.Fatalf("docker exec %s: %v", strings.Join(args, " "), r)
	}
	return r.Stdout
}

// exit has the fixture's server exit with a status. How the request itself ends
// says nothing: what is left in the container is swept when the server is gone,
// and the client that asked is a part of it.
func (c *dockerContainer) exit(code int) {
	c.t.Helper()
	c.try(c.fixture(), "get", "8080", fmt.Sprintf("/exit?code=%d", code))
}

// wait waits for the container's end and returns its exit status.
func (c *dockerContainer) wait() int {
	c.t.Helper()
	code, err := strconv.Atoi(docker(c.t, "wait", c.id))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// logs returns what the container wrote to stdout and to stderr so far.
func (c *dockerContainer) logs() (stdout, stderr string) {
	c.t.Helper()
	r := dockerTry(c.t, "logs", c.id)
	if r.Code != 0 {
		c.t.Fatalf("docker logs: %v", r)
	}
	return r.Stdout, r.Stderr
}

func (c *dockerContainer) awaitLog(text string) {
	c.t.Helper()
	dockerEventually(c.t, fmt.Sprintf("%q in the log", text), func() bool {
		stdout, stderr := c.logs()
		return strings.Contains(stdout+stderr, text)
	})
}

// dockerStatus is `swapinit status --json` as the contract has it.
type dockerStatus struct {
	V           int  `json:"v"`
	Pid         int  `json:"pid"`
	Ready       bool `json:"ready"`
	Generations []struct {
		Generation int      `json:"generation"`
		State      string   `json:"state"`
		Pid        int      `json:"pid"`
		Pids       []int    `json:"pids"`
		Command    []string `json:"command"`
		Dir        string   `json:"dir"`
		Status     string   `json:"status"`
		Share      *float64 `json:"share"`
	} `json:"generations"`
	Endpoints []endpoint `json:"endpoints"`
	LastSwap  *struct {
		Generation int    `json:"generation"`
		OK         bool   `json:"ok"`
		Reason     string `json:"reason"`
	} `json:"last_swap"`
}

// active is the number and the pid of the active generation, 0 without one.
func (s dockerStatus) active() (generation, pid int) {
	for _, g := range s.Generations {
		if g.State == "active" {
			return g.Generation, g.Pid
		}
	}
	return 0, 0
}

// only reports whether generation is active and no other one is left.
func (s dockerStatus) only(generation int) bool {
	active, _ := s.active()
	return active == generation && len(s.Generations) == 1
}

// status asks the init; ok is false while it cannot be asked.
func (c *dockerContainer) tryStatus() (s dockerStatus, ok bool) {
	c.t.Helper()
	r := c.try(c.swapinit(), "status", "--json")
	if r.Code != 0 {
		return s, false
	}
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		c.t.Fatalf("status --json: %v: %q", err, r.Stdout)
	}
	return s, true
}

func (c *dockerContainer) status() dockerStatus {
	c.t.Helper()
	s, ok := c.tryStatus()
	if !ok {
		c.t.Fatalf("no status: %v", c.try(c.swapinit(), "status", "--json"))
	}
	return s
}

// swapinit is the path of the binary in the container: its entrypoint.
func (c *dockerContainer) swapinit() string {
	c.t.Helper()
	if c.program == "" {
		c.program = c.inspect("{{index .Config.Entrypoint 0}}")
	}
	return c.program
}

// awaitStatus waits until the init's status is as wanted, and returns it.
func (c *dockerContainer) awaitStatus(what string, want func(dockerStatus) bool) dockerStatus {
	c.t.Helper()
	var last dockerStatus
	dockerEventually(c.t, what, func() bool {
		s, ok := c.tryStatus()
		if !ok && c.inspect("{{.State.Status}}") == "exited" {
			c.t.Fatalf("the container ended while waiting: %s", what)
		}
		last = s
		return ok && want(s)
	})
	return last
}

// awaitReady waits until the first generation is ready.
func (c *dockerContainer) awaitReady() {
	c.t.Helper()
	c.awaitStatus("ready", func(s dockerStatus) bool { return s.Ready })
}

// swap swaps by docker exec, which must succeed, and waits until the
// predecessor is gone.
func (c *dockerContainer) swap(args ...string) {
	c.t.Helper()
	before, _ := c.status().active()
	r := c.try(append([]string{c.swapinit(), "swap"}, args...)...)
	if r.Code != 0 {
		c.t.Fatalf("swap: %v", r)
	}
	if after, _ := c.status().active(); after <= before {
		c.t.Fatalf("swap said yes, but generation %d is active after generation %d", after, before)
	}
	c.awaitStatus("the predecessor is gone", func(s dockerStatus) bool { return len(s.Generations) == 1 })
}

// get asks the server in the container and returns the first word it says,
// which is the generation for the fixture's.
func (c *dockerContainer) get(port, path string) string {
	c.t.Helper()
	word, _, _ := strings.Cut(strings.TrimSpace(c.exec(c.fixture(), "get", port, path)), " ")
	return word
}

// fixture is the path of the test program in the container.
func (c *dockerContainer) fixture() string {
	c.t.Helper()
	if c.swapinit() == "/swapinit" {
		return "/fixture"
	}
	return "fixture"
}
