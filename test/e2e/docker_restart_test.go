//go:build linux

package e2e

import "testing"

// docker kill tells the daemon that the user wants the container gone, and
// turns its restart policy off, even when the signal was HUP and meant a swap.
// A STOPSIGNAL in the image that is not the signal sent saves the policy,
// except for unless-stopped. docker exec never touches it. The table is quoted
// by the documentation: docker exec first, docker kill -s HUP only with care.
//
// In each row swapinit is PID 1, swaps once where the row says so, and then
// its server exits 7 by itself.
func TestDockerRestartPolicy(t *testing.T) {
	t.Parallel()
	const (
		none = "no swap"
		kill = "docker kill -s HUP"
		exec = "docker exec swapinit swap"
	)
	for _, row := range []struct {
		image, policy, swap string
		restarts            bool
	}{
		{"nostopsignal", "always", none, true},
		{"nostopsignal", "on-failure", none, true},
		{"nostopsignal", "unless-stopped", none, true},
		{"nostopsignal", "always", kill, false},
		{"nostopsignal", "on-failure", kill, false},
		{"nostopsignal", "unless-stopped", kill, false},
		{"nostopsignal", "always", exec, true},
		{"nostopsignal", "on-failure", exec, true},
		{"nostopsignal", "unless-stopped", exec, true},
		{"scratch", "always", none, true}, // STOPSIGNAL SIGTERM
		{"scratch", "on-failure", none, true},
		{"scratch", "unless-stopped", none, true},
		{"scratch", "always", kill, true},
		{"scratch", "on-failure", kill, true},
		{"scratch", "unless-stopped", kill, false},
		{"scratch", "always", exec, true},
		{"scratch", "on-failure", exec, true},
		{"scratch", "unless-stopped", exec, true},
	} {
		t.Run(row.image+"/"+row.policy+"/"+row.swap, func(t *testing.T) {
			t.Parallel()
			c := dockerRun(t, "--restart", row.policy, dockerImage(t, row.image))
			c.awaitReady()
			switch row.swap {
			case kill:
				docker(t, "kill", "-s", "HUP", c.id)
				c.awaitStatus("the swap by HUP", func(s dockerStatus) bool { return s.only(2) })
			case exec:
				c.swap()
			}
			c.exit(7)

			// The daemon decides the moment the container ends: it is
			// "exited" then, or counts a restart. There is no waiting for
			// a restart that does not come.
			var restarted bool
			dockerEventually(t, "the container ends or restarts", func() bool {
				restarted = c.inspect("{{.RestartCount}}") != "0"
				return restarted || c.inspect("{{.State.Status}}") == "exited"
			})
			if !restarted {
				restarted = c.inspect("{{.RestartCount}}") != "0"
			}
			if restarted != row.restarts {
				t.Errorf("restarted: %v, want %v", restarted, row.restarts)
			}
			if !restarted {
				if code := c.wait(); code != 7 {
					t.Errorf("exit status %d, want 7", code)
				}
				return
			}
			c.awaitStatus("the restarted container serves", func(s dockerStatus) bool { return s.Ready && s.only(1) })
		})
	}
}
