package pid1

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/spawn"
	"golang.org/x/sys/unix"
)

// statLine is a line of proc_pid_stat(5) with 52 fields.
func statLine(comm, head string, threads, start int) string {
	return "42 (" + comm + ") " + head + strings.Repeat(" 0", 13) + fmt.Sprintf(" %d 0 %d", threads, start) + strings.Repeat(" 0", 30) + "\n"
}

// parsed is what is to come out of statLine(comm, "S 7 40 30", 3, 9000).
var parsed = process{life: life{pid: 42, start: 9000}, ppid: 7, pgrp: 40, sid: 30, state: 'S', threads: 3}

func TestParseStat(t *testing.T) {
	for _, comm := range []string{"nginx", "", "a b", "a)", "((", ") R 1 1 1", "x) Z 99 99 99 0", "two\nlines", "tab\t)", strings.Repeat(")", 15)} {
		if p, ok := parseStat(42, []byte(statLine(comm, "S 7 40 30", 3, 9000))); !ok || p != parsed {
			t.Errorf("comm %q: %+v, %v, want %+v", comm, p, ok, parsed)
		}
	}
	for _, bad := range []string{"", "42", "42 (x", "42 (x)", "42 (x) S 7 40 30", statLine("x", "SS 7 40 30", 3, 9000), statLine("x", "S x 40 30", 3, 9000), statLine("x", "S 7 40 30", 3, -1), strings.Replace(statLine("x", "S 7 40 30", 3, 9000), " 0 0 0", " 0 -1 2129984", 1)} {
		if p, ok := parseStat(42, []byte(bad)); ok {
			t.Errorf("%q is taken for %+v", bad, p)
		}
	}
	p, ok := readProcess(os.Getpid())
	if !ok || p.ppid != os.Getppid() || p.pgrp != syscall.Getpgrp() || p.dead() || p.gone() {
		t.Errorf("we ourselves are read as %+v, %v", p, ok)
	}
}

// Threads of the kernel are seen where the tests run outside of a container.
func TestNoKernelThreads(t *testing.T) {
	for _, p := range snapshot() {
		if p.ppid == 2 && p.pgrp == 0 {
			t.Errorf("%+v", p)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("sh", []byte("42 (sh) S 1 2 3"))
	f.Add("a) R 9 9 9", []byte(statLine("x", "S 7 40 30", 3, 9000)))
	f.Fuzz(func(t *testing.T, comm string, line []byte) {
		parseStat(42, line) // must not panic
		if p, ok := parseStat(42, []byte(statLine(comm, "S 7 40 30", 3, 9000))); !ok || p != parsed {
			t.Errorf("comm %q: %+v, %v", comm, p, ok)
		}
	})
}

func TestDead(t *testing.T) {
	for _, c := range []struct {
		state   byte
		threads int
		dead    bool
	}{{'S', 1, false}, {'D', 1, false}, {'T', 1, false}, {'Z', 1, true}, {'X', 0, true}, {'Z', 4, false}} {
		if p := (process{state: c.state, threads: c.threads}); p.dead() != c.dead {
			t.Errorf("state %c with %d threads: dead is %v", c.state, c.threads, p.dead())
		}
	}
}

func TestDescends(t *testing.T) {
	parent := map[int]int{10: 1, 11: 10, 12: 11, 20: 0, 30: 31, 31: 30, 40: 39}
	for _, c := range []struct {
		pid, ancestor int
		want          bool
	}{{12, 10, true}, {10, 10, true}, {12, 1, true}, {10, 12, false}, {20, 1, false}, {30, 1, false}, {40, 1, false}, {99, 1, false}} {
		if got := descends(parent, c.pid, c.ancestor); got != c.want {
			t.Errorf("%d descends from %d: %v", c.pid, c.ancestor, got)
		}
	}
}

// Pids above the kernel's limit (2^22) belong to nobody: nothing is read of them.
const fake = 1 << 23

func TestMembers(t *testing.T) {
	own := os.Getpid()
	line := func(n, parent, group, session int) process {
		return process{life: life{fake + n, uint64(n)}, ppid: parent, pgrp: fake + group, sid: fake + session, state: 'S', threads: 1}
	}
	table := []process{
		line(1, own, 1, 1),    // the main process
		line(2, fake+1, 2, 2), // its child, in a session of its own
		line(3, fake+2, 3, 3), // its grandchild
		line(4, own, 1, 9),    // an orphan in its group
		line(5, own, 9, 1),    // an orphan in its session
		line(6, own, 9, 9),    // a stranger
		line(7, own, 7, 7),    // marked, as an earlier look has found
		line(8, own, 1, 1),    // marked by another generation
		{life: life{fake + 9, 9}, ppid: fake + 1, pgrp: fake + 1, state: 'Z', threads: 1}, // a zombie of the main process
		{life: life{fake + 10, 10}, ppid: own, pgrp: fake + 1, state: 'Z', threads: 1},    // an orphan's zombie: ours to reap
	}
	marks := map[life]mark{{fake + 7, 7}: marked, {fake + 8, 8}: foreign}
	i := testInit(t)
	w := testWorker(3)
	g := w.g
	check := func(when string, want ...int) {
		t.Helper()
		var got []int
		for _, p := range i.launcher.procs.members(g, table, marks) {
			got = append(got, p.pid-fake)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("not yet forked", 7)
	w.mainPid.Store(fake + 1)
	check("alive", 1, 2, 3, 4, 5, 7, 10)
	w.ended.Store(true)
	check("its number has a new bearer", 7)
	table = table[1:]
	check("ended", 4, 5, 7, 10)
}

// Whose messages are believed. Uids are the kernel's word; what others can feign counts
// for those only that are trusted.
func TestAccepts(t *testing.T) {
	if !alone(t) {
		return
	}
	const server, stranger = 4711, 4712
	i := reaping(t)
	dir := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir}
	marked := append(env, "SWAPINIT_GENERATION=3")
	main := start(t, i, env, `setsid sh -c 'echo $$ > $DIR/tmp; mv $DIR/tmp $DIR/child; exec sleep 1000' & wait`)
	feigns, neither := start(t, i, marked, "exec sleep 1000"), start(t, i, env, "exec sleep 1000")
	child := 0
	eventually(t, "the child, and the marks", func() bool {
		text, _ := os.ReadFile(dir + "/child")
		child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		_, seen := i.launcher.procs.mark(feigns.pid(), 3)
		return child != 0 && seen
	})
	check := func(what string, pid int, trusted, others bool) {
		t.Helper()
		for _, uid := range []uint32{0, server, uint32(os.Getuid())} {
			if got := i.launcher.procs.accepts(main.g, pid, uid, server); got != trusted {
				t.Errorf("%s, uid %d: %v", what, uid, got)
			}
		}
		if got := i.launcher.procs.accepts(main.g, pid, stranger, server); got != others {
			t.Errorf("%s, a stranger: %v", what, got)
		}
	}
	check("the main process", main.pid(), true, true)
	check("a child", child, true, true)
	check("marked", feigns.pid(), true, false)
	check("another's", neither.pid(), false, false)
	check("gone", fake, true, false)
	// The number of a main process that has ended can be anybody's.
	g := main.g
	main = &worker{g: g}
	main.mainPid.Store(int32(neither.pid()))
	main.ended.Store(true)
	g.workers[0].Store(main)
	check("the bearer of a number that was the main process's", neither.pid(), false, false)
	main.mainPid.Store(fake)
	main.ended.Store(false)
	check("the main process, which has gone", fake, true, true)
	if os.Getuid() == 0 {
		spec := spawn.Spec{Argv: []string{"sleep", "1000"}, Env: env, Files: []uintptr{0, 1, 2}, Tty: -1, User: &spawn.User{Uid: stranger, Gid: stranger}}
		_, p, err := i.launcher.spawn(&spec, 3, listen.Given{})
		if err != nil {
			t.Fatal(err)
		}
		main.mainPid.Store(int32(p.Pid()))
		check("gone, of the main process's uid", fake, true, true)
	}
	i.sweepers.killing.Store(true)
	i.sweepAll()
	<-i.posted
}

// What a process says of itself by its environment.
func TestMark(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	for _, c := range []struct {
		env  []string
		want mark
		seen bool
	}{
		{[]string{"A=1", "SWAPINIT_GENERATION=3"}, marked, true},
		{[]string{"SWAPINIT_GENERATION=33"}, foreign, true},
		{[]string{"SWAPINIT_GENERATION=3", "SWAPINIT_CONTROL=@another"}, foreign, true},
		{[]string{"XSWAPINIT_GENERATION=3"}, unmarked, true},
		{[]string{"SWAPINIT_GENERATION=3", "SWAPINIT_RESULT=ok"}, foreign, true},
		{nil, unmarked, false},
	} {
		w := start(t, i, c.env, "sleep 1000")
		eventually(t, strings.Join(c.env, " "), func() bool { // it may be in the middle of its exec
			m, seen := i.launcher.procs.mark(w.pid(), 3)
			return m == c.want && seen == c.seen
		})
		_ = w.proc.SignalGroup(syscall.SIGKILL)
		<-w.proc.Exited()
		if _, seen := i.launcher.procs.mark(w.pid(), 3); seen {
			t.Error("a mark of a process that is gone")
		}
	}
}

// Who runs counts, and so does a zombie. Only PID 1 can ask: the test is run again as one.
func TestNobodyElse(t *testing.T) {
	if os.Getenv(insideVar) != t.Name() {
		if nobodyElse() && os.Getpid() != 1 {
			t.Error("it is no PID 1, and believes that it is the last one")
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), insideVar+"="+t.Name(), namespaceVar+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Unshareflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.EPERM) {
			t.Skip("no pid namespace here: ", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	child := exec.Command("/bin/cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"at first", func() error { return nil }, true},
		{"with a child", child.Start, false},
		{"with a zombie", func() error {
			_ = in.Close()
			return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}, false},
		{"at last", child.Wait, true},
	} {
		if err := step.do(); err != nil {
			t.Fatal(step.what, err)
		}
		if got := nobodyElse(); got != step.want {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
	}
}
