//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fleetDocker is a docker that notes where it was called and with what, and of which every
// host answers but those with "bad" in their name.
const fleetDocker = `#!/bin/sh
echo "$DOCKER_HOST $*" >>"$CALLS"
case "$*" in
  "compose ps -q gate" | "ps -q "*) echo gate ;;
  "compose ps -a -q "*) echo "$5" ;;
  *" status --json") echo '{"gate": {"holder": "blue"}}' ;;
  *" wait "* | *" swap") case $DOCKER_HOST in *bad*) exit 1 ;; esac ;;
esac
`

// fleetFake puts a program into a folder of its own, which is then first in PATH.
func fleetFake(t *testing.T, name, text string) (env []string, calls func() string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(write(t, filepath.Join(dir, name), text), 0o755); err != nil {
		t.Fatal(err)
	}
	log := write(t, filepath.Join(dir, "calls"), "")
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CALLS=" + log}, func() string { return read(log) }
}

// fleetCopy copies files of the repository's root.
func fleetCopy(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func fleetSSH(t *testing.T, s *fleetSection) {
	t.Run("order", func(t *testing.T) { t.Parallel(); fleetSSHOrder(t, s) })
	t.Run("engine", func(t *testing.T) { t.Parallel(); fleetSSHEngine(t, s) })
}

// One host after the other, none after one that failed, and each with files of its own.
func fleetSSHOrder(t *testing.T, s *fleetSection) {
	dir := s.save(t)
	fleetCopy(t, dir, "deploy.sh", "compose.blue-green.yaml")
	env, calls := fleetFake(t, "docker", fleetDocker)
	good, bad := s.typed[0], s.typed[1]
	r := fleetShell(t, dir, env, good.line)
	if good.prints(t, r); r.Code != 0 {
		t.Fatalf("%s: %v", good.line, r)
	}
	inOrder(t, calls(), "ssh://deploy@web1 compose up -d gate", "ssh://deploy@web1 exec gate /swapinit wait green",
		"ssh://deploy@web2 compose up -d gate", "ssh://deploy@web2 exec gate /swapinit wait green")
	for _, host := range []string{"deploy@web1", "deploy@web2"} {
		if env := read(filepath.Join(dir, "hosts", host, ".env")); !strings.Contains(env, "GREEN_TAG=v2\n") {
			t.Errorf("%s: .env is %q", host, env)
		}
	}
	before := strings.Count(calls(), "web2")
	r = fleetShell(t, dir, env, bad.line)
	if bad.prints(t, r); r.Code != 1 {
		t.Errorf("%s: %v, want status 1", bad.line, r)
	}
	if after := strings.Count(calls(), "web2"); after != before || strings.Contains(r.Stdout, "web2") {
		t.Errorf("the host after the one that failed was touched: %v", r)
	}
	r = fleetShell(t, dir, env, "./deploy-hosts.sh --swap a bad b")
	if r.Code != 1 || !strings.Contains(r.Stderr, "bad failed; done: a; not touched: b") {
		t.Errorf("--swap: %v", r)
	}
	inOrder(t, calls(), "ssh://a exec blue /gate/swapinit swap", "ssh://bad exec blue /gate/swapinit swap")
	if strings.Contains(calls(), "ssh://b ") {
		t.Errorf("--swap touched b:\n%s", calls())
	}
	if r := fleetShell(t, dir, env, "./deploy-hosts.sh v2"); r.Code != 2 {
		t.Errorf("without a host: %v, want status 2", r)
	}
}

// With a real engine, this machine's: a release, a swap, a bad release, an engine that
// does not answer.
func fleetSSHEngine(t *testing.T, s *fleetSection) {
	p := dockerGateProject(t, "compose.blue-green.yaml", []string{"gate", "blue", "green"}, map[string][]string{"v1": nil, "v2": nil, "bad": {"SERVER_FLAGS=-fail 7"}})
	dir := s.save(t)
	fleetCopy(t, dir, "deploy.sh", "compose.blue-green.yaml")
	host := docker(t, "context", "inspect", "-f", "{{.Endpoints.docker.Host}}")
	env := append(p.env, "COMPOSE_FILE=compose.blue-green.yaml:"+filepath.Join(p.dir, "labels.yaml"))
	run := func(want int, args string) {
		t.Helper()
		if r := fleetShell(t, dir, env, "./deploy-hosts.sh "+args); r.Code != want {
			t.Fatalf("deploy-hosts.sh %s: %v, want status %d", args, r, want)
		}
	}
	run(0, "v1 "+host)
	load := p.load("-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	run(0, "v2 "+host)
	gate := p.gate()
	holder := gate.awaitHolder("v2").Gate.Holder
	run(0, "--swap "+host)
	var status dockerStatus
	if err := json.Unmarshal([]byte(docker(t, "exec", holder, "/gate/swapinit", "status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	if generation, _ := status.active(); generation != 2 {
		t.Errorf("generation %d is active after a swap, want 2", generation)
	}
	run(1, fmt.Sprintf("bad %s unix:///nonexistent", host))
	run(1, "v1 unix:///nonexistent "+host)
	gate.awaitHolder("v2")
	load.more(50)
	total := load.stop()
	total.wantNoFailure(t)
	if total.Answers["bad"] > 0 || total.Answers["v1"] == 0 || total.Answers["v2"] == 0 {
		t.Errorf("answers %v", total.Answers)
	}
	t.Logf("%d requests, %d failed: %v", total.Sent, total.Failed, total.Answers)
}
