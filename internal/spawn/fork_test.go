package spawn

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestForkStatus(t *testing.T) {
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		for _, n := range []int{0, 1, 7, 125, 126, 127, 255} {
			if out, ws, err := run(t, through(sh(fmt.Sprintf("echo ran; exit %d", n)))); err != nil || ws.ExitStatus() != n || out != "ran\n" {
				t.Errorf("exit %d: %v, status %d, output %q", n, err, ws.ExitStatus(), out)
			}
		}
		if _, ws, err := run(t, through(sh("kill -USR1 $$"))); err != nil || ws.Signal() != syscall.SIGUSR1 {
			t.Errorf("%v, wait status %#x, want a death by USR1", err, ws)
		}
		if out := mustRun(t, through(Spec{Path: "/bin/echo", Tty: -1})); out != "\n" {
			t.Errorf("without Argv: %q", out)
		}
	})
}

// The child leads a process group of its own, has exactly the files it was
// given, in that order, and is our child. It is looked at from outside while it
// waits for its stdin to end, once it has echoed something: its dynamic loader
// opens files too.
func TestForkFiles(t *testing.T) {
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		dir := t.TempDir()
		var files []*os.File
		for _, name := range []string{"a", "b", "c", "d"} {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		echo, stdout, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer echo.Close()
		defer stdout.Close()
		s := through(Spec{Path: "/bin/cat", Tty: -1, Files: []uintptr{r.Fd(), stdout.Fd()}})
		want := fmt.Sprintf("0 pipe:[%d]\n1 pipe:[%d]\n", inode(t, r), inode(t, stdout))
		// Numbers that cross each other, and one twice.
		for i, j := range []int{3, 0, 2, 1, 3} {
			s.Files = append(s.Files, files[j].Fd())
			want += fmt.Sprintf("%d %s\n", i+2, files[j].Name())
		}
		before := openFiles(t)
		child, err := Fork(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Exec(); err != nil {
			t.Fatal(err)
		}
		if flags, err := unix.FcntlInt(uintptr(child.PidFD), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the pidfd has flags %#x, %v: not close-on-exec", flags, err)
		}
		if pid := statusField(fmt.Sprintf("/proc/self/fdinfo/%d", child.PidFD), "Pid"); pid != strconv.Itoa(child.Pid) {
			t.Errorf("the pidfd is of process %s, the pid is %d", pid, child.Pid)
		}
		if _, err := w.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		if n, err := echo.Read(make([]byte, 1)); n != 1 {
			t.Fatal("no echo: ", err)
		}
		var got string
		proc := fmt.Sprintf("/proc/%d", child.Pid)
		list, err := os.ReadDir(proc + "/fd")
		if err != nil {
			t.Error(err)
		}
		for _, entry := range list {
			link, err := os.Readlink(proc + "/fd/" + entry.Name())
			if err != nil {
				t.Error(err)
			}
			got += entry.Name() + " " + link + "\n"
		}
		if got != want {
			t.Errorf("files\n%swant\n%s", got, want)
		}
		if pgid, err := syscall.Getpgid(child.Pid); err != nil || pgid != child.Pid {
			t.Errorf("process group %d, %v; want %d", pgid, err, child.Pid)
		}
		if ppid := statusField(proc+"/status", "PPid"); ppid != strconv.Itoa(os.Getpid()) {
			t.Errorf("the parent is %s, we are %d", ppid, os.Getpid())
		}
		w.Close()
		if ws := wait(child); ws.ExitStatus() != 0 {
			t.Errorf("exit status %d", ws.ExitStatus())
		}
		if after := openFiles(t); after != before-1 {
			t.Errorf("%d files open, want %d", after, before-1)
		}
	})
}

func inode(t *testing.T, f *os.File) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestForkRefuses(t *testing.T) {
	ok := []uintptr{0, 1, 2}
	for name, s := range map[string]Spec{
		"two files":   {Path: "/bin/true", Files: ok[:2]},
		"closed file": {Path: "/bin/true", Files: []uintptr{0, 1, ^uintptr(0)}},
		"bad file":    {Path: "/bin/true", Files: []uintptr{0, 1, 2, 99999}},
		"no terminal": {Path: "/bin/true", Files: ok, Tty: devNull(t)},
		"NUL in path": {Path: "/bin/\x00", Files: ok},
		"NUL in argv": {Path: "/bin/true", Argv: []string{"\x00"}, Files: ok},
		"NUL in env":  {Path: "/bin/true", Env: []string{"A=\x00"}, Files: ok},
	} {
		t.Run(name, func(t *testing.T) {
			if s.Tty == 0 {
				s.Tty = -1
			}
			bothWays(t, func(t *testing.T, through func(Spec) Spec) {
				before := openFiles(t)
				_, err := Fork(through(s))
				fails(t, err, "fork", 125, nil, "cannot start")
				if after := openFiles(t); after != before {
					t.Errorf("%d files open, before it were %d", after, before)
				}
			})
		})
	}
	_, err := Fork(Spec{Files: ok, Tty: -1})
	fails(t, err, "lookup", 127, syscall.ENOENT, `cannot find command "": its name is empty`)
}

func devNull(t *testing.T) int {
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// The terminal goes to the child before it runs, stdin or not, and from a
// process that is itself in the background, too.
func TestTerminal(t *testing.T) {
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	defer ptmx.Close()
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("cannot unlock the pseudo terminal: ", err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip("cannot name the pseudo terminal: ", err)
	}
	pts, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("cannot open the pseudo terminal: ", err)
	}
	defer pts.Close()

	cmd := helper("terminal")
	cmd.Stdin, cmd.Stderr = pts, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The terminal keeps the lines until somebody reads them.
	if _, err := ptmx.WriteString("one\ntwo\nthree\n"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range lines(stdout) {
		if pid, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(rest, "got ") && pid != "" {
			line = rest
		}
		got = append(got, line)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	count := map[string]int{}
	for _, line := range got {
		count[line]++
	}
	for line, n := range map[string]int{"foreground true <nil>": 3, "status 0": 3, "got one": 1, "got two": 1, "got three": 1} {
		if count[line] != n {
			t.Errorf("%q was printed %d times, want %d; all: %q", line, count[line], n, got)
		}
	}
}

// Still busy after half a second: that is an answer too, and Exec keeps it.
func TestExecFails(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "busy"), "#!/bin/sh\nexit 0\n", 0o755)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null := uintptr(devNull(t))
	child, err := Fork(Spec{Path: path, Files: []uintptr{null, null, null}, Tty: -1, PidVars: []string{"P"}})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, child.Exec(), "exec", 126, syscall.ETXTBSY, "still being written")
	if ws := wait(child); ws.ExitStatus() != 126 {
		t.Errorf("the failed stage ended with %#x", ws)
	}
}

// Busy for a moment only: both ways wait for it, in the stage. The file is
// closed once the stage pauses after a first refusal.
func TestBusyFile(t *testing.T) {
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		path := write(t, filepath.Join(t.TempDir(), "busy"), "#!/bin/sh\nexit 7\n", 0o755)
		null := uintptr(devNull(t))
		var err error
		for range 5 { // a loaded machine may let us miss the half second
			var f *os.File
			if f, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
				t.Fatal(err)
			}
			var child *Child
			child, err = Fork(through(Spec{Path: path, Files: []uintptr{null, null, null}, Tty: -1}))
			if err != nil {
				t.Fatal(err)
			}
			awaitPause(t, child)
			f.Close()
			err = child.Exec()
			if ws := wait(child); err == nil {
				if ws.ExitStatus() != 7 {
					t.Errorf("wait status %#x, want exit 7", ws)
				}
				return
			}
		}
		t.Error(err)
	})
}

// awaitPause returns when the stage has begun and all its threads sleep, or when
// it is gone.
func awaitPause(t *testing.T, c *Child) {
	t.Helper()
	raw, err := c.report.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		for err := unix.EINTR; err == unix.EINTR; {
			var e error
			_, e = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
			err, _ = e.(unix.Errno)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		asleep := true
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Pid))
		for _, task := range tasks {
			state := statusField(task, "State")
			asleep = asleep && !strings.HasPrefix(state, "R") && !strings.HasPrefix(state, "D")
		}
		if asleep {
			return
		}
	}
	t.Fatal("the stage never paused")
}

// The name of the stage is no command for users.
func TestStageByHand(t *testing.T) {
	for _, args := range [][]string{{}, {"v1", "5", "", "/bin/true"}, {"v2", "5", "", "/bin/true", "true"}, {"v1", "1", "", "/bin/true", "true"}, {"v1", "5", "99", "/bin/true", "true"}} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = append([]string{stageName}, args...)
		out, _ := output(cmd)
		if cmd.ProcessState.ExitCode() != 125 || !strings.Contains(out, "no command") || strings.Count(out, "\n") != 1 {
			t.Errorf("%q: exit %d, %q", cmd.Args, cmd.ProcessState.ExitCode(), out)
		}
	}
}
