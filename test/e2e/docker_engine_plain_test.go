package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// Without a setting the engine's init is a plain one. These tests hold it to the one that
// Docker brings, docker-init, which is tini: each command is run under both, as PID 1 in
// namespaces of its own, and what comes of it is compared. docker_engine_test.go does
// the same in real containers, with Docker's own limits.

// dockerInit is the reference, found as dockerd finds it.
var dockerInit = sync.OnceValues(func() (string, error) {
	for _, dir := range []string{"/usr/local/libexec/docker", "/usr/libexec/docker", "/usr/local/lib/docker", "/usr/lib/docker"} {
		if path, err := exec.LookPath(dir + "/docker-init"); err == nil {
			return path, nil
		}
	}
	for _, name := range []string{"docker-init", "tini"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither docker-init nor tini is installed")
})

// engineInit is a copy of the released binary under the name by which dockerd starts it.
func engineInit(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(binary(t, "swapinit"))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(tempDir(t), "docker-init")
	if err := os.WriteFile(name, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// likeCase is a command that is run under both.
type likeCase struct {
	name  string
	args  []string // the command
	env   []string
	set   func(*opts)
	drive func(*container) // what is done to it from outside
	keys  func(*terminal)  // it has a terminal; the same
	own   bool             // the words on stderr are each one's own
}

// script is a case that a shell runs.
func script(name, text string, env ...string) likeCase {
	return likeCase{name: name, args: []string{"/bin/sh", "-c", text}, env: env}
}

// outcome runs a case under one init and says all that can be seen of it.
func (l *likeCase) outcome(t *testing.T, program string) string {
	t.Helper()
	o := opts{Program: program, Args: append([]string{"--"}, l.args...), Env: l.env, Early: true}
	if l.set != nil {
		l.set(&o)
	}
	var p *terminal
	if l.keys != nil {
		p = newTerminal(t)
		o = p.config(o)
	}
	c := start(t, o)
	if l.drive != nil {
		l.drive(c)
	}
	if p != nil {
		l.keys(p)
	}
	text := fmt.Sprintf("status %d\n", c.Wait()) + c.Stdout()
	if !l.own {
		text += "\n" + c.Stderr()
	}
	if p != nil {
		text += p.String()
	}
	return text
}

// A hundred commands and more.
func TestDockerEnginePlain(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	tini, err := dockerInit()
	if err != nil {
		skip(t, "docker", "%v", err)
	}
	ours := engineInit(t)
	cases := slices.Concat(likeStatus(t), likeState(t), likeSignals(), likeProcesses(), likeTerminal())
	if len(cases) < 100 {
		t.Errorf("only %d commands", len(cases))
	}
	t.Run("of", func(t *testing.T) {
		for _, l := range cases {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				same(t, l.outcome(t, tini), l.outcome(t, ours))
			})
		}
	})
}

// likeStatus is about how a command ends, or does not even begin.
func likeStatus(t *testing.T) (cases []likeCase) {
	for _, n := range []int{0, 1, 2, 3, 7, 42, 77, 100, 125, 126, 127, 128, 129, 143, 200, 254, 255} {
		cases = append(cases, script("exit "+itoa(n), "exit "+itoa(n)))
	}
	for sig := 1; sig <= 64; sig++ {
		switch sig {
		case 17, 18, 19, 20, 21, 22, 23, 28, 32, 33: // do not end a process, or are the C library's
			continue
		}
		if sig > 35 && sig != 50 && sig != 64 {
			continue
		}
		cases = append(cases, script("killed by "+itoa(sig), "ulimit -c 0; kill -"+itoa(sig)+" $$; exec sleep 1000"))
	}
	dir := tempDir(t)
	for name, text := range map[string]string{"plain": "echo \"$0|$1|$#\"; exit 3\n", "bang": "#!/bin/sh\necho \"$1|$#\"; exit 4\n", "empty": "", "closed": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"not in PATH", []string{"no-such-program"}},
		{"not there", []string{"/no/such/program"}},
		{"the empty command", []string{""}},
		{"not executable", []string{"/etc/passwd"}},
		{"not executable in PATH", []string{"closed"}},
		{"a directory", []string{"/usr"}},
		{"named like a verb", []string{"swap"}},
		{"named like another verb", []string{"version"}},
	} {
		cases = append(cases, likeCase{name: c.name, args: c.args, env: []string{"PATH=" + dir + ":/usr/bin:/bin"}, own: true})
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"true", []string{"true"}},
		{"a script", []string{dir + "/bang", "a b", ""}},
		{"a script without #!", []string{dir + "/plain", "a b"}},
		{"an empty script", []string{dir + "/empty"}},
		{"by PATH", []string{"bang", "x"}},
		{"in the directory", []string{"./bang", "y"}},
		{"arguments", []string{"printf", "[%s]", "", "a b", "-h", "--", "--version", "$HOME", "é\xff", "a\nb", `"\'`}},
		{"templates", []string{"printf", "[%s]", "{fd.web}", "{generation}", "{", "{fd.8080};", "\\{generation}"}},
		{"a long argument", []string{"sh", "-c", "echo ${#1}", "sh", strings.Repeat("x", 100_000)}},
		{"many arguments", append([]string{"sh", "-c", "echo $#", "sh"}, strings.Split(strings.Repeat("x", 10_000), "")...)},
		{"a flag as the first word of the command's", []string{"echo", "-v", "-g"}},
	} {
		cases = append(cases, likeCase{name: c.name, args: c.args, env: []string{"PATH=.:" + dir + "::/usr/bin:/bin"}, set: func(o *opts) { o.Dir = dir }})
	}
	return cases
}

// whatPlainSees is more than whatItSees: here not even the order of the environment
// differs, and no descriptor.
const whatPlainSees = whatItSees + `
tr '\0' '\n' </proc/self/environ
for f in /proc/$$/fd/*; do case ${f##*/} in 1|2) echo "fd ${f##*/}";; *) echo "fd ${f##*/} $(readlink $f | sed 's/:.*//')";; esac; done
read -r line </proc/$$/stat
set -- ${line##*) }
echo "parent $2, own group $(($3 - $$)), session $4, terminal $5"
`

// likeState is about what a command finds when it begins.
func likeState(t *testing.T) (cases []likeCase) {
	dir := tempDir(t)
	file := func() *os.File {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	three := []*os.File{file(), file(), file()}
	input, err := os.Open(write(t, dir+"/input", "one\ntwo\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close() })
	ignored := []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTSTP}
	for _, c := range []struct {
		name string
		env  []string
		set  func(*opts)
	}{
		{"nothing special", nil, nil},
		{"an environment", []string{"EMPTY=", "SPACES=a  b", "GOGC=7", "GOMAXPROCS=1", "_=x", "strange.name=1", "é=\xff", "NEWLINE=a\nb", "Z=1", "A=2"}, nil},
		{"templates in the environment", []string{"NGINX={fd.80};", "X={generation}", "Y={"}, nil},
		{"variables of systemd", []string{"LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x", "NOTIFY_SOCKET=/run/none", "WATCHDOG_USEC=1000000", "WATCHDOG_PID=1"}, nil},
		{"of other supervisors", []string{"SERVER_STARTER_PORT=80=3", "EINHORN_FD_0=3", "NODE_CHANNEL_FD=3"}, nil},
		{"of a swapinit above", []string{"SWAPINIT_GENERATION=3", "SWAPINIT_CONTROL=@none", "SWAPINIT_READY_FD=5", "SWAPINIT_WORKER=0", "SWAPINIT_CHANNEL_FD=6"}, nil},
		{"many variables", strings.Fields(strings.Repeat("V=", 1) + strings.Repeat("x", 60_000)), nil},
		{"a umask", nil, func(o *opts) { o.Umask = 0o137 }},
		{"niceness", nil, func(o *opts) { o.Nice = 7 }},
		{"few files", nil, func(o *opts) { o.NoFile = 123 }},
		{"many files", nil, func(o *opts) { o.NoFile = 4096 }},
		{"a directory", nil, func(o *opts) { o.Dir = dir }},
		{"ignored signals", nil, func(o *opts) { o.Ignore = ignored }},
		{"another user", nil, func(o *opts) { o.Uid = 65534 }},
		{"a file", nil, func(o *opts) { o.Files = three[:1] }},
		{"files", nil, func(o *opts) { o.Files = three }},
		{"files and ignored signals", nil, func(o *opts) { o.Files, o.Ignore = three, ignored }},
		{"a file for LISTEN_FDS", []string{"LISTEN_FDS=1", "LISTEN_PID=1"}, func(o *opts) { o.Files = three[:1] }},
	} {
		l := script("sees "+c.name, whatPlainSees, c.env...)
		l.set = c.set
		cases = append(cases, l)
	}
	if !ns.Mapped(65534) {
		cases = slices.DeleteFunc(cases, func(l likeCase) bool { return l.name == "sees another user" })
	}
	stdin := script("standard input", "cat; read x || echo end")
	stdin.args = []string{"cat"}
	stdin.set = func(o *opts) {
		o.Stdin = input
		if _, err := input.Seek(0, 0); err != nil {
			t.Error(err)
		}
	}
	return append(cases, stdin,
		script("standard output and error", "echo out; echo err >&2; exit 5"),
		script("files in /run, /tmp and /dev/shm", "ls -A /run /dev/shm; ls -A /tmp | grep -i swapinit"),
		script("sockets", "cat /proc/net/unix | wc -l"),
	)
}

// likeSignals is about signals to the init.
func likeSignals() (cases []likeCase) {
	for _, sig := range []int{1, 2, 3, 10, 12, 14, 15, 16, 24, 25, 26, 29, 30, 35, 40, 64} {
		cases = append(cases, likeCase{name: "signal " + itoa(sig) + " ends it", args: []string{"sleep", "1000"}, drive: func(c *container) {
			await(c.t, "sleep", func() bool { return procNamed(c, "sleep") != nil })
			c.awaitHandlers()
			await(c.t, "its end", func() bool {
				if !c.ended() {
					_ = c.box.Signal(syscall.Signal(sig)) // the last ones may have no handler yet
				}
				return c.ended()
			})
		}})
	}
	const deaf = `trap '' TERM; trap 'echo got HUP' HUP; trap 'echo got USR2; exit 9' USR2; echo up; while :; do sleep 0.01; done`
	cases = append(cases,
		likeCase{name: "TERM is ignored", args: []string{"/bin/sh", "-c", deaf}, drive: func(c *container) {
			c.awaitOut("up")
			c.Signal(syscall.SIGTERM)
			c.Signal(syscall.SIGHUP)
			c.awaitOut("got HUP")
			c.Signal(syscall.SIGTERM)
			c.Signal(syscall.SIGUSR2)
		}},
		likeCase{name: "TERM twice", args: []string{"/bin/sh", "-c", `trap 'n=$((n+1)); echo got TERM; [ $n = 2 ] && exit 6' TERM; echo up; while :; do sleep 0.01; done`}, drive: func(c *container) {
			c.awaitOut("up")
			c.Signal(syscall.SIGTERM)
			c.awaitOut("got TERM")
			c.Signal(syscall.SIGTERM)
		}},
		// The kernel keeps the signal for a process that is stopped; nobody wakes it.
		likeCase{name: "TERM while it is stopped", args: []string{"/bin/sh", "-c", "kill -STOP $$; exit 8"}, drive: func(c *container) {
			var stopped *proc
			await(c.t, "a stopped process", func() bool { stopped = procNamed(c, "sh"); return stopped != nil && stopped.State == "T" })
			c.Signal(syscall.SIGTERM)
			await(c.t, "TERM to wait for it", func() bool { return pending(stopped.Host, syscall.SIGTERM) })
			if p := procNamed(c, "sh"); p == nil || p.State != "T" {
				c.t.Errorf("it does not stand still any more: %+v", p)
			}
			c.Signal(syscall.SIGCONT)
		}},
	)
	// The child ends when it gets the signal, and with it the parent. Its sleep is in the
	// background, because a shell says what signal has killed one that it waits for.
	group := []string{"/bin/sh", "-c", `trap 'echo parent' USR1; (trap 'exit 0' USR1; sleep 1000 & echo up; wait) & until wait; do :; done; exit 3`}
	usr1 := func(c *container) {
		c.awaitOut("up")
		c.Signal(syscall.SIGUSR1)
		c.awaitOut("parent")
	}
	return append(cases,
		likeCase{name: "TINI_KILL_PROCESS_GROUP", args: group, env: []string{"TINI_KILL_PROCESS_GROUP=1"}, drive: usr1},
		likeCase{name: "only the process", args: group, drive: func(c *container) {
			usr1(c)
			c.Signal(syscall.SIGTERM)
		}},
	)
}

// awaitHandlers waits until ours, whose child runs, has a handler for the signals that
// hardly anybody sends: it gets them some time after its start, in the order of their
// numbers, and TTOU's is one that shows. docker-init has no handlers, it waits for signals.
func (c *container) awaitHandlers() {
	c.t.Helper()
	await(c.t, "handlers", func() bool { return c.field("SigCgt") == "0000000000000000" || c.catches(syscall.SIGTTOU) })
}

// pending reports whether sig waits for a process.
func pending(pid int, sig syscall.Signal) bool {
	mask, err := strconv.ParseUint(procField(pid, "ShdPnd"), 16, 64)
	return err == nil && mask&(1<<(sig-1)) != 0
}

// likeProcesses is about what a command leaves behind.
func likeProcesses() []likeCase {
	const none = `n=0; while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do n=$((n+1)); [ $n -gt 2000 ] && exit 1; sleep 0.01; done; echo no zombie`
	return []likeCase{
		script("an orphan", `sh -c 'sleep 0 &'; `+none),
		script("orphans", `for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'sleep 0 & sleep 0 & sleep 0 &'; done; `+none),
		script("orphans that fork", `sh -c '(sh -c "sleep 0 & sleep 0 &" &) &'; `+none),
		script("an orphan in a session of its own", `setsid sh -c 'sleep 0 &'; setsid -f true; `+none),
		script("its parent is the init", `sh -c 'sh -c "until [ \$(cut -d\" \" -f 4 /proc/\$\$/stat) = 1 ]; do sleep 0.01; done; echo adopted" & ' | cat`),
		script("a zombie of its own", `sh -c 'sh -c "exit 3" & exec sleep 0.05'; `+none),
		script("a child that goes on", `sleep 1000 & exit 4`),
		script("a child of another session that goes on", `setsid -f sleep 1000; exit 5`),
		script("a child that is stopped", `sh -c 'kill -STOP $$' & exit 6`),
		script("it ends with its standard output open elsewhere", `(sleep 1000) 2>/dev/null & echo out; exit 7`),
		script("a pipe", `yes | head -n 1; exit 2`),
	}
}

// likeTerminal is about docker run -t.
func likeTerminal() (cases []likeCase) {
	on := func(name, text string, keys func(*terminal)) {
		l := script("terminal: "+name, text)
		l.keys = keys
		cases = append(cases, l)
	}
	const who = `read -r line </proc/$$/stat; set -- ${line##*) }; echo "session $4, foreground $(($6 - $$))"; stty -a | grep -o 'isig\|tostop\|icanon'; test -t 0 && test -t 1 && test -t 2 && echo all; `
	on("it has the foreground", who+"echo up", func(p *terminal) { p.await("up") })
	on("a line", "read x; echo got-$x; exit 5", func(p *terminal) { p.press("hello\n"); p.await("got-hello") })
	on("of /dev/tty", "exec </dev/null; echo up; read x </dev/tty; echo got-$x", func(p *terminal) { p.await("up"); p.press("hello\n"); p.await("got-hello") })
	for key, name := range map[string]string{"\x03": "INT", "\x1c": "QUIT"} {
		on(name+" by key", "trap 'echo; echo got "+name+"; exit 4' "+name+"; echo up; while :; do :; done", func(p *terminal) {
			p.await("up")
			p.press(key)
			p.await("got " + name)
		})
	}
	on("output of the background", "stty tostop; (echo back >/dev/tty); exit 3", func(p *terminal) { p.await("back") })
	return cases
}

// Each signal is forwarded, or dropped, as by docker-init. The exceptions, those which a
// Go program never sees or needs for itself, are documented.
func TestDockerEngineSignals(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	tini, err := dockerInit()
	if err != nil {
		skip(t, "docker", "%v", err)
	}
	got := map[string][]string{}
	for _, program := range []string{tini, engineInit(t)} {
		got[program] = forwarded(t, program)
	}
	want := got[tini]
	if len(want) < 40 {
		t.Fatalf("docker-init forwards only %q", want)
	}
	delete(got, tini)
	for _, ours := range got {
		for _, sig := range want {
			exception := slices.Contains([]string{"13", "23", "27", "34"}, sig)
			if slices.Contains(ours, sig) == exception {
				t.Errorf("signal %s: forwarded %v", sig, !exception)
			}
		}
		for _, sig := range ours {
			if !slices.Contains(want, sig) {
				t.Errorf("signal %s is forwarded, and not by docker-init", sig)
			}
		}
	}
	page := read("../../docs/engine-init.md")
	if !strings.Contains(page, "PIPE, URG, PROF and 32 to 34") {
		t.Error("docs/engine-init.md does not tell which are not")
	}
}

// forwarded sends every signal to an init and lists those that its child got.
func forwarded(t *testing.T, program string) (list []string) {
	t.Helper()
	const catch = `i=1; while [ $i -le 64 ]; do case $i in 9|17|19|32|33) ;; *) trap "echo got $i." $i;; esac; i=$((i+1)); done
		trap 'echo got 15.; exit 0' 15; echo up; while :; do sleep 0.01; done`
	c := start(t, opts{Program: program, Args: []string{"--", "/bin/sh", "-c", catch}, Early: true})
	c.awaitOut("up")
	c.awaitHandlers()
	await(t, "the last one", func() bool {
		c.Signal(64)
		return strings.Contains(c.Stdout(), "got 64.")
	})
	usr1 := func() {
		before := strings.Count(c.Stdout(), "got 10.")
		c.Signal(syscall.SIGUSR1)
		await(t, "USR1 to arrive", func() bool { return strings.Count(c.Stdout(), "got 10.") > before })
	}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGUSR1, syscall.SIGTERM, 32, 33: // the last two no shell can catch
			continue
		}
		c.Signal(sig)
		await(t, "it to be taken", func() bool { return !pending(c.box.Pid(), sig) })
		if sig == syscall.SIGCONT {
			usr1() // the signals that stop, which are next, would remove one that waits
			usr1()
		}
	}
	// Signals overtake each other, by their numbers; none of those before is missing
	// when the second of two has arrived.
	usr1()
	usr1()
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	for line := range strings.Lines(c.Stdout()) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "got "); ok {
			list = append(list, strings.TrimSuffix(n, "."))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// What differs: processes that are left get TERM and their time, as under swapinit.
func TestDockerEngineLeftovers(t *testing.T) {
	t.Parallel()
	const text = `setsid sh -c 'trap "sleep 0.1; echo finished >>$0; exit" TERM; echo up >$0; while :; do sleep 0.01; done' $0 &
		until [ -s $0 ]; do sleep 0.01; done; exit 3`
	out := filepath.Join(tempDir(t), "out")
	c := start(t, opts{Program: engineInit(t), Args: []string{"--", "/bin/sh", "-c", text, out}})
	c.wantStatus(3)
	if got := read(out); !strings.Contains(got, "finished") {
		t.Errorf("what was left did not get its time: %q", got)
	}
}

// With any setting it is swapinit as always: HUP swaps, the verbs answer, and a name that
// is none is told.
func TestDockerEngineWithSettings(t *testing.T) {
	t.Parallel()
	program := engineInit(t)
	c := start(t, opts{Program: program, Env: []string{"SWAPINIT_READY=none", "SWAPINIT_SETTLE=0"}, Args: []string{"--", "sleep", "1000"}})
	c.Signal(syscall.SIGHUP)
	await(t, "the swap", func() bool {
		r := c.Exec(program, "status", "--json")
		return r.Code == 0 && strings.Contains(r.Stdout, `"last_swap":{"generation":2,"ok":true`)
	})
	if r := c.Exec(program, "swap"); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	r := c.Exec(program, "swap", "now")
	oneLine(t, r.Stderr, "accepted: "+program+" swap ")
	c.Signal(syscall.SIGTERM)
	c.wantStatus(143)

	c = start(t, opts{Program: program, Env: []string{"SWAPINIT_LITSEN=:80"}, Args: []string{"--", "true"}})
	c.wantStatus(125)
	oneLine(t, c.Stderr(), "did you mean SWAPINIT_LISTEN?")
	c = start(t, opts{Program: program, Env: []string{"SWAPINIT_XYZZY_PLUGH=:80"}, Args: []string{"--", "true"}})
	c.wantStatus(125)
	oneLine(t, c.Stderr(), `"`+program+` help" lists all`)
}
