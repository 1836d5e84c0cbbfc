//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// Servers that know nothing of swapinit, as their users have them in an image, are
// swapped under load, and no request fails: as root in a default container, with swapinit
// in the image, told to stop gracefully; and with nothing that they do not need, under the
// engine's own init, which is bind-mounted as dockerd does for --init, told to stop so that
// they die at once, or killed.
func TestZooAdopted(t *testing.T) {
	t.Parallel()
	binaries, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	const engine = "/sbin/docker-init"
	for _, s := range zooServers {
		if s.refused() != "" {
			continue
		}
		if s.only != "1000" && often("adopted "+s.name) {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.losesNothing(t, zooOptions{env: zooEnv(s.stop)})
			})
		}
		if s.only != "1000" && !often("hardened "+s.name) {
			continue
		}
		t.Run(s.name+" hardened and rude", func(t *testing.T) {
			t.Parallel()
			s.losesNothing(t, zooOptions{env: zooEnv(s.rude), prefix: []string{engine, "--"},
				run: append(s.hardened(), "-v", binaries+"/swapinit:"+engine+":ro")})
		})
	}
}

func (s zooServer) losesNothing(t *testing.T, o zooOptions) {
	t.Helper()
	if len(o.prefix) == 0 {
		o.prefix = []string{"/swapinit", "--"}
	}
	o.env = append(o.env, s.settings...)
	n := zooSwaps(t, s, o)
	n.wantNoFailure(t)
}

// refused is why a server cannot have a successor beside it, "" where it can.
func (s zooServer) refused() string {
	switch {
	case strings.HasPrefix(s.name, "postgres"):
		return "its data are its own"
	case s.name == "memcached-setuid":
		return "it has changed its user without an exec"
	}
	return ""
}

// Two PostgreSQL exclude each other by a file beside their data, whatever their sockets
// do. The swap fails with what the second one did, and the first one never noticed.
func TestZooExclusiveData(t *testing.T) {
	t.Parallel()
	for _, s := range zooServers {
		if !strings.HasPrefix(s.name, "postgres") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			n := zooSwaps(t, s, zooOptions{prefix: []string{"/swapinit", "--"}, env: zooEnv(s.rude), swaps: 2, run: s.hardened()})
			t.Log(n)
			for _, r := range n.swaps {
				if r.Code != 1 || !strings.Contains(r.Stderr, "exited with status 1 before it was ready") {
					t.Errorf("swap: %v", r)
				}
			}
			if n.fresh.Failed != 0 || n.kept.Failed != 0 || n.fresh.Requests == 0 {
				t.Errorf("%v", n)
			}
			if _, logs := n.c.logs(); !strings.Contains(logs, "postmaster.pid") {
				t.Errorf("its own reason is not in the log: %s", logs)
			}
		})
	}
}

// Who cannot be looked into is not adopted, and the log says so at once.
func TestZooNotAdopted(t *testing.T) {
	t.Parallel()
	for _, s := range zooServers {
		if s.name != "memcached-setuid" {
			continue
		}
		c := zooRun(t, s, []string{"/swapinit", "--"}, "-e", "SWAPINIT_LISTEN=:8080")
		if code := c.wait(); code == 0 {
			t.Error("it has ended with status 0")
		}
		if _, logs := c.logs(); !strings.Contains(logs, "cannot be looked into") || !strings.Contains(logs, "setuid") && !strings.Contains(logs, "changed its user") {
			t.Errorf("the log does not say why: %s", logs)
		}
	}
}

// A server that closes what it was given, as daemons do, gets its socket under the number
// of an endpoint's. It still has it, however late it accepts who waits there.
func TestZooCloses(t *testing.T) {
	t.Parallel()
	const program = `import os, time, http.server as h
os.closerange(3, 256)
s = h.HTTPServer(("", 8080), h.SimpleHTTPRequestHandler)
assert s.fileno() == 3
time.sleep(4)
s.serve_forever()`
	s := zooServer{command: []string{"python3", "-c", program}, protocol: "http"}
	c := zooRun(t, s, []string{"/swapinit", "--"}, "-e", "SWAPINIT_LISTEN=:8080")
	c.zooAnswers(s)
	if r := c.try("/swapinit", "swap"); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	c.zooAnswers(s)
}
