//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Steering needs no privilege: in Docker's default profile, and in a container
// that has none at all, a server that dies at once is swapped under load, and
// not one request fails.
func TestDockerSteer(t *testing.T) {
	t.Parallel()
	const swaps = 5
	for name, run := range map[string][]string{
		"default":            nil,
		"without privileges": {"--read-only", "--cap-drop", "ALL", "--user", "1000", "--security-opt", "no-new-privileges"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(run, "-e", "SWAPINIT_STEER=require", "-e", "SWAPINIT_IDLE_AFTER=1h", "-e", "SWAPINIT_DRAIN_TIMEOUT=1h", dockerImage(t, "scratch"))
			c := dockerRun(t, append(args, "/fixture", "serve", "-abrupt")...)
			c.awaitReady()
			load := dockerLoad(t, c, "-port", "8080", "-rate", "200", "-path", "/slow?ms=5")
			load.atLeast(50)
			for range swaps {
				c.swap()
				load.more(50)
			}
			s := c.status()
			if len(s.Endpoints) != 1 || s.Endpoints[0].Steered == nil || !*s.Endpoints[0].Steered {
				t.Errorf("endpoints %+v, want one that is steered", s.Endpoints)
			}
			if g := s.Generations[0]; g.Share == nil || *g.Share != 100 {
				t.Errorf("the share of generation %d is %v, want 100", g.Generation, g.Share)
			}
			table := c.exec("/swapinit", "status")
			if !strings.Contains(table, "SHARE") || !strings.Contains(table, "100%") {
				t.Errorf("the status table has no shares:\n%s", table)
			}
			total := load.stop()
			total.wantNoFailure(t)
			if len(total.Answers) != swaps+1 {
				t.Errorf("answers from %d generations, want %d: %v", len(total.Answers), swaps+1, total.Answers)
			}
			t.Logf("%d requests, %d swaps, %d failed", total.Sent, swaps, total.Failed)

			// And back again.
			r := c.try("/swapinit", "swap", "--canary", "50%/1h", "--no-wait")
			if r.Code != 0 {
				t.Fatalf("swap --canary: %v", r)
			}
			c.awaitStatus("a canary", func(s dockerStatus) bool {
				return len(s.Generations) == 2 && s.Generations[1].Share != nil && *s.Generations[1].Share == 50
			})
			if r := c.try("/swapinit", "rollback"); r.Code != 0 {
				t.Errorf("rollback: %v", r)
			}
			c.awaitStatus("the canary is gone", func(s dockerStatus) bool { return s.only(swaps + 1) })
		})
	}
}

// A seccomp profile that knows nothing of steering: the socket is shared, and
// whoever requires more is told.
func TestDockerSteerRefused(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "seccomp.json")
	const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["setsockopt"],"action":"SCMP_ACT_ERRNO","args":[
		{"index":1,"value":1,"op":"SCMP_CMP_EQ"},{"index":2,"value":51,"op":"SCMP_CMP_EQ"}]}]}`
	if err := os.WriteFile(profile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := dockerRun(t, "--security-opt", "seccomp="+profile, dockerImage(t, "scratch"))
	c.awaitReady()
	e := c.status().Endpoints
	if len(e) != 1 || e[0].Steered == nil || *e[0].Steered || !strings.Contains(e[0].Reason, "SO_ATTACH_REUSEPORT_CBPF") {
		t.Errorf("endpoints %+v, want one that is shared, and why", e)
	}
	load := dockerLoad(t, c, "-port", "8080", "-rate", "100")
	load.atLeast(30)
	c.swap()
	load.more(30)
	load.stop().wantNoFailure(t)

	d := dockerRun(t, "--security-opt", "seccomp="+profile, "-e", "SWAPINIT_STEER=require", dockerImage(t, "scratch"))
	if code := d.wait(); code != 125 {
		t.Errorf("exit status %d where steering is required, want 125", code)
	}
	if _, stderr := d.logs(); !strings.Contains(stderr, "SWAPINIT_STEER") {
		t.Errorf("stderr %q does not name the setting", stderr)
	}
}
