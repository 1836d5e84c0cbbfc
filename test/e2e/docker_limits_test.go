//go:build linux

package e2e

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// A container without a writable path, capabilities, root or network.
func TestDockerHardened(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"scratch", "debian"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			c := dockerRun(t, "--read-only", "--cap-drop", "ALL", "--user", "1000", "--security-opt", "no-new-privileges",
				"--network", "none", dockerImage(t, image))
			c.awaitReady()
			c.swap()
			if r := c.try(c.swapinit(), "swap", "--", "/nonexistent"); r.Code != 1 {
				t.Errorf("swap to nothing: %v, want status 1", r)
			}
			docker(t, "kill", "-s", "HUP", c.id)
			c.awaitStatus("the swap by HUP", func(s dockerStatus) bool {
				generation, _ := s.active()
				return generation >= 3 && len(s.Generations) == 1
			})
			if r := c.try(c.swapinit(), "health"); r.Code != 0 {
				t.Errorf("health: %v", r)
			}
			docker(t, "stop", "-t", "60", c.id)
			if code := c.wait(); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
			if _, stderr := c.logs(); strings.Contains(stderr, "panic") || strings.Contains(stderr, "runtime error") {
				t.Errorf("log: %s", stderr)
			}
		})
	}
}

// The same with sd_notify: its socket finds a place or does without.
func TestDockerHardenedNotify(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, "--read-only", "--cap-drop", "ALL", "--user", "1000", "--security-opt", "no-new-privileges",
		dockerImage(t, "scratch"), "/fixture", "serve", "-ready", "notify")
	c.awaitReady()
	c.swap()
	if s := c.status(); s.Generations[0].Status != "fixture serves" {
		t.Errorf("status %q did not arrive", s.Generations[0].Status)
	}
}

// A pids limit that leaves no room for a successor: the swap fails, the
// predecessor serves on, and once there is room a swap succeeds.
func TestDockerPidsLimit(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, "--pids-limit", "100", dockerImage(t, "scratch"))
	c.awaitReady()
	c.swap() // whatever threads a swap needs are there by now
	generation, pid := c.status().active()

	// docker exec needs room too: leave none while the swap runs, and look
	// afterwards. One process is too few for a Go server's threads, none for
	// any: the limits from "nothing more" to "a little more".
	failures := 0
	for _, room := range []int{0, 1, 2, 3} {
		// The limit counts threads, as does this.
		used, err := strconv.Atoi(docker(t, "stats", "--no-stream", "--format", "{{.PIDs}}", c.id))
		if err != nil {
			t.Fatal(err)
		}
		docker(t, "update", "--pids-limit", strconv.Itoa(used+room), c.id)
		_, before := c.logs()
		docker(t, "kill", "-s", "HUP", c.id)
		dockerEventually(t, "the log tells of the swap's end", func() bool {
			_, stderr := c.logs()
			fresh := stderr[len(before):]
			return strings.Contains(fresh, "swapinit: swap to generation ") || c.inspect("{{.State.Running}}") == "false"
		})
		if c.inspect("{{.State.Running}}") == "false" {
			_, stderr := c.logs()
			t.Fatalf("with room for %d more the container ended: %s", room, stderr)
		}
		docker(t, "update", "--pids-limit", "100", c.id)
		s := c.awaitStatus("the other generation is gone", func(s dockerStatus) bool { return len(s.Generations) == 1 })
		if s.LastSwap != nil && s.LastSwap.OK {
			// The daemon's count had somebody in it who has left since: there was
			// room for a successor, and it serves.
			generation, pid = s.active()
			continue
		}
		failures++
		if active, now := s.active(); active != generation || now != pid {
			t.Fatalf("with room for %d more: generation %d, pid %d is active, want %d, %d as before", room, active, now, generation, pid)
		}
		if s.LastSwap == nil {
			t.Errorf("with room for %d more: no last swap, want a failure", room)
		} else {
			t.Logf("room %d (%d used): %+v", room, used, *s.LastSwap)
		}
		if got := c.get("8080", "/"); got != strconv.Itoa(generation) {
			t.Errorf("with room for %d more: generation %s answers, want %d", room, got, generation)
		}
	}
	if failures == 0 {
		t.Error("no swap has met the limit")
	}
	c.swap()
}

// A memory limit that the successor hits: it is killed, the predecessor serves.
func TestDockerMemoryLimit(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, "--memory", "48m", "--memory-swap", "48m", dockerImage(t, "scratch"))
	c.awaitReady()
	c.swap()
	if r := c.try("/swapinit", "swap", "--", "/fixture", "serve", "-memory", "200"); r.Code != 1 {
		t.Errorf("swap to a server too big for the limit: %v, want status 1", r)
	}
	c.awaitLog("generation 3: the kernel has killed it for want of memory")
	if got := c.get("8080", "/"); got != "2" {
		t.Errorf("generation %s answers, want 2", got)
	}
	c.swap()
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

// Two containers on the host's network share its abstract sockets: each verb
// must find the init of its own container.
func TestDockerHostNetwork(t *testing.T) {
	t.Parallel()
	image := dockerImage(t, "scratch")
	var all []*dockerContainer
	var ports []string
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		l.Close()
		c := dockerRun(t, "--network", "host", "-e", "SWAPINIT_LISTEN=tcp4://127.0.0.1:"+port, image)
		c.awaitReady()
		all, ports = append(all, c), append(ports, port)
	}
	all[1].swap()
	for i, want := range []string{"1", "2"} {
		if s := all[i].status(); !s.only(i+1) || s.Pid != 1 {
			t.Errorf("container %d: %+v", i, s)
		}
		if got := all[i].get(ports[i], "/"); got != want {
			t.Errorf("container %d: generation %s answers, want %s", i, got, want)
		}
	}
}
