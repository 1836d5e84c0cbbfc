//go:build linux

package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What an operator or a crash does to the containers of a gate on the host's network,
// under load. What was not accepted by somebody who is killed has its answer.
func TestDockerGateUpset(t *testing.T) {
	t.Parallel()
	for _, u := range []struct {
		name   string
		old    []string // flags of the first member, which the second one takes over from
		upset  func(t *testing.T, b *gateBox, old, holder *dockerContainer, load *dockerLoader)
		states string // newest first, afterwards
		lossy  bool   // a server is killed, with what it had accepted
	}{
		{"the gate restarts", nil, func(t *testing.T, b *gateBox, _, _ *dockerContainer, _ *dockerLoader) {
			docker(t, "restart", "-t", "60", b.gate.id)
		}, "v2:holder v1:kept", false},
		{"the gate is killed", nil, func(t *testing.T, b *gateBox, _, _ *dockerContainer, _ *dockerLoader) {
			docker(t, "kill", b.gate.id)
			docker(t, "start", b.gate.id)
		}, "v2:holder v1:kept", false},
		{"the gate is replaced by a new container", nil, func(t *testing.T, b *gateBox, _, _ *dockerContainer, _ *dockerLoader) {
			docker(t, "stop", b.gate.id)
			b.run("--network", "host", "-e", "SWAPINIT_LISTEN=127.0.0.1:"+b.port)
		}, "v2:holder v1:kept", false},
		{"the gate is paused", nil, func(t *testing.T, b *gateBox, _, holder *dockerContainer, load *dockerLoader) {
			docker(t, "pause", b.gate.id)
			// No byte passes through it. A swap waits for its turn.
			ended := make(chan dockerResult, 1)
			go func() { ended <- holder.try("/gate/swapinit", "swap") }()
			load.more(100)
			docker(t, "unpause", b.gate.id)
			if r := <-ended; r.Code != 0 {
				t.Errorf("a swap while the gate was paused: %v", r)
			}
		}, "v2:holder v1:kept", false},
		{"the holder restarts", []string{"-e", "SWAPINIT_KEEP=0"}, func(t *testing.T, b *gateBox, _, holder *dockerContainer, _ *dockerLoader) {
			docker(t, "restart", "-t", "60", holder.id)
		}, "v2:holder v1:retired", false},
		{"a retired member restarts", []string{"-e", "SWAPINIT_KEEP=0"}, func(t *testing.T, b *gateBox, old, _ *dockerContainer, _ *dockerLoader) {
			b.gate.awaitStates("v2:holder v1:retired")
			docker(t, "restart", "-t", "60", old.id)
		}, "v2:holder v1:retired", false},
		{"the holder is killed", nil, func(t *testing.T, b *gateBox, _, holder *dockerContainer, _ *dockerLoader) {
			docker(t, "kill", holder.id)
		}, "v1:holder", true},
		{"the holder is killed and started", nil, func(t *testing.T, b *gateBox, _, holder *dockerContainer, _ *dockerLoader) {
			docker(t, "kill", holder.id)
			b.gate.awaitStates("v1:holder")
			docker(t, "start", holder.id)
		}, "v2:failed v1:holder", true},
		{"the only server is killed and started", []string{"-e", "SWAPINIT_KEEP=0"}, func(t *testing.T, b *gateBox, old, holder *dockerContainer, load *dockerLoader) {
			b.gate.awaitStates("v2:holder v1:retired")
			docker(t, "stop", "-t", "60", old.id)
			docker(t, "kill", holder.id)
			docker(t, "start", holder.id)
		}, "v2:holder", true},
		{"the holder is paused", nil, func(t *testing.T, b *gateBox, _, holder *dockerContainer, load *dockerLoader) {
			docker(t, "pause", holder.id)
			dockerEventually(t, "requests to wait", func() bool { tally := load.tally(); return tally.Sent-tally.OK > 50 })
			docker(t, "unpause", holder.id)
		}, "v2:holder v1:kept", false},
		// Connections wait for a successor at first; when there is none they are reset, and
		// new ones go to who was kept.
		{"the holder is stopped", nil, func(t *testing.T, b *gateBox, _, holder *dockerContainer, _ *dockerLoader) {
			docker(t, "stop", "-t", "60", holder.id)
		}, "v1:holder", true},
	} {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			b := dockerGateHost(t)
			old := b.serving("v1", u.old...)
			holder := b.serving("v2")
			load := b.load("-rate", "100", "-slow", "/slow?ms=700")
			load.atLeast(50)
			u.upset(t, b, old, holder, load)
			b.gate.awaitStates(u.states)
			load.more(50)
			total := load.stop()
			if u.lossy {
				total.wantNoRefusal(t)
			} else {
				total.wantNoFailure(t)
			}
			t.Logf("%d requests, %d failed: %v, answers %v", total.Sent, total.Failed, total.Failures, total.Answers)
		})
	}
}

// The gate restarts while a predecessor still has a connection, and is a server that ends
// when its listening socket does, as Go's net/http does: the connection stays.
func TestDockerGateRestartKeepsConnections(t *testing.T) {
	t.Parallel()
	b := dockerGateHost(t)
	old := b.serving("v1", "-e", "SERVER=http", "-e", "SERVER_FLAGS=-inherit")
	conn, err := net.Dial("tcp", "127.0.0.1:"+b.port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	b.serving("v2")
	for range 3 {
		docker(t, "restart", "-t", "60", b.gate.id)
		b.gate.awaitStates("v2:holder v1:kept")
		ask()
	}
	b.gate.verb("rollback")
	b.gate.awaitHolder("v1")
	ask()
	if generation, _ := old.status().active(); generation != 1 {
		t.Errorf("generation %d of v1 has the traffic, want its first", generation)
	}
}

// A gate on a network of its own takes that with it when it restarts: what was accepted is
// dead. But the holder takes the new sockets by itself, and from then on it serves.
func TestDockerGateBridgeRestart(t *testing.T) {
	t.Parallel()
	b := dockerGateBridge(t, "-p", "127.0.0.1:0:8080")
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() string {
		t.Helper()
		response, err := client.Get("http://" + strings.Split(docker(t, "port", b.gate.id, "8080"), "\n")[0] + "/")
		if err != nil {
			return err.Error()
		}
		response.Body.Close()
		return response.Status
	}
	old := b.serving("v1")
	holder := b.serving("v2")
	if got := ask(); got != "200 OK" {
		t.Errorf("before: %s", got)
	}
	docker(t, "restart", "-t", "60", b.gate.id)
	dockerEventually(t, "an answer at the published port", func() bool { return ask() == "200 OK" })
	b.gate.awaitHolder("v2")
	s := holder.awaitStatus("generation 2 of the holder", func(s dockerStatus) bool { return s.only(2) })
	if s.LastSwap == nil || !s.LastSwap.OK {
		t.Errorf("the last swap of the holder is %+v", s.LastSwap)
	}
	load := dockerLoad(t, b.gate.dockerContainer, "-rate", "100")
	load.atLeast(30)
	// Whoever serves no more can still take the traffic back.
	if r := old.try("/gate/swapinit", "swap"); r.Code != 0 {
		t.Errorf("swap in the other container: %v", r)
	}
	b.gate.awaitHolder("v1")
	b.serving("v3")
	load.more(30)
	load.stop().wantNoFailure(t)
}

// A plain container behind a proxy that has just turned to another one: it is stopped
// while requests are open, its server would die of TERM at once, and yet they finish.
func TestDockerStopDrain(t *testing.T) {
	t.Parallel()
	for _, drain := range []string{"0", "1m"} {
		t.Run(drain, func(t *testing.T) {
			t.Parallel()
			c := dockerRun(t, "-e", "SWAPINIT_STOP_DRAIN="+drain, dockerImage(t, "scratch"), "/fixture", "serve", "-abrupt")
			c.awaitReady()
			load := dockerLoad(t, c, "-rate", "1", "-slow", "/slow?ms=3000")
			load.atLeast(1)
			dockerEventually(t, "open requests", func() bool { tally := load.tally(); return tally.Sent-tally.OK >= 3 })
			began := load.tally()
			load.stdin.Close() // no more requests
			docker(t, "stop", "-t", "120", c.id)
			if code := c.wait(); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
			<-load.done
			total := load.tally()
			if lost := total.Failed > 0; lost != (drain == "0") {
				t.Errorf("of %d open requests %d failed: %v", began.Sent-began.OK, total.Failed, total.Failures)
			}
		})
	}
}
