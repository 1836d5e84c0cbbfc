//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// Servers that know nothing of swapinit, as their users have them in an image, are
// swapped under load, and no request fails: as root in a default container, told to stop
// gracefully; and with nothing that they do not need, told to stop so that they die at
// once, or killed.
func TestZooAdopted(t *testing.T) {
	t.Parallel()
	for _, s := range zooServers {
		if s.refused() != "" {
			continue
		}
		if s.only != "1000" {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.losesNothing(t, zooOptions{env: zooEnv(s.stop)})
			})
		}
		t.Run(s.name+" hardened and rude", func(t *testing.T) {
			t.Parallel()
			s.losesNothing(t, zooOptions{env: zooEnv(s.rude), run: s.hardened()})
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
	t.Log(n)
	for _, r := range n.swaps {
		if r.Code != 0 {
			t.Errorf("swap: %v", r)
		}
	}
	if n.fresh.Failed != 0 || n.kept.Failed != 0 || n.fresh.Requests == 0 {
		t.Errorf("%v", n)
	}
}

// refused is what the reason of a swap has to say where a server cannot have a successor
// beside it, "" where it can.
func (s zooServer) refused() string {
	switch {
	case strings.HasPrefix(s.name, "postgres"):
		return "exited with status 1 before it was ready" // its own lock: postmaster.pid
	case s.name == "memcached-setuid":
		return "ended before it was ready" // it has changed its user without an exec
	}
	return ""
}
