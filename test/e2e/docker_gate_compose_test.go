//go:build linux

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// compose.gate.yaml by its own instructions: one service is recreated with another image
// under load, twice. Connections wait meanwhile; none is refused, none fails.
func TestDockerGateRecreate(t *testing.T) {
	t.Parallel()
	p := dockerGateProject(t, "compose.gate.yaml", []string{"gate", "web"}, map[string][]string{"v1": nil, "v2": nil})
	p.do("up", "-d")
	p.gate().awaitHolder("v1")
	load := p.load("-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	for _, tag := range []string{"v2", "v1"} {
		p.with("TAG="+tag).do("up", "-d", "web")
		p.gate().awaitHolder(tag)
		load.more(50)
	}
	total := load.stop()
	total.wantNoFailure(t)
	if total.Answers["v1"] == 0 || total.Answers["v2"] == 0 {
		t.Errorf("answers %v, want some of v1 and of v2", total.Answers)
	}
	t.Logf("%d requests while a container was recreated twice, %d failed: %v", total.Sent, total.Failed, total.Answers)
	if r := p.try("exec", "-T", "gate", "/swapinit", "check"); r.Code != 0 {
		t.Errorf("check at the gate: %v", r)
	}
	// Another gate on the same volume would be a second one.
	if r := dockerTry(t, "run", "--rm", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--network", "none", "-e", "SWAPINIT_LISTEN=:80",
		"--volumes-from", p.gate().id, dockerImage(t, "gate")); r.Code != 125 || !strings.Contains(r.Stderr, "another gate") {
		t.Errorf("a second gate on one volume: %v, want status 125", r)
	}
}

// compose.blue-green.yaml and deploy.sh by their own instructions, under load: releases
// that are good, releases that are bad, and the ways back.
func TestDockerGateDeploy(t *testing.T) {
	t.Parallel()
	p := dockerGateProject(t, "compose.blue-green.yaml", []string{"gate", "blue", "green"}, map[string][]string{
		"v1": nil, "v2": nil, "v3": nil,
		"exits":  {"SERVER_FLAGS=-fail 7"},
		"broken": {"SERVER_FLAGS=-answer 500", "SWAPINIT_READY_TIMEOUT=3s"},
	})
	deploy := func(tag string) string {
		t.Helper()
		r := p.deploy(tag)
		if r.Code != 0 || !strings.Contains(r.Stdout, tag+" serves") {
			t.Fatalf("deploy.sh %s: %v", tag, r)
		}
		return r.Stdout
	}
	// bad deploys what fails, and returns what .env is then.
	bad := func(p *gateProject, tag string, says ...string) string {
		t.Helper()
		r := p.deploy(tag)
		for _, want := range says {
			if r.Code != 1 || !strings.Contains(r.Stderr, want) {
				t.Errorf("deploy.sh %s: %v, want status 1 and %q", tag, r, want)
			}
		}
		return read(filepath.Join(p.dir, ".env"))
	}

	// The first one fails, and it is told why though it has the traffic as it joins.
	for _, first := range []struct {
		p   *gateProject
		tag string
		why string
	}{{p.with("COMMAND=nothing"), "v1", "status 127"}, {p, "exits", "status 7"}} {
		env := bad(first.p, first.tag, "has left before it had settled: ", first.why, first.tag+" failed, and nobody serves", "its log: docker logs ")
		if strings.Contains(env, "TAG") {
			t.Errorf(".env after a first deploy that failed: %q", env)
		}
	}

	if said := deploy("v1"); strings.Contains(said, "way back") {
		t.Errorf("the first release has a way back: %q", said)
	}
	gate := p.gate()
	load := p.load("-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	deploy("v2")
	load.more(50)
	deploy("v3")
	load.more(50)
	gate.awaitStates("v3:holder v2:kept")

	before := read(filepath.Join(p.dir, ".env"))
	if env := bad(p.with("IMAGE=localhost:1/none"), "v99", "deploy: v99 was not started"); env != before {
		t.Errorf(".env after an image that there is not: %q, want %q", env, before)
	}
	gate.awaitStates("v3:holder v2:kept")
	for i, tag := range []string{"exits", "broken"} {
		says := []string{tag + " failed, what served before serves on", "its log: docker logs "}
		if i == 0 {
			says = append(says, "v2 was the way back", "./deploy.sh v2")
		}
		if env := bad(p, tag, says...); strings.Count(env, "_TAG=v3\n") != 2 {
			t.Errorf(".env after a release that failed: %q, want what serves in both", env)
		}
		gate.awaitStates("v3:holder")
	}
	// What compose starts now is of the release that serves.
	p.do("up", "-d")
	gate.awaitStates("v3:holder v3:kept")
	// A release that is there already is deployed as any other is.
	deploy("v3")
	gate.awaitStates("v3:holder v3:kept")
	_, back, _ := strings.Cut(deploy("v2"), "The way back, until the next deploy: docker ")
	gate.awaitStates("v2:holder v3:kept")

	// The ways back: to the other container, and at the gate.
	docker(t, strings.Fields(back)...)
	gate.awaitStates("v3:holder v2:kept")
	gate.verb("rollback")
	gate.awaitHolder("v2")
	load.more(50)
	total := load.stop()
	total.wantNoFailure(t)
	for tag, n := range total.Answers {
		if (tag == "exits" || tag == "broken") && n > 0 {
			t.Errorf("%s got %d requests", tag, n)
		}
	}
	t.Logf("%d requests, %d failed: %v", total.Sent, total.Failed, total.Answers)
}
