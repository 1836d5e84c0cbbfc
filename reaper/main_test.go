package reaper

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// insideVar names the test that is to run in this process. A Reaper takes over
// the whole process, so each test that needs one runs in a process of its own.
const insideVar = "REAPER_TEST_INSIDE"

// isolated runs the calling test again in a new process, a child subreaper, and
// passes its outcome on. It is true in that process; elsewhere the caller has
// nothing left to do. setup may change how the process is started.
func isolated(t *testing.T, setup ...func(*exec.Cmd)) bool {
	t.Helper()
	if os.Getenv(insideVar) == t.Name() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		// The fatal signals are not to leave core files.
		if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := command(t)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second // for what a failed test leaves running
	for _, f := range setup {
		f(cmd)
	}
	err := cmd.Run()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("cannot start the test's process: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out.String())
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skip(out.String())
	}
	return false
}

// command is the calling test in a process of its own.
func command(t *testing.T) *exec.Cmd {
	t.Helper()
	name := strings.Split(t.Name(), "/")
	for i := range name {
		name[i] = "^" + name[i] + "$"
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run="+strings.Join(name, "/"), "-test.v", "-test.timeout=5m")
	if testing.Short() {
		cmd.Args = append(cmd.Args, "-test.short")
	}
	// The race detector's second of rest at the end is not needed.
	cmd.Env = append(os.Environ(), insideVar+"="+t.Name(), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	return cmd
}

// inPidNamespace makes the process PID 1 of its own pid namespace.
func inPidNamespace(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
}

// scaled is n, or less of it where time is short.
func scaled(n int) int {
	if raceEnabled || testing.Short() {
		return n / 10
	}
	return n
}

// forkFiles forks a command with the given files as its 0, 1, 2...
func forkFiles(argv []string, files ...uintptr) func() (int, int, error) {
	return func() (int, int, error) {
		fd := -1
		pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
			Env: os.Environ(), Files: files,
			Sys: &syscall.SysProcAttr{PidFD: &fd, Setpgid: true},
		})
		return pid, fd, err
	}
}

// fork forks a command that has nothing to read and whose output is stderr.
func fork(argv ...string) func() (int, int, error) {
	return func() (int, int, error) {
		null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		if err != nil {
			return 0, -1, err
		}
		defer syscall.Close(null)
		return forkFiles(argv, uintptr(null), 2, 2)()
	}
}

// sh forks a shell script.
func sh(script string) func() (int, int, error) { return fork("/bin/sh", "-c", script) }

// shPipe starts a shell script; what it writes to fd 3 comes out of the file.
func shPipe(t *testing.T, r *Reaper, script string) (*Process, *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	t.Cleanup(func() { in.Close() })
	return start(t, r, forkFiles([]string{"/bin/sh", "-c", script}, 0, 2, 2, out.Fd())), in
}

func start(t *testing.T, r *Reaper, f func() (int, int, error)) *Process {
	t.Helper()
	p, err := r.Start(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unheard is a Reaper that nobody tells of deaths: the test reaps.
func unheard() *Reaper {
	return &Reaper{pidfds: true, owned: map[int]*Process{}, orphans: make(chan orphan, maxOrphans)}
}

// locked calls f with the lock of r, as the goroutine that reaps does.
func locked(r *Reaper, f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// kick makes the Reaper look for dead children.
func kick() { _ = syscall.Kill(os.Getpid(), syscall.SIGCHLD) }

// wait waits for the end of p.
func wait(t *testing.T, p *Process) Exit {
	t.Helper()
	select {
	case e := <-p.Exited():
		return e
	case <-time.After(time.Minute):
		t.Fatalf("process %d: no exit", p.Pid())
		return Exit{}
	}
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// exited is the status of exit(code).
func exited(code int) Exit { return Exit{syscall.WaitStatus(code << 8), true} }

// killed is the status of a process that a signal ended.
func killed(sig syscall.Signal) Exit { return Exit{syscall.WaitStatus(sig), true} }

// keepsExits tells whether the kernel keeps the status with the pidfd.
func keepsExits(t *testing.T) bool {
	t.Helper()
	fd := -1
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &fd}})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	_, ok := exitInfo(fd)
	return ok
}
