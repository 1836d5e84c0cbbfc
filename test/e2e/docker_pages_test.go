//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Pages for readers who are new are run as they stand, with Docker, a section (##) a
// subtest. In a section, and in what precedes the first one,
//
//	`NAME`:            and the fenced block after it are a file in the reader's folder
//	```sh repo         are commands in this repository, a line each, which a \ at its end continues
//	```sh run          are commands in the reader's folder
//	```sh load         is a command in another terminal, which goes on
//	```text out        is what the command before it prints; numbers may differ
//
// What stands behind "  # " in a line is in what the command prints, in that order where
// there is a …; "exit status N: " before it says how it ends, 0 without; "soon: " that it is
// so after a while; and "the other terminal: TEXT" is what the load prints, and its end.
// Otherwise it prints nothing. Other blocks are for reading.
//
// The files before the first section are every section's. Nothing else is known of the
// pages but the names that they give to containers and images, and the port: a reader's
// machine is their own, and this one is not.
var dockerPages = map[string]int{ // and how many sections are run, 0: it is one
	"README.md":     0,
	"docs/start.md": 0,
	"docs/howto.md": 7,
	"docs/gate.md":  1,
}

func TestDockerPages(t *testing.T) {
	t.Parallel()
	for name, sections := range dockerPages {
		page, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		shared, found := pageSections(string(page))
		if sections == 0 {
			shared, found = "", []pageSection{{"as a whole", string(page)}}
		} else if len(found) != sections {
			t.Errorf("%s: %d sections have commands, want %d", name, len(found), sections)
		}
		for _, s := range found {
			if !often(filepath.Base(name) + " " + s.title) {
				continue
			}
			t.Run(filepath.Base(name)+" "+s.title, func(t *testing.T) {
				t.Parallel()
				newPageRun(t).run(shared + s.text)
			})
		}
	}
}

type pageSection struct{ title, text string }

// pageSections are those with commands; shared is what stands before the first one.
func pageSections(page string) (shared string, found []pageSection) {
	parts := strings.Split("\n"+page, "\n## ")
	for _, part := range parts[1:] {
		title, _, _ := strings.Cut(part, "\n")
		if strings.Contains(part, "\n```sh run\n") {
			found = append(found, pageSection{title, part})
		}
	}
	return parts[0] + "\n", found
}

// pageRun is one reader.
type pageRun struct {
	t    *testing.T
	dir  string // the reader's folder
	env  []string
	port string
	own  string // the image of one file
	host bool   // the server has the host's port: a gate is on its network
	out  string // of the last command
	end  func() // ends the other terminal's command; nil without one

	mu   sync.Mutex
	load bytes.Buffer // what the other terminal shows
	seen int
}

// pageClient stands in PATH before the docker client: what a page names has a name of this
// run's, and the labels by which tests know what is theirs.
const pageClient = `#!/bin/sh
before=
for word do
	shift
	case $before$word in
	web | swapinit | swapinit:* | gate | gate:* | blue | green) word=swapinit-test-${word%%:*}-@RUN@${word#"${word%%:*}"} ;;
	python:3-slim) word=@BASE@ ;;
	esac
	set -- "$@" "$word"
	before=
	if [ "$word" = --target ]; then before="a stage: "; fi
done
verb=$1
shift
case $verb in
run | create) set -- --label swapinit.test=1 --label @LABEL@ "$@" ;;
build) set -- --label swapinit.test=1 --label swapinit.test.kind=app "$@" ;;
volume)
	if [ "$1" = create ]; then
		shift
		set -- create --label swapinit.test=1 --label @LABEL@ "$@"
	fi
	;;
esac
exec @DOCKER@ "$verb" "$@"
`

// pageApt stands for apt-get in the image that stands for those of the pages: what a
// page installs is there already, and nothing comes from a network.
const pageApt = `#!/bin/sh
for word do
	case $word in
	update) exit 0 ;;
	install | -y | --no-install-recommends) ;;
	*) dpkg -s "$word" >/dev/null || exit 1 ;;
	esac
done
`

// pageBase is Debian with the packages of the pages.
func pageBase(t *testing.T) string {
	t.Helper()
	base := dockerBase(t, "servers")
	apt := write(t, filepath.Join(tempDir(t), "apt-get"), pageApt)
	if err := os.Chmod(apt, 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := pageImage("pages", base, "apt-get", apt, "/usr/local/bin/apt-get")
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// pageImage is an image with one more file, which is made once.
func pageImage(name, base, file, from, to string) (string, error) {
	return dockerImages.get(name, func() (string, error) {
		dir, err := os.MkdirTemp("", "swapinit-image-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		data, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, file), data, 0o755), os.WriteFile(filepath.Join(dir, "Dockerfile"),
			[]byte("FROM "+base+"\nLABEL swapinit.test=1 swapinit.test.kind=app\nCOPY "+file+" "+to+"\n"), 0o644)); err != nil {
			return "", err
		}
		sum, err := dockerHash(dir, base)
		if err != nil {
			return "", err
		}
		image := "swapinit-test/" + name + ":" + sum
		if exec.Command("docker", "image", "inspect", image).Run() == nil {
			return image, nil
		}
		if out, err := exec.Command("docker", "build", "-q", "-t", image, dir).CombinedOutput(); err != nil {
			return "", fmt.Errorf("docker build: %w\n%s", err, out)
		}
		return image, nil
	})
}

// pageBuilds is held by a build: many pages have the same Dockerfile, and only one that
// begins when another has ended finds its layers.
var pageBuilds sync.Mutex

var pageRuns struct {
	sync.Mutex
	n int
}

func newPageRun(t *testing.T) *pageRun {
	t.Helper()
	dockerNeed(t)
	client, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	pageRuns.Lock()
	pageRuns.n++
	id := dockerRunID + "-" + strconv.Itoa(pageRuns.n)
	pageRuns.Unlock()

	r := &pageRun{t: t, dir: tempDir(t), port: port}
	bin := tempDir(t)
	write(t, filepath.Join(bin, "docker"), strings.NewReplacer("@RUN@", id, "@LABEL@", dockerRunLabel, "@BASE@", pageBase(t), "@DOCKER@", client).Replace(pageClient))
	if err := os.Chmod(filepath.Join(bin, "docker"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DOCKER_BUILDKIT=0")

	r.own = "swapinit-test-swapinit-" + id
	t.Cleanup(func() {
		remove := []string{"rm", "-f", "-v", r.own}
		for _, name := range []string{"web", "blue", "green", "gate"} {
			mine := "swapinit-test-" + name + "-" + id
			remove = append(remove, mine)
			if logs, err := exec.Command("docker", "logs", mine).CombinedOutput(); t.Failed() && err == nil {
				t.Logf("logs of %s:\n%s", name, logs)
			}
		}
		_ = exec.Command("docker", remove...).Run()
		_ = exec.Command("docker", "rmi", "swapinit-test-web-"+id, r.own).Run()
		_ = exec.Command("docker", "volume", "rm", "swapinit-test-gate-"+id).Run()
	})
	return r
}

// make makes the image of one file, on pages that do not show how.
func (r *pageRun) make() {
	r.t.Helper()
	binaries, err := dockerBinaries()
	if err != nil {
		r.t.Fatal(err)
	}
	image, err := pageImage("page", "scratch", "swapinit", filepath.Join(binaries, "swapinit"), "/swapinit")
	if err != nil {
		r.t.Fatal(err)
	}
	docker(r.t, "tag", image, r.own)
}

// mine is a text of the page with what is this machine's.
func (r *pageRun) mine(text string) string {
	if r.host {
		text = strings.ReplaceAll(text, "http.server 8080", "http.server "+r.port)
	}
	return strings.NewReplacer(
		"--from=swapinit ", "--from="+r.own+" ",
		"FROM debian:bookworm-slim\n", "FROM "+pageBase(r.t)+"\n",
		"FROM python:3-slim\n", "FROM "+pageBase(r.t)+"\n",
		"127.0.0.1:8080", "127.0.0.1:"+r.port,
	).Replace(text)
}

var (
	pageBlock  = regexp.MustCompile("(?ms)(?:^`([^`\n]+)`:\n\n)?^```(\\w+)(?: (\\w+))?\n(.*?)^```$")
	pageNumber = regexp.MustCompile(`\d+(\.\d+)?( ?(ms|s|m|h)\d*s?\b)?`)
	pageBlank  = regexp.MustCompile(` +`)
)

func (r *pageRun) run(text string) {
	r.t.Helper()
	if !strings.Contains(text, "\n```sh repo\n") {
		r.make()
	}
	r.host = strings.Contains(text, "--network host")
	for _, m := range pageBlock.FindAllStringSubmatch(text, -1) {
		switch name, kind, use, block := m[1], m[2], m[3], m[4]; {
		case name != "":
			name = filepath.Join(r.dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				r.t.Fatal(err)
			}
			write(r.t, name, r.mine(block))
		case kind == "sh" && (use == "run" || use == "repo"):
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
				r.line(use, strings.TrimSpace(line))
			}
		case kind == "sh" && use == "load":
			r.start(strings.TrimSpace(block))
		case kind == "text" && use == "out":
			if got, want := shape(r.out), shape(block); got != want {
				r.t.Errorf("the page shows\n%s\nand the command printed\n%s", block, r.out)
			}
		case use != "":
			r.t.Fatalf("block %q of the page is of no kind that is known", kind+" "+use)
		}
	}
}

// shape is a text without its numbers, durations and the widths of columns.
func shape(text string) string {
	return strings.TrimSpace(pageBlank.ReplaceAllString(pageNumber.ReplaceAllString(text, "N"), " "))
}

func (r *pageRun) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", r.mine(line))
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

// start runs the other terminal's command, until end.
func (r *pageRun) start(line string) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := r.command(ctx, line)
	cmd.Stdout, cmd.Stderr = writer{r}, writer{r}
	if err := cmd.Start(); err != nil {
		stop()
		r.t.Fatal(err)
	}
	r.end = sync.OnceFunc(func() {
		stop()
		_ = cmd.Wait()
	})
	r.t.Cleanup(r.end)
}

// writer is the other terminal.
type writer struct{ r *pageRun }

func (w writer) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.load.Write(b)
}

// news is what the other terminal has shown since.
func (r *pageRun) news() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.load.String()[r.seen:]
	r.seen = r.load.Len()
	return text
}

// line runs a command.
func (r *pageRun) line(use, line string) {
	r.t.Helper()
	command, want, _ := strings.Cut(line, "  # ")
	command, want = strings.TrimSpace(command), strings.TrimSpace(want)
	if command == "" {
		return
	}
	other, isOther := strings.CutPrefix(want, "the other terminal: ")
	if isOther {
		want = ""
	}
	want, soon := strings.CutPrefix(want, "soon: ")
	code := 0
	if m := exiting.FindStringSubmatch(want); m != nil {
		code, _ = strconv.Atoi(m[1])
		want = strings.TrimPrefix(want, m[0])
	}
	if strings.HasPrefix(command, "docker build ") {
		if use == "repo" {
			dockerExample(r.t)
		}
		pageBuilds.Lock()
		defer pageBuilds.Unlock()
	}
	var got dockerResult
	good := func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 3*dockerPatience) // a build takes long on a busy machine
		defer cancel()
		cmd := r.command(ctx, command)
		if use == "repo" {
			cmd.Dir = "../.."
		}
		got = dockerCommand(r.t, cmd)
		rest, found := got.Stdout+got.Stderr, true
		r.out = rest
		for part := range strings.SplitSeq(want, "…") {
			_, rest, found = strings.Cut(rest, strings.TrimSpace(part))
			if !found {
				return false
			}
		}
		return got.Code == code
	}
	if soon {
		dockerEventually(r.t, want+" from "+command, good)
	} else if !good() {
		r.t.Fatalf("%s: %v, want status %d and %q", command, got, code, want)
	}
	if isOther {
		seen := ""
		dockerEventually(r.t, other+" in the other terminal", func() bool {
			seen += r.news()
			return strings.Contains(seen, other)
		})
		r.end()
		r.news()
	} else if news := r.news(); news != "" {
		r.t.Errorf("%s: the other terminal shows %q", command, news)
	}
}

// A page that is not what it says fails.
func TestDockerPagesNotice(t *testing.T) {
	shared, found := pageSections("# T\n\n`a/b`:\n\n```sh\nx\n```\n\n## One\n\n```sh run\ntrue\n```\n\n## Two\n\ntext\n")
	if len(found) != 1 || found[0].title != "One" || !strings.Contains(shared, "a/b") {
		t.Errorf("sections %q, shared %q", found, shared)
	}
	blocks := pageBlock.FindAllStringSubmatch(shared+found[0].text, -1)
	if len(blocks) != 2 || blocks[0][1] != "a/b" || blocks[0][4] != "x\n" || blocks[1][3] != "run" {
		t.Errorf("blocks %q", blocks)
	}
	if shape("ready after 229 ms, pid 19") != shape("ready after 1.2 s, pid 7") || shape("ready after 2 s") == shape("failed after 2 s") {
		t.Errorf("shape %q", shape("ready after 229 ms, pid 19"))
	}
}
