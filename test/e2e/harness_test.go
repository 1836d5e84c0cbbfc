package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// patience is how long anything may take. It is a net against hangs, and never
// what a test asserts.
const patience = 5 * time.Minute

const pathEnv = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// opts is what a test changes about its container. The zero value is a PID 1
// in namespaces of its own, without endpoints.
type opts struct {
	Env  []string // besides PATH
	Args []string // swapinit's: flags and the command

	Program string // another copy of swapinit

	Plain bool // no namespaces: swapinit is a subreaper
	Early bool // start returns at the exec already
	Bare  bool // without swapinit: Args is the whole command, for comparison
	ns.Config
}

// container is swapinit and everything under it.
type container struct {
	t        *testing.T
	box      *ns.Container
	env      []string
	dir      string // for files that the test and the container share
	out, err string // paths of what was printed
}

// start starts a container and returns when swapinit handles signals and has a
// child, so that the verbs find it (or when it has ended already). It ends with the
// test.
func start(t *testing.T, o opts) *container {
	t.Helper()
	if !o.Plain {
		needNamespaces(t)
	}
	dir := tempDir(t)
	c := &container{t: t, dir: dir, out: filepath.Join(dir, "stdout"), err: filepath.Join(dir, "stderr")}
	c.env = ns.LastWins(append([]string{pathEnv}, o.Env...))
	cfg := o.Config
	cfg.Namespaces = !o.Plain
	cfg.Env = c.env
	cfg.Path, cfg.Args = binary(t, "swapinit"), o.Args
	if o.Program != "" {
		cfg.Path = o.Program
	}
	if o.Bare {
		cfg.Path, cfg.Args = o.Args[0], o.Args[1:]
	}
	if cfg.Stdout == nil {
		cfg.Stdout = appendTo(t, c.out)
		defer cfg.Stdout.Close()
	}
	if cfg.Stderr == nil {
		cfg.Stderr = appendTo(t, c.err)
		defer cfg.Stderr.Close()
	}
	box, err := ns.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.box = box
	t.Cleanup(c.end)
	await(t, "swapinit to run", func() bool { return c.ended() || box.Running() })
	if !o.Bare && !o.Early {
		await(t, "swapinit to handle signals", func() bool { return c.ended() || c.catches(syscall.SIGCONT) && c.parent() })
	}
	return c
}

// end kills what is left, and shows what was printed if the test failed.
func (c *container) end() {
	for _, p := range c.Procs() {
		if p.Host != c.box.Pid() {
			_ = syscall.Kill(p.Host, syscall.SIGKILL)
		}
	}
	c.box.Kill()
	if c.t.Failed() {
		c.t.Logf("standard output:\n%s", c.Stdout())
		c.t.Logf("standard error:\n%s", c.Stderr())
	}
}

// tempDir is t.TempDir, but open to every user and with a short path: it holds
// Unix sockets.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func appendTo(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// await polls until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !poll(cond) {
		t.Fatalf("waited %v for %s", patience, what)
	}
}

// poll reports whether cond held within the patience.
func poll(cond func() bool) bool {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

func (c *container) ended() bool {
	select {
	case <-c.box.Done():
		return true
	default:
		return false
	}
}

// Wait waits until swapinit has ended and returns its exit status.
func (c *container) Wait() int {
	c.t.Helper()
	select {
	case <-c.box.Done():
	case <-time.After(patience):
		c.t.Fatalf("swapinit did not end within %v; processes: %v", patience, c.Procs())
	}
	status := c.box.Status()
	if !status.Exited() {
		c.t.Fatalf("swapinit was killed by signal %d", status.Signal())
	}
	return status.ExitStatus()
}

// wantStatus waits for the end and compares the exit status.
func (c *container) wantStatus(want int) {
	c.t.Helper()
	if got := c.Wait(); got != want {
		c.t.Fatalf("exit status %d, want %d", got, want)
	}
}

func (c *container) Signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.box.Signal(sig); err != nil {
		c.t.Fatalf("cannot send %v: %v", sig, err)
	}
}

func (c *container) Procs() []ns.Proc { return c.box.Procs() }

func (c *container) Stdout() string { return read(c.out) }
func (c *container) Stderr() string { return read(c.err) }

func read(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// awaitOut waits until a line with text was printed on standard output.
func (c *container) awaitOut(text string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%q on standard output", text), func() bool { return strings.Contains(c.Stdout(), text) })
}

func (c *container) awaitErr(text string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%q on standard error", text), func() bool { return strings.Contains(c.Stderr(), text) })
}

// wantOrder fails unless the texts appear on standard output one after the
// other.
func (c *container) wantOrder(texts ...string) {
	c.t.Helper()
	inOrder(c.t, c.Stdout(), texts...)
}

func inOrder(t *testing.T, in string, texts ...string) {
	t.Helper()
	rest := in
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("no %q after what precedes it in %q: %q", text, texts, in)
		}
		rest = after
	}
}

func (c *container) wantNever(text string) {
	c.t.Helper()
	if strings.Contains(c.Stdout(), text) {
		c.t.Fatalf("%q on standard output", text)
	}
}

// catches reports whether swapinit has a handler for sig. Most handlers are
// installed by the Go runtime before main begins; the one of CONT only by
// signal.Notify, so that it shows when swapinit itself begins to listen.
func (c *container) catches(sig syscall.Signal) bool {
	mask, err := strconv.ParseUint(c.field("SigCgt"), 16, 64)
	return err == nil && mask&(1<<(sig-1)) != 0
}

// parent reports whether swapinit has a child. It has opened its endpoints and its
// control socket before.
func (c *container) parent() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.box.Pid()))
	return slices.ContainsFunc(threads, func(name string) bool { return read(name) != "" })
}

// field is a line of /proc/PID/status of swapinit.
func (c *container) field(name string) string { return procField(c.box.Pid(), name) }

func procField(pid int, name string) string {
	for line := range strings.Lines(read(fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// result is what a command inside the container did.
type result struct {
	Stdout, Stderr string
	Code           int
}

func (r result) String() string {
	return fmt.Sprintf("status %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
}

// Exec runs a command inside, as docker exec does, with the container's
// environment.
func (c *container) Exec(args ...string) result {
	c.t.Helper()
	return c.execEnv(c.env, args...)
}

func (c *container) execEnv(env []string, args ...string) result {
	c.t.Helper()
	r, err := c.tryExec(env, args...)
	if err != nil {
		c.t.Fatalf("cannot run %q: %v", args, err)
	}
	return r
}

// tryExec is execEnv for other goroutines than the test's.
func (c *container) tryExec(env []string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := c.box.Command(ctx, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0) {
		return result{}, fmt.Errorf("%w: %s%s", err, out.String(), errs.String())
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, nil
}

// Verb runs a control verb inside.
func (c *container) Verb(args ...string) result {
	c.t.Helper()
	return c.Exec(append([]string{binary(c.t, "swapinit")}, args...)...)
}

// Swap runs the verb swap and fails the test unless it worked.
func (c *container) Swap(args ...string) {
	c.t.Helper()
	if r := c.Verb(append([]string{"swap"}, args...)...); r.Code != 0 {
		c.t.Fatalf("swap %q: %v", args, r)
	}
}

// later runs a verb that is expected to take until the test lets it go on.
func (c *container) later(args ...string) <-chan result {
	c.t.Helper()
	done := make(chan result, 1)
	env, full := slices.Clone(c.env), append([]string{binary(c.t, "swapinit")}, args...)
	go func() {
		r, err := c.tryExec(env, full...)
		if err != nil {
			r = result{Code: -1, Stderr: err.Error()}
		}
		done <- r
	}()
	return done
}

// receive takes the result of later.
func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// file is the path of a file that the test and the container share.
func (c *container) file(name string) string { return filepath.Join(c.dir, name) }

// write creates a file with text.
func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// oneLine fails unless text is exactly one line that contains all words.
func oneLine(t *testing.T, text string, words ...string) {
	t.Helper()
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("want one line, got %q", text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not mention %q", text, w)
		}
	}
}

type proc = ns.Proc

// procNamed finds a process by its name.
func procNamed(c *container, name string) *proc {
	for _, p := range c.Procs() {
		if p.Name == name {
			return &p
		}
	}
	return nil
}
