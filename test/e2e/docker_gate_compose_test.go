//go:build linux

package e2e

import (
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
	deploy := func(tag string) {
		t.Helper()
		if r := p.deploy(tag); r.Code != 0 || !strings.Contains(r.Stdout, tag+" serves") {
			t.Fatalf("deploy.sh %s: %v", tag, r)
		}
	}
	deploy("v1")
	gate := p.gate()
	load := p.load("-rate", "100", "-slow", "/slow?ms=900")
	load.atLeast(50)
	deploy("v2")
	load.more(50)
	deploy("v3")
	load.more(50)
	gate.awaitStates("v3:holder v2:kept")

	for _, tag := range []string{"exits", "broken"} {
		r := p.deploy(tag)
		if r.Code != 1 || !strings.Contains(r.Stderr, tag+" failed") || !strings.Contains(r.Stderr, "its log: docker logs ") {
			t.Errorf("deploy.sh %s: %v, want status 1 and where its log is", tag, r)
		}
		gate.awaitStates("v3:holder")
	}
	// A release that is there already is deployed as any other is.
	deploy("v3")
	gate.awaitStates("v3:holder v3:kept")
	deploy("v2")
	gate.awaitStates("v2:holder v3:kept")

	// The ways back: to the other container, and at the gate.
	holder := gate.awaitHolder("v2").Gate.Holder
	other := "blue"
	if p.container("blue").id == holder {
		other = "green"
	}
	p.do("exec", "-T", other, "/gate/swapinit", "swap")
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
