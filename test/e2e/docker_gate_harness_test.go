//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// dockerGateStatus is `swapinit status --json` at a gate.
type dockerGateStatus struct {
	Ready bool `json:"ready"`
	Gate  struct {
		Epoch        int64              `json:"epoch"`
		Holder       string             `json:"holder"`
		Members      []dockerGateMember `json:"members"`
		LastTakeover *struct {
			Container string `json:"container"`
			Reason    string `json:"reason"`
			Waited    *int   `json:"waited"`
		} `json:"last_takeover"`
	} `json:"gate"`
}

type dockerGateMember struct {
	Container string `json:"container"`
	Release   string `json:"release"`
	Order     int    `json:"order"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Connected bool   `json:"connected"`
	Settled   bool   `json:"settled"`
}

// states are the members in words, by release: "v2:holder v1:kept", newest first.
func (s *dockerGateStatus) states() string {
	var all []string
	for _, m := range s.Gate.Members {
		if m.Connected {
			all = append(all, m.Release+":"+m.State)
		}
	}
	return strings.Join(all, " ")
}

func (s *dockerGateStatus) of(container string) (m dockerGateMember, ok bool) {
	for _, m := range s.Gate.Members {
		if m.Container == container {
			return m, true
		}
	}
	return m, false
}

// holder is the release that has the traffic and is settled, "" if none is.
func (s *dockerGateStatus) holder() string {
	if m, ok := s.of(s.Gate.Holder); ok && m.Connected && m.Settled && m.State == "holder" {
		return m.Release
	}
	return ""
}

// dockerGate is a container that runs a gate.
type dockerGate struct{ *dockerContainer }

func (g dockerGate) tryStatus() (s dockerGateStatus, ok bool) {
	g.t.Helper()
	r := g.try("/swapinit", "status", "--json")
	if r.Code != 0 {
		return s, false
	}
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		g.t.Fatalf("status --json of the gate: %v: %q", err, r.Stdout)
	}
	return s, true
}

// await waits until the gate's status is as wanted.
func (g dockerGate) await(what string, want func(*dockerGateStatus) bool) dockerGateStatus {
	g.t.Helper()
	var last dockerGateStatus
	defer func() {
		if g.t.Failed() {
			g.t.Logf("the gate's status, waiting for %s: %+v", what, last)
		}
	}()
	dockerEventually(g.t, what, func() bool {
		s, ok := g.tryStatus()
		if ok {
			last = s
		}
		return ok && want(&s)
	})
	return last
}

// awaitHolder waits until a release has the traffic and is settled.
func (g dockerGate) awaitHolder(release string) dockerGateStatus {
	g.t.Helper()
	return g.await(release+" to have the traffic", func(s *dockerGateStatus) bool { return s.holder() == release })
}

// awaitStates waits until the connected members are these, newest first.
func (g dockerGate) awaitStates(want string) dockerGateStatus {
	g.t.Helper()
	return g.await(want, func(s *dockerGateStatus) bool { return s.states() == want })
}

// verb runs a verb at the gate, which must succeed.
func (g dockerGate) verb(args ...string) string {
	g.t.Helper()
	return g.exec(append([]string{"/swapinit"}, args...)...)
}

var gatePorts struct {
	sync.Mutex
	next int
}

// gatePort finds a port of this machine that is free, below those that the kernel gives
// to whoever asks for any.
func gatePort(t *testing.T) string {
	t.Helper()
	gatePorts.Lock()
	defer gatePorts.Unlock()
	if gatePorts.next == 0 {
		gatePorts.next = 20000 + os.Getpid()%1000*10
	}
	for range 1000 {
		port := gatePorts.next
		gatePorts.next++
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return itoa(port)
	}
	t.Fatal("no port is free")
	return ""
}

// dockerReleases makes images of a user's server, NAME:TAG for each tag, and returns NAME.
// A value of releases is what the image has in its environment beside its name, or its
// HEALTHCHECK.
func dockerReleases(t *testing.T, releases map[string][]string) string {
	t.Helper()
	base := dockerImage(t, "release")
	dir := t.TempDir()
	name := fmt.Sprintf("swapinit-test/web-%s-%s", dockerRunID, strings.ToLower(filepath.Base(filepath.Dir(dir))))
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	for tag, env := range releases {
		cmd := exec.CommandContext(t.Context(), "docker", "build", "-q", "-t", name+":"+tag, "-")
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("FROM %s\nENV RELEASE=%s\n", base, tag) + dockerfileLines(env))
		if r := dockerCommand(t, cmd); r.Code != 0 {
			t.Fatalf("docker build %s:%s: %v", name, tag, r)
		}
		t.Cleanup(func() { _ = exec.Command("docker", "rmi", name+":"+tag).Run() }) // after its containers
	}
	return name
}

func dockerfileLines(env []string) (text string) {
	for _, e := range env {
		if strings.HasPrefix(e, "HEALTHCHECK ") {
			text += e + "\n"
			continue
		}
		name, value, _ := strings.Cut(e, "=")
		text += fmt.Sprintf("ENV %s=%q\n", name, value)
	}
	return text
}

// gateProject is the user's files for a gate, as they are in the repository, in a folder
// of their own.
type gateProject struct {
	*dockerComposeProject
	dir  string
	port string
}

// dockerGateProject copies the files; the images are the tests' own. Nothing is started.
func dockerGateProject(t *testing.T, file string, services []string, releases map[string][]string) *gateProject {
	t.Helper()
	dockerNeed(t)
	name := dockerReleases(t, releases)
	p := &gateProject{dir: t.TempDir(), port: gatePort(t)}
	for _, f := range []string{file, "deploy.sh"} {
		data, err := os.ReadFile(filepath.Join("../..", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.dir, f), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Only labels, by which the tests know what is theirs.
	labels := "labels: {swapinit.test: \"1\", swapinit.test.run: \"" + dockerRunID + "\"}\n"
	override := "services:\n"
	for _, s := range services {
		override += "  " + s + ":\n    " + labels
	}
	override += "volumes:\n  gate:\n    " + labels + "networks:\n  default:\n    " + labels
	write(t, filepath.Join(p.dir, "labels.yaml"), override)
	files := []string{filepath.Join(p.dir, file), filepath.Join(p.dir, "labels.yaml")}
	p.dockerComposeProject = dockerCompose(t, "gate"+p.port, []string{"GATE_IMAGE=" + dockerImage(t, "gate"), "IMAGE=" + name, "PORT=" + p.port}, files...)
	t.Cleanup(func() { // before down
		if t.Failed() {
			// t.Context() is over by now.
			cmd := exec.Command(p.command[0], append(p.command[1:], "logs", "--no-color")...)
			cmd.Env = p.env
			out, _ := cmd.CombinedOutput()
			t.Logf("logs of the containers:\n%s", out)
		}
	})
	p.env = append(p.env, "COMPOSE_FILE="+strings.Join(files, ":"), "COMPOSE_PROJECT_NAME="+p.command[slices.Index(p.command, "-p")+1])
	return p
}

// with is the same with more in the environment.
func (p *gateProject) with(env ...string) *gateProject {
	c, d := *p, *p.dockerComposeProject
	d.env = slices.Concat(d.env, env)
	c.dockerComposeProject = &d
	return &c
}

func (p *gateProject) gate() dockerGate { return dockerGate{p.container("gate")} }

// deploy runs deploy.sh as a user does.
func (p *gateProject) deploy(tag string) dockerResult {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "./deploy.sh", tag)
	cmd.Dir, cmd.Env = p.dir, p.env
	return dockerCommand(p.t, cmd)
}

// load asks at the port, on this machine's own network.
func (p *gateProject) load(args ...string) *dockerLoader {
	p.t.Helper()
	return dockerLoadOn(p.t, "host", append([]string{"-port", p.port}, args...)...)
}
