//go:build linux

package e2e

import (
	"os"
	"strings"
	"testing"
)

// Real servers, as Debian packages them, are swapped under load, and not one
// connection fails. All three share one listening socket between predecessor
// and successor, so the zero is theirs too: each finishes what it accepted.
//
//   - nginx: `deferred` makes the kernel hand over a connection together with
//     its request; a worker that stops closes connections without one.
//   - gunicorn, sync workers: a worker that is told to stop finishes the one
//     request that it has, and takes no other. --preload, because it reports
//     itself ready before its workers have loaded anything.
//   - Node.js: close() in a TERM handler takes no more connections, and ends
//     when the last one is answered.
//
// Each request has a connection of its own: a request that a client sends on a
// kept one in the moment in which the server closes it is lost with any
// server. The rate is what two slow cores do without queueing.
func TestDockerServers(t *testing.T) {
	t.Parallel()
	const swaps = 3
	for _, server := range []struct {
		name, port string
		load       []string
		run        []string // for docker run
		failing    []string // a command whose swap fails
	}{
		{
			name: "nginx", port: "80", load: []string{"-rate", "200", "-slow", "/slow"},
			failing: []string{"nginx", "-c", "/nonexistent"},
		},
		{
			name: "gunicorn", port: "8000", load: []string{"-rate", "60", "-slow", "/slow"},
			failing: []string{"gunicorn", "--preload", "app:nonexistent"},
		},
		{
			// The socket as an argument: gunicorn must not hear of it twice.
			name: "gunicorn", port: "8000", load: []string{"-rate", "60", "-slow", "/slow"},
			run: []string{"-e", "SWAPINIT_EXPORT=", "-e",
				"GUNICORN_CMD_ARGS=--preload --workers 2 --worker-tmp-dir /dev/shm -b fd://{fd.8000}"},
			failing: []string{"gunicorn", "--preload", "app:nonexistent"},
		},
		{
			name: "node", port: "3000", load: []string{"-rate", "100", "-slow", "/slow"},
			failing: []string{"node", "/nonexistent.js"},
		},
	} {
		name := server.name
		command := []string(nil)
		if server.run != nil {
			name, command = name+" -b fd", []string{"gunicorn", "app:application"}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(server.run, dockerImage(t, server.name))
			c := dockerRun(t, append(args, command...)...)
			c.awaitReady()
			load := dockerLoad(t, c, append([]string{"-port", server.port}, server.load...)...)
			load.atLeast(30)
			for range swaps {
				c.swap()
				load.more(30)
			}
			if r := c.try(append([]string{"swapinit", "swap", "--"}, server.failing...)...); r.Code != 1 {
				t.Errorf("swap to a server that fails: %v, want status 1", r)
			}
			load.more(30)
			total := load.stop()
			total.wantNoFailure(t)
			// Each generation has pids of its own, and each answered.
			if len(total.Answers) < swaps+1 {
				t.Errorf("%d processes answered, want one a generation at least: %v", len(total.Answers), total.Answers)
			}
			t.Logf("%d requests, %d swaps, %d failed", total.Sent, swaps, total.Failed)

			dockerEventually(t, "healthy", func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" })
			docker(t, "stop", "-t", "60", c.id)
			if code := c.wait(); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
		})
	}
}

// nginx with the configuration that its package brings, as docs/docker.md has it.
func TestDockerNginxStock(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/docker.md")
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile("docker/images/nginx-stock/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(recipe), "package brings.\n")
	for line := range strings.Lines(lines) {
		if !strings.Contains(string(page), line) {
			t.Errorf("docs/docker.md lacks %q", line)
		}
	}
	c := dockerRun(t, dockerImage(t, "nginx-stock"))
	c.awaitReady()
	load := dockerLoad(t, c, "-port", "80", "-rate", "100")
	load.atLeast(30)
	for range 3 {
		c.swap()
		load.more(30)
	}
	load.stop().wantNoFailure(t)
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}
