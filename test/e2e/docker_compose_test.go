//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dockerComposeProject is a project of docker-compose v1 or docker compose.
type dockerComposeProject struct {
	t       *testing.T
	command []string
	env     []string
}

func dockerCompose(t *testing.T, project string, env []string, files ...string) *dockerComposeProject {
	t.Helper()
	dockerNeed(t)
	var command []string
	if path, err := exec.LookPath("docker-compose"); err == nil {
		command = []string{path}
	} else if exec.Command("docker", "compose", "version").Run() == nil {
		command = []string{"docker", "compose"}
	} else {
		dockerSkip(t, errors.New("neither docker-compose nor docker compose is installed"))
	}
	command = append(command, "-p", fmt.Sprintf("swapinit-test-%s-%d", project, os.Getpid()))
	for _, f := range files {
		command = append(command, "-f", f)
	}
	p := &dockerComposeProject{t, command, append(append(os.Environ(), "SWAPINIT_TEST_RUN="+dockerRunID), env...)}
	t.Cleanup(func() {
		cmd := exec.Command(p.command[0], append(p.command[1:], "down", "-v", "-t", "5")...)
		cmd.Env = p.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("compose down: %v: %s", err, out)
		}
	})
	return p
}

func (p *dockerComposeProject) try(args ...string) dockerResult {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.command[0], append(p.command[1:], args...)...)
	cmd.Env = p.env
	return dockerCommand(p.t, cmd)
}

func (p *dockerComposeProject) do(args ...string) string {
	p.t.Helper()
	r := p.try(args...)
	if r.Code != 0 {
		p.t.Fatalf("compose %s: %v", strings.Join(args, " "), r)
	}
	return strings.TrimSpace(r.Stdout)
}

// container is the one container of a service.
func (p *dockerComposeProject) container(service string) *dockerContainer {
	p.t.Helper()
	return &dockerContainer{t: p.t, id: p.do("ps", "-q", service)}
}

// awaitHTTP waits until the published port answers, and returns its URL.
func (p *dockerComposeProject) awaitHTTP(service, port string) string {
	p.t.Helper()
	address := p.do("port", service, port)
	if !strings.HasPrefix(address, "127.0.0.1:") {
		p.t.Fatalf("published on %q, want 127.0.0.1", address)
	}
	dockerEventually(p.t, "an answer on "+address, func() bool {
		response, err := http.Get("http://" + address + "/")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// up, exec swap, kill -s HUP, restart after a crash, down.
func TestDockerCompose(t *testing.T) {
	t.Parallel()
	image := dockerImage(t, "scratch")
	p := dockerCompose(t, "compose", []string{"SWAPINIT_TEST_IMAGE=" + image}, "docker/compose.yaml")
	p.do("up", "-d")
	c := p.container("web")
	c.awaitReady()
	p.awaitHTTP("web", "8080")

	p.do("exec", "-T", "web", "/swapinit", "swap")
	c.awaitStatus("the swap by exec", func(s dockerStatus) bool { return s.only(2) })
	if r := p.try("exec", "-T", "web", "/swapinit", "swap", "--", "/nonexistent"); r.Code != 1 {
		t.Errorf("swap to nothing: %v, want status 1", r)
	}
	p.do("kill", "-s", "HUP")
	c.awaitStatus("the swap by HUP", func(s dockerStatus) bool {
		generation, _ := s.active()
		return generation == 4 && len(s.Generations) == 1
	})

	// restart: always, and the image has a STOPSIGNAL: HUP did not end that.
	c.exit(7)
	dockerEventually(t, "the container restarts", func() bool { return c.inspect("{{.RestartCount}}") == "1" })
	c.awaitStatus("the restarted container serves", func(s dockerStatus) bool { return s.Ready && s.only(1) })

	p.do("stop", "-t", "60")
	if got := c.inspect("{{.State.ExitCode}}"); got != "0" {
		t.Errorf("exit status %s, want 0", got)
	}
	p.do("down")
	if ids := docker(t, "ps", "-aq", "--no-trunc", "--filter", "id="+c.id); ids != "" {
		t.Errorf("compose down left %s", ids)
	}
}

// The example at the root of the repository, by its own instructions.
func TestDockerComposeExample(t *testing.T) {
	t.Parallel()
	dockerExample(t)
	override := filepath.Join(t.TempDir(), "override.yaml")
	// Only labels, by which the tests know what is theirs.
	labels := "version: \"2.4\"\nservices:\n  web:\n    build:\n      labels:\n        swapinit.test: \"1\"\n        swapinit.test.kind: app\n" +
		"    labels: &labels\n      swapinit.test: \"1\"\n      swapinit.test.run: ${SWAPINIT_TEST_RUN}\nnetworks:\n  default:\n    labels: *labels\n"
	if err := os.WriteFile(override, []byte(labels), 0o644); err != nil {
		t.Fatal(err)
	}
	p := dockerCompose(t, "example", []string{"PORT=0"}, "../../compose.example.yaml", override)
	p.do("up", "-d", "--build")
	url := p.awaitHTTP("web", "8080")
	c := p.container("web")
	c.awaitReady()
	dockerEventually(t, "healthy", func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" })
	p.do("exec", "-T", "web", "swapinit", "swap")
	response, err := http.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("after a swap: %s", response.Status)
	}
	if generation, _ := c.status().active(); generation != 2 {
		t.Errorf("generation %d is active, want 2", generation)
	}
	p.do("exec", "-T", "web", "swapinit", "rollback") // which it keeps a generation for
	if generation, _ := c.status().active(); generation != 1 {
		t.Errorf("generation %d is active after a rollback, want 1", generation)
	}
}
