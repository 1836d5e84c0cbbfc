//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fleetStack types the section's commands in a swarm of one node. Images are the tests'
// own, the volume and labels too.
type fleetStack struct {
	t   *testing.T
	s   *fleetSection
	dir string
	env []string
}

// do types a command of the page, which must succeed; more are lines of the environment.
func (k fleetStack) do(begin string, more ...string) (pageCommand, dockerResult) {
	k.t.Helper()
	c := k.s.command(k.t, begin)
	line := strings.ReplaceAll(c.line, "docker stack deploy", "docker stack deploy --resolve-image never")
	for _, service := range []string{"gate", "web"} {
		if rest, ok := strings.CutSuffix(line, " "+service); ok && strings.Contains(line, "stack deploy") {
			line = rest + " -c " + service + ".test.yaml " + service
		}
	}
	r := fleetShell(k.t, k.dir, append(k.env, more...), line)
	if r.Code != 0 {
		k.t.Fatalf("%s: %v", line, r)
	}
	return c, r
}

// gate is the gate's container of this node.
func (k fleetStack) gate() dockerGate {
	k.t.Helper()
	id := ""
	dockerEventually(k.t, "the gate's container", func() bool {
		id = docker(k.t, "ps", "-q", "--filter", "label=com.docker.swarm.service.name=gate_gate", "--filter", "health=healthy")
		return id != "" && !strings.Contains(id, "\n")
	})
	return dockerGate{&dockerContainer{t: k.t, id: id}}
}

// fleetSwarm: the page's stack files, under load: a release, a bad release that the engine
// rolls back, and a change of the gate; then the same with a published port, and the way
// by a watched path.
func fleetSwarm(t *testing.T, s *fleetSection) {
	name := dockerReleases(t, map[string][]string{"v1": nil, "v2": nil, "bad": {"SERVER_FLAGS=-fail 7"}})
	volume, port := dockerGateVolume(t), gatePort(t)
	k := fleetStack{t, s, s.save(t), []string{"GATE_IMAGE=" + dockerImage(t, "gate"), "IMAGE=" + name, "PORT=" + port}}
	watched := dockerImage(t, "scratch")
	dockerSwarm(t)
	for _, service := range []string{"gate", "web"} {
		write(t, filepath.Join(k.dir, service+".test.yaml"), "version: \"3.8\"\nservices:\n  "+service+":\n    labels: {swapinit.test: \"1\", swapinit.test.run: \""+dockerRunID+"\"}\n"+
			"volumes:\n  gate:\n    name: "+volume+"\n    external: true\n")
	}
	down := func() {
		t.Helper()
		docker(t, "stack", "rm", "web", "gate")
		dockerEventually(t, "the stacks' end", func() bool {
			return docker(t, "ps", "-aq", "--filter", "label=com.docker.stack.namespace") == "" &&
				docker(t, "network", "ls", "-q", "--filter", "label=com.docker.stack.namespace") == ""
		})
	}

	k.do("docker stack deploy -c gate.yaml")
	k.do("TAG=v1 docker stack deploy")
	k.gate().awaitHolder("v1")
	load := dockerLoadOn(t, "host", "-port", port, "-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	state := func(want string) {
		t.Helper()
		c := s.command(t, "docker service inspect")
		dockerEventually(t, "the update's state to be "+want, func() bool {
			return strings.TrimSpace(fleetShell(t, k.dir, nil, c.line).Stdout) == want
		})
	}
	c, _ := k.do("TAG=v2 docker stack deploy")
	state(c.after(t, s)[0])
	k.gate().awaitHolder("v2")
	load.more(50)
	k.do("TAG=v2 docker stack deploy", "IMAGE="+name) // nothing changes
	bad := strings.Replace(c.line, "v2", "bad", 1)
	s.typed = append(s.typed, pageCommand{line: bad})
	k.do("TAG=bad")
	state("rollback_completed")
	k.gate().awaitHolder("v2")
	docker(t, "service", "update", "-q", "--force", "gate_gate")
	k.gate().awaitHolder("v2")
	load.more(50)
	total := load.stop()
	total.wantNoFailure(t)
	if total.Answers["bad"] > 0 || total.Answers["v1"] == 0 || total.Answers["v2"] == 0 {
		t.Errorf("answers %v", total.Answers)
	}
	t.Logf("%d requests, %d failed: %v", total.Sent, total.Failed, total.Answers)
	down()

	k.do("docker stack deploy -c gate-ports.yaml")
	k.do("TAG=v1 docker stack deploy")
	k.gate().awaitHolder("v1")
	load = dockerLoadOn(t, "host", "-port", port, "-rate", "100")
	load.atLeast(50)
	k.do("TAG=v2 docker stack deploy")
	k.gate().awaitHolder("v2")
	load.more(50)
	total = load.stop()
	total.wantNoFailure(t)
	t.Logf("with a published port %d requests, %d failed: %v", total.Sent, total.Failed, total.Answers)
	down()

	release := filepath.Join(k.dir, "release")
	write(t, release, "1\n")
	if err := os.Chmod(k.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	image, tag, _ := strings.Cut(watched, ":")
	k.do("docker stack deploy -c web-watch.yaml", "IMAGE="+image, "TAG="+tag, "SHARED="+k.dir)
	id := ""
	dockerEventually(t, "the service's container", func() bool {
		id = docker(t, "ps", "-q", "--filter", "label=com.docker.swarm.service.name=web_web")
		return id != ""
	})
	web := &dockerContainer{t: t, id: id}
	web.awaitReady()
	write(t, release, "2\n")
	web.awaitStatus("the swap by the file", func(s dockerStatus) bool { return s.only(2) })
	if docker(t, "ps", "-q", "--filter", "label=com.docker.swarm.service.name=web_web") != id {
		t.Error("the container was replaced")
	}
	down()
}

// after is what the command that is shown next prints.
func (c pageCommand) after(t *testing.T, s *fleetSection) []string {
	t.Helper()
	for n, d := range s.typed {
		if d.line == c.line && n+1 < len(s.typed) && len(s.typed[n+1].output) > 0 {
			return s.typed[n+1].output
		}
	}
	t.Fatalf("the page shows nothing after %q", c.line)
	return nil
}
