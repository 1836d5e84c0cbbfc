//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dockerSwarm makes this machine's engine a swarm of one node until the test ends. One
// that is in a swarm already is somebody's: the test is skipped.
func dockerSwarm(t *testing.T) {
	t.Helper()
	dockerNeed(t)
	dir, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "swarm")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := dockerLock(dir) // another test process may want one, too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	if state := docker(t, "info", "--format", "{{.Swarm.LocalNodeState}}"); state != "inactive" {
		dockerSkip(t, errors.New("the Docker daemon is in a swarm: "+state))
	}
	const bridge = "docker_gwbridge"
	had := dockerTry(t, "network", "inspect", bridge).Code == 0
	docker(t, "swarm", "init", "--advertise-addr", "127.0.0.1")
	t.Cleanup(func() {
		// t.Context() is over by now.
		if out, err := exec.Command("docker", "swarm", "leave", "--force").CombinedOutput(); err != nil {
			t.Errorf("docker swarm leave: %v: %s", err, out)
		}
		out, _ := exec.Command("docker", "ps", "-aq", "--filter", "label="+dockerRunLabel, "--filter", "label=com.docker.swarm.service.id").Output()
		if ids := strings.Fields(string(out)); len(ids) > 0 {
			_ = exec.Command("docker", append([]string{"rm", "-f", "-v"}, ids...)...).Run()
		}
		if !had {
			_ = exec.Command("docker", "network", "rm", bridge).Run()
		}
	})
}

// In a swarm the gate is a global service on the host's network, and the application one
// that is updated start-first. An update under load, by the engine alone, loses nothing;
// one to a bad release is rolled back by the engine, and costs nothing either.
func TestDockerGateSwarm(t *testing.T) {
	t.Parallel()
	healthy := `HEALTHCHECK --interval=1s --start-period=60s CMD ["/gate/swapinit", "health"]`
	name := dockerReleases(t, map[string][]string{
		"v1": {healthy}, "v2": {healthy}, "v3": {healthy}, "bad": {healthy, "SERVER_FLAGS=-fail 7"},
	})
	image := dockerImage(t, "gate")
	volume, port := dockerGateVolume(t), gatePort(t)
	dockerSwarm(t)
	service := func(name string, args ...string) {
		t.Helper()
		docker(t, slices.Concat([]string{"service", "create", "-q", "--name", name, "--mode", "global", "--no-resolve-image",
			"--container-label", "swapinit.test=1", "--container-label", dockerRunLabel}, args)...)
	}
	service("gate", "--network", "host", "--mount", "type=volume,source="+volume+",target=/gate",
		"-e", "SWAPINIT_LISTEN=127.0.0.1:"+port, image)
	service("web", "--mount", "type=volume,source="+volume+",target=/gate,readonly", "--entrypoint", "/gate/swapinit --",
		"-e", "SWAPINIT_GATE=/gate/gate.sock", "-e", "SWAPINIT_READY=http://127.0.0.1:"+port+"/",
		"--update-order", "start-first", "--rollback-order", "start-first", "--update-failure-action", "rollback", "--update-monitor", "5s",
		"--stop-grace-period", "60s", name+":v1", "server")
	load := dockerLoadOn(t, "host", "-port", port, "-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	for _, tag := range []string{"v2", "v3"} {
		docker(t, "service", "update", "-q", "--no-resolve-image", "--image", name+":"+tag, "web")
		if load.more(50); load.tally().Answers[tag] == 0 {
			t.Errorf("%s does not serve after the update: %v", tag, load.tally().Answers)
		}
	}
	docker(t, "service", "update", "-q", "-d", "--no-resolve-image", "--image", name+":bad", "web")
	dockerEventually(t, "the engine's rollback", func() bool {
		return docker(t, "service", "inspect", "-f", "{{with .UpdateStatus}}{{.State}}{{end}}", "web") == "rollback_completed"
	})
	// The gate is a service as any other, and can be replaced.
	docker(t, "service", "update", "-q", "--force", "gate")
	load.more(50)
	total := load.stop()
	total.wantNoFailure(t)
	if total.Answers["bad"] > 0 || total.Answers["v1"] == 0 {
		t.Errorf("answers %v", total.Answers)
	}
	t.Logf("%d requests, %d failed: %v", total.Sent, total.Failed, total.Answers)
	docker(t, "service", "rm", "web", "gate")
}
