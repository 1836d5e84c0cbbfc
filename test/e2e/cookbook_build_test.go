//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The legacy builder makes a container for each line of a Dockerfile, and compares two whole
// file systems after it. With the storage drivers that work inside of a container that is
// seconds a line, and minutes a page. So a Dockerfile of one stage is built here in one
// container: its lines are a shell script, and what they set is set when that is committed.
// Those of several stages are built by docker, and so is nginx's, as the reader's are.

// cookbookImage is a Dockerfile of one stage, read.
type cookbookImage struct {
	from   string
	script string   // COPY, RUN and WORKDIR
	set    []string // the others, for docker commit --change
	stop   string   // STOPSIGNAL, which commit cannot change
}

// cookbookCopy does what COPY does, the files being in /context.
const cookbookCopy = `copy() {
	for to; do :; done
	case $# in 2) several= ;; *) several=1 ;; esac
	case $to in */ | . ) several=1 ;; esac
	if [ -n "$several" ]; then mkdir -p "$to"; else mkdir -p "$(dirname "$to")"; fi
	while [ $# -gt 1 ]; do
		case $1 in */. | . ) cp -R "$1/." "$to" ;; *) if [ -d "$1" ]; then mkdir -p "$to"; cp -R "$1/." "$to"; else cp "$1" "$to"; fi ;; esac
		shift
	done
}
`

// cookbookStage reads a Dockerfile; ok is false for one that docker has to build.
func cookbookStage(dockerfile string) (i cookbookImage, ok bool) {
	i.script = "set -e\n" + cookbookCopy
	dockerfile = strings.ReplaceAll(dockerfile, "\\\n", " ")
	dir, user := "/", false
	for line := range strings.Lines(dockerfile) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case line == "" || line[0] == '#':
		case word == "FROM" && i.from == "" && rest == "debian:bookworm-slim":
			i.from = rest
		case word == "WORKDIR":
			if dir = rest; !filepath.IsAbs(dir) {
				return i, false
			}
			i.script += "mkdir -p " + dir + "\ncd " + dir + "\n"
			i.set = append(i.set, line)
		case word == "COPY" && !strings.HasPrefix(rest, "--"):
			words := strings.Fields(rest)
			for n := range words[:len(words)-1] {
				words[n] = "/context/" + words[n]
			}
			i.script += "copy " + strings.Join(words, " ") + "\n"
		case word == "RUN" && !user && !strings.HasPrefix(rest, "["):
			i.script += "(" + rest + ")\n"
		case word == "ENV":
			i.script += "export " + rest + "\n"
			i.set = append(i.set, line)
		case word == "STOPSIGNAL":
			i.stop = rest
		case word == "USER", word == "CMD", word == "ENTRYPOINT", word == "EXPOSE", word == "HEALTHCHECK":
			user = user || word == "USER"
			i.set = append(i.set, line)
		default:
			return i, false
		}
	}
	return i, i.from != ""
}

// build makes the image of the files in dir.
func (i *cookbookImage) build(t *testing.T, dir, name string) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "build")
	write(t, script, i.script)
	create := []string{"create", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--label", "swapinit.test.kind=" + cookbookKind,
		"-v", dir + ":/context:ro", "-v", script + ":/build:ro", "--entrypoint", "/bin/sh"}
	if i.stop != "" {
		create = append(create, "--stop-signal", i.stop)
	}
	id := docker(t, append(create, dockerBase(t, "zoo"), "/build")...)
	defer docker(t, "rm", "-f", id)
	if out, err := exec.CommandContext(t.Context(), "docker", "start", "-a", id).CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	commit := []string{"commit", "--change", "CMD []", "--change", "ENTRYPOINT []"}
	for _, line := range i.set {
		commit = append(commit, "--change", line)
	}
	docker(t, append(commit, id, name)...)
}

// cookbookBuild builds what the services of a project run, one project at a time: several
// builds at once get in each other's way.
func cookbookBuild(t *testing.T, p *dockerComposeProject, page *cookbookPage, s *cookbookSection, dir, name string) {
	t.Helper()
	lock := filepath.Join(os.TempDir(), fmt.Sprintf("swapinit-cookbook-%d", os.Getuid()))
	if err := os.MkdirAll(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := dockerLock(lock)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if image, ok := cookbookStage(s.files["Dockerfile"]); ok && page.name != "nginx" {
		image.build(t, dir, name)
		return
	}
	p.do("build")
}
