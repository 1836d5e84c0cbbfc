package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// whatItSees prints everything that a process inherits. "env" goes last: the
// rest of the output is its values.
const whatItSees = `
umask
pwd
grep -E '^(Sig(Blk|Ign)|ShdPnd|Cap|Uid|Gid|Groups|NoNewPrivs|Seccomp|Cpus_allowed_list|Mems_allowed_list):' /proc/self/status
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/timerslack_ns /proc/self/personality /proc/self/cgroup
cut -d' ' -f 18,19,40,41 /proc/self/stat
echo "arguments $0 $*"
readlink /proc/self/fd/0
env | grep -vE '^(SWAPINIT_|NOTIFY_SOCKET=)' | sort
`

// The child sees what it would see without swapinit. It is run both ways with
// the same inheritance, and the two outputs are compared.
func TestTransparent(t *testing.T) {
	dir := tempDir(t)
	type inheritance struct {
		name string
		set  func(*opts)
	}
	cases := []inheritance{
		{"nothing special", func(*opts) {}},
		{"ignored signals", func(o *opts) {
			o.Ignore = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}
		}},
		{"HUP ignored, as under nohup", func(o *opts) { o.Ignore = []syscall.Signal{syscall.SIGHUP} }},
		{"umask", func(o *opts) { o.Umask = 0o137 }},
		{"niceness", func(o *opts) { o.Nice = 7 }},
		{"few files", func(o *opts) { o.NoFile = 123 }},
		{"many files", func(o *opts) { o.NoFile = 4096 }},
		{"a directory", func(o *opts) { o.Dir = dir }},
		{"an environment", func(o *opts) {
			o.Env = []string{"EMPTY=", "SPACES=a  b", "PATH=/bin:/usr/bin", "HOME=/nowhere", "GOGC=7", "GOMAXPROCS=1", "GODEBUG=madvdontneed=1", "_=x", "strange.name=1"}
		}},
		{"another user", func(o *opts) { o.Uid = 65534 }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.name == "another user" {
				needNamespaces(t)
				needUser(t, 65534)
			}
			look := func(bare bool, more ...string) string {
				o := opts{Bare: bare, Args: []string{"/bin/sh", "-c", whatItSees, "name", "a  b", ""}}
				tc.set(&o)
				o.Env = append(o.Env, more...)
				c := start(t, o)
				c.wantStatus(0)
				return c.Stdout()
			}
			want := look(true)
			if !strings.Contains(want, "SigIgn") {
				t.Fatalf("the comparison failed: %q", want)
			}
			same(t, want, look(false))
			// With the exec stage in between, which fills in LISTEN_PID.
			same(t, want, without(look(false, "SWAPINIT_LISTEN=tcp://"+web, "SWAPINIT_EXPORT=systemd", "SWAPINIT_ADOPT=off"), "LISTEN_"))
		})
	}
}

// without drops the lines that begin with prefix.
func without(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// same compares line by line.
func same(t *testing.T, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Errorf("line %d: with swapinit %q, without %q", i+1, b, a)
		}
	}
}

// A successor sees the same as the first generation.
func TestTransparentAfterSwap(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	o := opts{Env: []string{"SWAPINIT_READY=none", "SWAPINIT_SETTLE=0"}, Args: []string{"/bin/sh", "-c", whatItSees + "echo end; exec sleep 1000", "x"}}
	o.Ignore = []syscall.Signal{syscall.SIGHUP, syscall.SIGTTOU}
	o.Umask, o.Nice, o.NoFile, o.Dir = 0o027, 3, 200, dir
	c := start(t, o)
	c.awaitOut("end\n")
	c.Swap()
	await(t, "the second one", func() bool { return strings.Count(c.Stdout(), "end\n") == 2 })
	first, second, _ := strings.Cut(c.Stdout(), "end\n")
	same(t, first, strings.TrimSuffix(second, "end\n"))
}

// A child has fds 0-2 and what it was given, nothing else (NoLeaks).
func TestChildFds(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Args: []string{binary(t, "server"), "state"}})
	c.wantStatus(0)
	s := parseState(t, c.Stdout())
	for fd, target := range s.Fds {
		ready := mustEnv(s, "SWAPINIT_READY_FD") == itoa(fd) && strings.HasPrefix(target, "pipe:")
		channel := mustEnv(s, "SWAPINIT_CHANNEL_FD") == itoa(fd) && strings.HasPrefix(target, "socket:")
		if fd > 2 && !ready && !channel {
			t.Errorf("fd %d is %s", fd, target)
		}
	}
	for fd := range 3 {
		if s.Fds[fd] == "" {
			t.Errorf("fd %d is closed", fd)
		}
	}
	if s.SigBlk != "0000000000000000" {
		t.Errorf("SigBlk is %s", s.SigBlk)
	}
}
