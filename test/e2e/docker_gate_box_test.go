//go:build linux

package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// gateBox is a gate with a volume of its own, and who joins it, by docker run.
type gateBox struct {
	t       *testing.T
	volume  string
	gate    dockerGate
	network string // where its endpoints are
	port    string // the first one's
}

// dockerGateVolume makes a volume, removed when the test ends and its containers have.
func dockerGateVolume(t *testing.T, options ...string) string {
	t.Helper()
	dockerNeed(t)
	name := docker(t, append([]string{"volume", "create", "--label", "swapinit.test=1", "--label", dockerRunLabel}, options...)...)
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "volume", "rm", "-f", name).CombinedOutput(); err != nil {
			t.Logf("docker volume rm: %v: %s", err, out)
		}
	})
	return name
}

// dockerGateHost is a gate on this machine's network.
func dockerGateHost(t *testing.T, args ...string) *gateBox {
	t.Helper()
	port := gatePort(t)
	b := &gateBox{t: t, volume: dockerGateVolume(t), network: "host", port: port}
	b.run(append([]string{"--network", "host", "-e", "SWAPINIT_LISTEN=127.0.0.1:" + port}, args...)...)
	return b
}

// dockerGateBridge is one on a network of its own.
func dockerGateBridge(t *testing.T, args ...string) *gateBox {
	t.Helper()
	b := &gateBox{t: t, volume: dockerGateVolume(t), port: "8080"}
	b.run(append([]string{"-e", "SWAPINIT_LISTEN=:8080"}, args...)...)
	b.network = "container:" + b.gate.id
	return b
}

// run starts the gate, and waits for it.
func (b *gateBox) run(args ...string) {
	b.t.Helper()
	b.gate = dockerGate{dockerRun(b.t, slices.Concat([]string{"-v", b.volume + ":/gate"}, args, []string{dockerImage(b.t, "gate")})...)}
	b.gate.await("the gate", func(s *dockerGateStatus) bool { return s.Ready })
}

// member starts a release, with flags for docker run. It has no network of its own: what
// it needs comes over the volume.
func (b *gateBox) member(release string, flags ...string) *dockerContainer {
	b.t.Helper()
	return b.other(release, dockerImage(b.t, "release"), []string{"server"}, append([]string{"-e", "RELEASE=" + release}, flags...)...)
}

// other is a member of any image.
func (b *gateBox) other(release, image string, command []string, flags ...string) *dockerContainer {
	b.t.Helper()
	if !slices.Contains(flags, "--network") {
		flags = append([]string{"--network", "none"}, flags...)
	}
	return dockerRun(b.t, slices.Concat([]string{"-v", b.volume + ":/gate:ro", "--entrypoint", "/gate/swapinit",
		"-e", "SWAPINIT_GATE=/gate/gate.sock", "-e", "SWAPINIT_RELEASE=" + release, "-e", "SWAPINIT_SETTLE=100ms"}, flags, []string{image, "--"}, command)...)
}

// serving starts a release that takes over.
func (b *gateBox) serving(release string, flags ...string) *dockerContainer {
	b.t.Helper()
	c := b.member(release, flags...)
	if got := b.gate.verb("wait", c.id, "--timeout", "5m"); !strings.Contains(got, release) {
		b.t.Errorf("wait %.12s printed %q, want %s in it", c.id, got, release)
	}
	return c
}

// load asks at the endpoint.
func (b *gateBox) load(args ...string) *dockerLoader {
	b.t.Helper()
	return dockerLoadOn(b.t, b.network, append([]string{"-port", b.port}, args...)...)
}

// wantNoRefusal: connections may have ended with whom they were accepted by, but each was
// accepted.
func (total dockerTally) wantNoRefusal(t *testing.T) {
	t.Helper()
	for failure, n := range total.Failures {
		if strings.HasPrefix(failure, "connect") {
			t.Errorf("%d of %d requests: %s", n, total.Sent, failure)
		}
	}
}
