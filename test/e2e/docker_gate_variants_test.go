//go:build linux

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// Wherever the gate is and whatever it may do, a release takes over from another one, and
// the traffic goes back, with no request lost. Docker's own seccomp profile is in force.
func TestDockerGateVariants(t *testing.T) {
	t.Parallel()
	hard := []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	user := append([]string{"--user", "1000"}, hard...)
	for _, v := range []struct {
		name         string
		start        func(t *testing.T, args ...string) *gateBox
		gate, member []string
	}{
		{"host", dockerGateHost, nil, nil},
		{"bridge", dockerGateBridge, nil, nil},
		{"bridge, members with a network", dockerGateBridge, nil, []string{"--network", "bridge"}},
		{"without privileges", dockerGateHost, hard, hard},
		{"members of a user", dockerGateHost, append([]string{"-e", "SWAPINIT_GATE_ALLOW=1000"}, hard...), user},
		{"members of any user", dockerGateBridge, append([]string{"-e", "SWAPINIT_GATE_ALLOW=any"}, hard...), user},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			b := v.start(t, v.gate...)
			b.serving("v1", v.member...)
			// It dies at once of TERM: only who knows its connections can end it well.
			load := b.load("-rate", "100", "-path", "/slow?ms=5", "-slow", "/slow?ms=700")
			load.atLeast(30)
			b.serving("v2", append([]string{"-e", "SERVER_FLAGS=-abrupt", "-e", "SWAPINIT_KEEP=0", "-e", "SWAPINIT_IDLE_AFTER=1h"}, v.member...)...)
			load.more(30)
			b.serving("v3", v.member...)
			load.more(30)
			b.gate.awaitStates("v3:holder v2:retired v1:kept")
			b.gate.verb("rollback")
			b.gate.awaitHolder("v1")
			load.more(30)
			total := load.stop()
			total.wantNoFailure(t)
			for _, release := range []string{"v1", "v2", "v3"} {
				if total.Answers[release] == 0 {
					t.Errorf("no answer of %s: %v", release, total.Answers)
				}
			}
			t.Logf("%d requests, %d failed", total.Sent, total.Failed)
		})
	}
}

// Who may not join is told so, and ends as what cannot start.
func TestDockerGateRefuses(t *testing.T) {
	t.Parallel()
	b := dockerGateBridge(t)
	c := b.member("v1", "--user", "1000")
	if code := c.wait(); code != 125 {
		t.Errorf("exit status %d of a member that may not join, want 125", code)
	}
	if _, stderr := c.logs(); !strings.Contains(stderr, "SWAPINIT_GATE_ALLOW") {
		t.Errorf("stderr %q does not name the setting", stderr)
	}
	b.gate.awaitLog("turned away uid 1000")
	// And who asks for endpoints of its own beside the gate's.
	d := b.member("v1", "-e", "SWAPINIT_LISTEN=:8081")
	if code := d.wait(); code != 125 {
		t.Errorf("exit status %d with SWAPINIT_LISTEN beside SWAPINIT_GATE, want 125", code)
	}
	// A gate that is not there.
	e := b.member("v1", "-e", "SWAPINIT_GATE=/gate/none.sock", "-e", "SWAPINIT_READY_TIMEOUT=1s")
	if code := e.wait(); code != 125 {
		t.Errorf("exit status %d without a gate, want 125", code)
	}
	if _, stderr := e.logs(); !strings.Contains(stderr, "/gate/none.sock") {
		t.Errorf("stderr %q does not name the path", stderr)
	}
}

// Servers that know nothing, in an image in which nothing is known, take over from each
// other: they bind for themselves, and get a socket of the gate's.
func TestDockerGateAdoption(t *testing.T) {
	t.Parallel()
	python := []string{"python3", "-m", "http.server", "-d", "/srv", "80"}
	nginx := []string{"nginx", "-g", "daemon off;"}
	image := dockerBase(t, "servers")
	b := dockerGateBridge(t, "-e", "SWAPINIT_LISTEN=:80")
	b.port = "80"
	take := func(release string, command []string, flags ...string) {
		t.Helper()
		b.gate.verb("wait", b.other(release, image, command, flags...).id, "--timeout", "5m")
	}
	quit := []string{"-e", "SWAPINIT_STOP_SIGNAL=QUIT", "-e", "SWAPINIT_READY=http://127.0.0.1:80/"}
	take("python", python)
	load := b.load("-rate", "50")
	load.atLeast(30)
	take("nginx-1", nginx, quit...)
	load.more(30)
	take("nginx-2", nginx, quit...)
	load.more(30)
	take("python-2", python)
	load.more(30)
	total := load.stop()
	total.wantNoFailure(t)
	t.Logf("%d requests, %d failed", total.Sent, total.Failed)
}

// wait says how it went, by a release's name, a container's id and the beginning of it.
func TestDockerGateWait(t *testing.T) {
	t.Parallel()
	b := dockerGateBridge(t)
	gone := b.gate.try("/swapinit", "wait", "v1", "--timeout", "200ms")
	oneLine(t, gone.Stderr, "v1")
	if gone.Code != 1 {
		t.Errorf("wait for nobody: %v, want status 1", gone)
	}
	v1 := b.member("v1")
	for _, name := range []string{"v1", v1.id, v1.id[:12]} {
		if r := b.gate.try("/swapinit", "wait", name); r.Code != 0 {
			t.Errorf("wait %s: %v", name, r)
		}
	}
	load := b.load("-rate", "100")
	load.atLeast(30)
	for _, bad := range []struct {
		name  string
		flags []string
		want  []string // in the reason
	}{
		{"exits", []string{"-e", "SERVER_FLAGS=-fail 7"}, []string{"has left", "7"}},
		{"never-ready", []string{"-e", "SERVER_FLAGS=-ready never -deaf", "-e", "SWAPINIT_READY_TIMEOUT=1s"}, []string{"1s"}},
		{"broken", []string{"-e", "SERVER_FLAGS=-answer 500", "-e", "SWAPINIT_READY=http://127.0.0.1:8080/", "-e", "SWAPINIT_READY_TIMEOUT=1s"}, []string{"500"}},
		{"crashes", []string{"-e", "SERVER_FLAGS=-crash 1s", "-e", "SWAPINIT_SETTLE=1h"}, []string{"9"}},
		{"slow", []string{"-e", "SERVER_FLAGS=-ready never"}, []string{"in time"}},
	} {
		c := b.member(bad.name, bad.flags...)
		timeout := "5m"
		if bad.name == "slow" {
			timeout = "1s"
		}
		r := b.gate.try("/swapinit", "wait", c.id, "--timeout", timeout, "--or-rollback")
		oneLine(t, r.Stderr, append(slices.Clone(bad.want), bad.name, "docker logs "+c.id[:12])...)
		if r.Code != 1 {
			t.Errorf("wait for %s: %v, want status 1", bad.name, r)
		}
		docker(t, "stop", "-t", "0", c.id) // if it is still there
		b.gate.awaitStates("v1:holder")
	}
	load.more(30)
	total := load.stop()
	total.wantNoFailure(t)
	if len(total.Answers) != 1 {
		t.Errorf("answers %v, want v1's only", total.Answers)
	}
}
