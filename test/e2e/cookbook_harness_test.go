//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// cookbookRun is a section of a page that runs as a project of compose.
type cookbookRun struct {
	*dockerContainer
	project *dockerComposeProject
	keep    bool // SWAPINIT_KEEP is set
}

// cookbookLabels are on all that a run makes; by the last one its images are found.
var cookbookLabels = fmt.Sprintf("{swapinit.test: %q, swapinit.test.run: %q, swapinit.test.kind: %q}", "1", dockerRunID, cookbookKind)

const cookbookKind = "cookbook"

// cookbookProjects counts them: no two have one name.
var cookbookProjects atomic.Int32

// cookbookUp writes a section's files into a folder, the program beside, and has compose
// build and start it. What is not the page's: the base images, of which docker/fixtures
// makes stand-ins, labels, the port on the host, and a shorter SWAPINIT_IDLE_AFTER, as the
// clients that keep their connections are never quiet for a second.
func cookbookUp(t *testing.T, page *cookbookPage, s *cookbookSection, env ...string) *cookbookRun {
	t.Helper()
	binaries, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join(binaries, "swapinit"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "swapinit"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(s.files)
	for name := range files {
		if filepath.Base(name) == "Dockerfile" {
			files[name] = cookbookBase(t, files[name])
		}
	}
	pageSave(t, dir, files)
	number := cookbookProjects.Add(1)
	image := fmt.Sprintf("swapinit-test/cookbook-%s:%d", dockerRunID, number)
	write(t, filepath.Join(dir, "test.yaml"), cookbookOverride(s.files["compose.yaml"], image, env))
	p := dockerCompose(t, fmt.Sprintf("cookbook-%s-%d", page.name, number), []string{"PORT=0"},
		filepath.Join(dir, "compose.yaml"), filepath.Join(dir, "test.yaml"))
	cookbookBuild(t, p, page, s, dir, image)
	p.do("up", "-d")
	run := &cookbookRun{p.container("web"), p, false}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", run.id).CombinedOutput()
			t.Logf("logs:\n%s", logs)
		}
	})
	run.keep = strings.Contains(run.inspect("{{.Config.Env}}"), "SWAPINIT_KEEP=")
	run.awaitReady()
	return run
}

// cookbookBase puts the stand-ins into a Dockerfile.
func cookbookBase(t *testing.T, dockerfile string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(dockerfile) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "FROM" {
			switch fields[1] {
			case "debian:bookworm-slim":
				fields[1] = dockerBase(t, "zoo")
			case "golang:1.26":
				fields[1] = dockerBase(t, "golang")
			}
			line = strings.Join(fields, " ") + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

// cookbookOverride is the file that is laid over a page's compose.yaml.
func cookbookOverride(compose, image string, env []string) string {
	out := "networks: {default: {labels: " + cookbookLabels + "}}\nservices:\n"
	in, name := false, ""
	for line := range strings.Lines(compose) {
		line = strings.TrimRight(line, " \n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		word, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case line == "" || word[0] == '#':
		case indent == 0:
			in = word == "services"
		case in && indent == 2:
			name = word
			out += "  " + name + ":\n    labels: " + cookbookLabels + "\n"
			if name == "web" {
				out += "    environment:\n      SWAPINIT_IDLE_AFTER: 200ms\n"
				for _, e := range env {
					key, value, _ := strings.Cut(e, "=")
					out += fmt.Sprintf("      %s: %q\n", key, value)
				}
			}
		case in && indent == 4 && word == "build":
			out += "    image: " + image + "\n    build: {labels: " + cookbookLabels + "}\n"
		}
	}
	return out
}

// cookbookClean removes the images of this run.
func cookbookClean(t *testing.T) {
	out, err := exec.Command("docker", "images", "-q", "--filter", "label=swapinit.test.kind="+cookbookKind, "--filter", "label="+dockerRunLabel).Output()
	if err != nil {
		t.Errorf("docker images: %v", err)
	}
	if ids := strings.Fields(string(out)); len(ids) > 0 {
		slices.Sort(ids)
		if out, err := exec.Command("docker", append([]string{"rmi", "-f"}, slices.Compact(ids)...)...).CombinedOutput(); err != nil {
			t.Errorf("docker rmi: %v: %s", err, out)
		}
	}
}

// settled waits until a swap's predecessor has ended, or is the one that is kept.
func (r *cookbookRun) settled() {
	r.t.Helper()
	most := 1
	if r.keep {
		most = 2
	}
	r.awaitStatus("earlier generations are gone", func(s dockerStatus) bool { return len(s.Generations) <= most })
}

// swaps swaps once, which must succeed.
func (r *cookbookRun) swaps() {
	r.t.Helper()
	before, _ := r.status().active()
	if got := r.try(r.swapinit(), "swap"); got.Code != 0 {
		r.t.Fatalf("swap: %v", got)
	}
	if after, _ := r.status().active(); after <= before { // one that failed has had a number, too
		r.t.Fatalf("generation %d is active after a swap of generation %d", after, before)
	}
	r.settled()
}

// types does what a console shows: docker compose exec web, or logs; the output has the
// lines that it shows, whatever their numbers are.
func (r *cookbookRun) types(c pageCommand) error {
	r.t.Helper()
	line := strings.TrimPrefix(c.line, "docker compose ")
	var got dockerResult
	switch {
	case line == "up -d --build":
		return nil
	case line == "logs --no-log-prefix web":
		got = dockerTry(r.t, "logs", r.id)
	case strings.HasPrefix(line, "exec web "):
		// The reader's shell takes it apart.
		got = dockerCommand(r.t, exec.CommandContext(r.t.Context(), "sh", "-c", "docker exec "+r.id+" "+strings.TrimPrefix(line, "exec web ")))
	default:
		return errors.New("cannot be typed: " + c.line)
	}
	if want := 0; c.fails() {
		want = 1
		if got.Code != want {
			return fmt.Errorf("$ %s: %v, want status %d", c.line, got, want)
		}
	} else if got.Code != want {
		return fmt.Errorf("$ %s: %v, want status %d", c.line, got, want)
	}
	if missing := c.missing(got.Stdout + got.Stderr); len(missing) > 0 {
		return fmt.Errorf("$ %s\n%s\nmissing: %q\ngot: %v", c.line, strings.Join(c.output, "\n"), missing, got)
	}
	return nil
}
