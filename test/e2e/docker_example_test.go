//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// dockerBuilder is a client and the builder that it is told to use.
type dockerBuilder struct {
	client   string
	buildkit string // value of DOCKER_BUILDKIT
}

// dockerLegacyBuilder and dockerBuildKit look for a client that can use the
// builder: newer ones need a plugin for BuildKit, older ones have it inside.
func (b dockerBuilder) works(ctx context.Context) bool {
	cmd := exec.CommandContext(ctx, b.client, "build", "-q", "--label", "swapinit.test=1", "-")
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT="+b.buildkit)
	cmd.Stdin = strings.NewReader("FROM scratch\nLABEL swapinit.test.kind=app\n")
	return cmd.Run() == nil
}

func dockerBuilderFor(t *testing.T, buildkit string) dockerBuilder {
	t.Helper()
	dockerNeed(t)
	for _, client := range []string{"docker", "/usr/bin/docker", "/usr/local/bin/docker"} {
		b := dockerBuilder{client, buildkit}
		if b.works(t.Context()) {
			return b
		}
	}
	if buildkit == "1" {
		dockerSkip(t, errors.New("no docker client here can use BuildKit"))
	}
	dockerSkip(t, errors.New("no docker client here can use the legacy builder"))
	panic("unreachable")
}

// dockerExample builds the stages of Dockerfile.example once, with the legacy builder: tests
// that build it side by side would each compile Go's standard library, and have it from the
// builder's cache after this.
func dockerExample(t *testing.T) {
	t.Helper()
	dockerBase(t, "base")
	dockerBase(t, "golang")
	_, err := dockerImages.get("Dockerfile.example", func() (string, error) {
		cmd := exec.Command("docker", "build", "-q", "--target", "server", "--label", "swapinit.test=1", "-f", "../../Dockerfile.example", "../..")
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("docker build: %w\n%s", err, out)
		}
		return string(out), err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Dockerfile.example builds as it is, with either builder; what it makes runs,
// is healthy, swaps without a failed connection, and stops.
func TestDockerfileExample(t *testing.T) {
	t.Parallel()
	for name, buildkit := range map[string]string{"legacy builder": "0", "BuildKit": "1"} {
		if !often(name) { // each compiles Go's standard library anew
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := dockerBuilderFor(t, buildkit)
			dockerExample(t) // BuildKit has a cache of its own, but needs the images
			image := "swapinit-test/example:builder" + buildkit + "-" + dockerRunID
			cmd := exec.CommandContext(t.Context(), b.client, "build", "-t", image,
				"--label", "swapinit.test=1", "--label", "swapinit.test.kind=app", "-f", "../../Dockerfile.example", "../..")
			cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT="+buildkit)
			if r := dockerCommand(t, cmd); r.Code != 0 {
				t.Fatalf("docker build: %v", r)
			}
			t.Cleanup(func() { _ = exec.Command("docker", "rmi", image).Run() }) // after its container
			c := dockerRun(t, image)
			c.awaitReady()
			load := dockerLoad(t, c, "-port", "8080", "-rate", "100")
			load.atLeast(30)
			active := func(want int) {
				t.Helper()
				if n, _ := c.status().active(); n != want {
					t.Errorf("generation %d is active, want %d", n, want)
				}
			}
			for n := 2; n <= 4; n++ {
				c.exec(c.swapinit(), "swap")
				active(n)
				load.more(30)
				if n == 3 { // the predecessor is kept, and there is a way back
					c.exec(c.swapinit(), "rollback")
					active(2)
				} else {
					c.exec(c.swapinit(), "promote")
				}
				c.awaitStatus("the other one is gone", func(s dockerStatus) bool { return len(s.Generations) == 1 })
			}
			load.stop().wantNoFailure(t)
			dockerEventually(t, "healthy", func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" })
			docker(t, "stop", "-t", "60", c.id)
			if code := c.wait(); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
		})
	}
}
