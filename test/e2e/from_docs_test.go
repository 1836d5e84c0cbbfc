package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// The pages docs/from-*.md are run as they stand. Of their fenced blocks
//
//	```js NAME    is a file in the working directory
//	```sh start   is the command of a container, which ends the one before
//	```sh run     are commands in there, a line each
//
// What stands behind # in a line is in what the command prints, in that order
// where there is a …; "exit status N: " before it says how it ends, 0 without.
// A line with & at its end goes on until the block's end; the next one waits for
// its swap. Blocks of other kinds, or without a second word, are for reading.
func TestFromPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/from-*.md")
	if err != nil || len(pages) != 3 {
		t.Fatalf("pages %q, %v", pages, err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			needNode(t)
			(&reader{t: t, dir: tempDir(t)}).read(read(page))
		})
	}
}

// reader runs one page.
type reader struct {
	t    *testing.T
	dir  string
	c    *container // nil before the first start
	ran  []string   // every command
	over bool       // it was told to stop
}

var (
	block   = regexp.MustCompile("(?ms)^```(\\w+) (\\S+)\n(.*?)^```$")
	span    = regexp.MustCompile("`([^`\n]*)`")
	exiting = regexp.MustCompile(`^exit status (\d+)(?:: )?`)
)

func (r *reader) read(page string) {
	r.t.Helper()
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		switch kind, name, text := m[1], m[2], m[3]; {
		case kind != "sh":
			write(r.t, filepath.Join(r.dir, name), text)
		case name == "start":
			r.end()
			r.start(strings.TrimSpace(text))
		case name == "run":
			r.run(text)
		default:
			r.t.Fatalf("block %q of the page is neither start nor run", name)
		}
	}
	r.end()
	if len(r.ran) < 4 {
		r.t.Errorf("only %q was run: the test has gone blind", r.ran)
	}
	// The commands in the text and in its tables are among those that were run.
	for _, m := range span.FindAllStringSubmatch(page, -1) {
		if command := m[1]; strings.Contains(" "+command, " swapinit ") && !r.has(command) {
			r.t.Errorf("the page names %q, and does not run it", command)
		}
	}
}

// has reports whether a command was run, with or without more settings.
func (r *reader) has(command string) bool {
	for _, line := range r.ran {
		if line == command || strings.HasSuffix(line, " "+command) {
			return true
		}
	}
	return false
}

func (r *reader) start(command string) {
	r.t.Helper()
	r.ran = append(r.ran, command)
	// The settle time would be most of what this takes.
	env := []string{"SWAPINIT_SETTLE=0", "PATH=" + filepath.Dir(binary(r.t, "swapinit")) + ":" + strings.TrimPrefix(pathEnv, "PATH=")}
	r.c = start(r.t, opts{Bare: true, Env: env, Args: []string{"/bin/sh", "-c", "exec env " + command}, Config: ns.Config{Dir: r.dir}})
	r.over = false
	await(r.t, "the container to be healthy", func() bool {
		if r.c.ended() {
			r.t.Fatalf("%s: it has ended", command)
		}
		return r.c.catches(syscall.SIGCONT) && r.sh("swapinit health").Code == 0
	})
}

// end stops the container, if there is one.
func (r *reader) end() {
	r.t.Helper()
	if r.c == nil {
		return
	}
	if !r.over {
		r.c.Signal(syscall.SIGTERM)
	}
	r.c.wantStatus(0)
}

func (r *reader) command(line string) []string {
	return []string{"sh", "-c", "cd " + r.dir + " && " + line}
}

func (r *reader) sh(line string) result {
	r.t.Helper()
	return r.c.Exec(r.command(line)...)
}

// run runs the lines of a block.
func (r *reader) run(text string) {
	r.t.Helper()
	var behind []func()
	for line := range strings.Lines(text) {
		command, want, _ := strings.Cut(line, "# ")
		command, want = strings.TrimSpace(command), strings.TrimSpace(want)
		command, background := strings.CutSuffix(command, " &")
		r.ran = append(r.ran, command)
		switch {
		case background:
			before := r.lastSwap()
			done := make(chan result, 1)
			env := r.c.env
			args := r.command(command)
			go func() {
				got, err := r.c.tryExec(env, args...)
				if err != nil {
					got = result{Code: -1, Stderr: err.Error()}
				}
				done <- got
			}()
			await(r.t, "the swap of "+command, func() bool { return r.lastSwap() > before })
			behind = append(behind, func() { r.check(command, want, receive(r.t, command, done)) })
		case command == "swapinit stop":
			// The container may end before the verb that has told it to.
			_, _ = r.c.tryExec(r.c.env, r.command(command)...)
			r.over = true
		default:
			r.check(command, want, r.sh(command))
		}
	}
	for _, check := range behind {
		check()
	}
}

func (r *reader) lastSwap() int {
	r.t.Helper()
	if s := r.c.status(); s.LastSwap != nil {
		return s.LastSwap.Generation
	}
	return 0
}

func (r *reader) check(command, want string, got result) {
	r.t.Helper()
	code := 0
	if m := exiting.FindStringSubmatch(want); m != nil {
		code, _ = strconv.Atoi(m[1])
		want = strings.TrimPrefix(want, m[0])
	}
	if got.Code != code {
		r.t.Fatalf("%s: %v, want status %d", command, got, code)
	}
	var parts []string
	for part := range strings.SplitSeq(want, "…") {
		parts = append(parts, strings.TrimSpace(part))
	}
	inOrder(r.t, got.Stdout+got.Stderr, parts...)
}

// The pages cannot be run without the tables that they are about.
func TestFromPagesHaveTables(t *testing.T) {
	for page, words := range map[string][]string{
		"serverswap": {"readyFor", "onTakedown", "serverswap-deploy"},
		"liveswap":   {"-s`", "-f`", "-u`", "--pre-upgrade", "-k`", "-d`", "-m`", "-H`", "-z`", "-p`", "-a`"},
		"cluster":    {"SIGHUP", "BATCH=1", "download"},
	} {
		text, err := os.ReadFile("../../docs/from-" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(string(text), word) {
				t.Errorf("the page about %s says nothing about %s", page, word)
			}
		}
	}
}
