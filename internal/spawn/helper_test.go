package spawn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/pristine"
	"golang.org/x/sys/unix"
)

// The test binary is also the exec stage, and, with SPAWN_TEST set, one of the
// programs that the tests start.
func TestMain(m *testing.M) {
	Stage(install)
	mode := os.Getenv("SPAWN_TEST")
	os.Unsetenv("SPAWN_TEST")
	switch mode {
	case "":
		pristine.Signals()
		// What we happen to inherit is closed by the init, not here.
		if err := unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			fmt.Fprintln(os.Stderr, "cannot set close-on-exec:", err)
			os.Exit(99)
		}
		os.Exit(m.Run())
	case "launch":
		launch()
	case "terminal":
		terminal()
	case "unprivileged":
		unprivileged()
	}
	fmt.Fprintf(os.Stderr, "unknown mode %q\n", mode)
	os.Exit(99)
}

// helper is a command that runs this binary in the given mode. The race
// detector would sleep a second at its exit.
func helper(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "SPAWN_TEST="+mode, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// launch does what the init does, for one child: it notes what is ignored,
// catches everything, forks, and exits with the child's status. "twice" puts a
// second such launcher in between.
func launch() {
	how, argv := os.Args[1], os.Args[2:]
	s := Spec{Path: argv[0], Argv: argv, Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Tty: -1}
	if how != "direct" {
		s.PidVars, s.Ignore = []string{"P"}, ignoredSignals()
	}
	if how == "twice" {
		s.Path = "/proc/self/exe"
		s.Argv = append([]string{"launcher", "stage"}, argv...)
		s.Env = append([]string{"SPAWN_TEST=launch"}, s.Env...)
	}
	if who := os.Getenv("SPAWN_TEST_USER"); who != "" {
		u, err := LookupUser(who)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(97)
		}
		s.User = u
	}
	c := make(chan os.Signal, 128)
	signal.Notify(c)
	child, err := Fork(s)
	if err == nil {
		err = child.Exec()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(98)
	}
	os.Exit(wait(child).ExitStatus())
}

// ignoredSignals reads the truth from the kernel.
func ignoredSignals() (list []syscall.Signal) {
	mask, _ := strconv.ParseUint(statusField("/proc/self/status", "SigIgn"), 16, 64)
	for sig := 1; sig <= 31; sig++ {
		if mask&(1<<(sig-1)) != 0 {
			list = append(list, syscall.Signal(sig))
		}
	}
	return list
}

func statusField(file, field string) string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func wait(c *Child) (ws syscall.WaitStatus) {
	for {
		_, err := syscall.Wait4(c.Pid, &ws, 0, nil)
		if err != syscall.EINTR {
			if c.PidFD >= 0 {
				syscall.Close(c.PidFD)
			}
			return ws
		}
	}
}

// sh is a Spec that runs a shell script with a small environment.
func sh(script string) Spec {
	return Spec{
		Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=" + defaultPath, "LC_ALL=C"}, Tty: -1,
	}
}

// bothWays runs f without and with the exec stage, which it forces with a pid
// variable that nobody looks at.
func bothWays(t *testing.T, f func(t *testing.T, through func(Spec) Spec)) {
	t.Run("direct", func(t *testing.T) { f(t, func(s Spec) Spec { return s }) })
	t.Run("stage", func(t *testing.T) {
		f(t, func(s Spec) Spec {
			s.PidVars = append(s.PidVars, "FORCE_STAGE")
			return s
		})
	})
}

// run starts s with stdin from /dev/null and returns what it wrote and how it
// ended, or why it could not be started.
func run(t *testing.T, s Spec) (string, syscall.WaitStatus, error) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if s.Files == nil {
		s.Files = []uintptr{null.Fd(), w.Fd(), w.Fd()}
	}
	child, err := Fork(s)
	w.Close()
	if err != nil {
		return "", 0, err
	}
	out, rerr := io.ReadAll(r)
	if rerr != nil {
		t.Error(rerr)
	}
	err = child.Exec()
	return string(out), wait(child), err
}

// mustRun is run for what has to exit 0.
func mustRun(t *testing.T, s Spec) string {
	t.Helper()
	out, ws, err := run(t, s)
	if err != nil || !ws.Exited() || ws.ExitStatus() != 0 {
		t.Fatalf("%s %q: %v, wait status %#x, output %q", s.Path, s.Argv, err, ws, out)
	}
	return out
}

// fails asserts the whole of an *Error.
func fails(t *testing.T, err error, stage string, status int, is error, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want an *Error", err)
		return
	}
	if e.Stage != stage || e.ExitStatus() != status || is != nil && !errors.Is(e, is) || !strings.Contains(e.Error(), text) {
		t.Errorf("stage %s, exit status %d, %v; want stage %s, exit status %d, %v, a text with %q",
			e.Stage, e.ExitStatus(), e, stage, status, is, text)
	}
	if strings.ContainsAny(e.Error(), "\n\r") || strings.HasSuffix(e.Error(), ".") {
		t.Errorf("%q is not one line without a full stop", e.Error())
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to change users")
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// terminal is run as a session leader with a controlling terminal: it gives the
// terminal to one child after the other. From the second on it is itself in the
// background.
func terminal() {
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0)
	null, err2 := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err := errors.Join(err, err2); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	c := make(chan os.Signal, 128)
	signal.Notify(c)
	for _, vars := range [][]string{nil, {"P"}, nil} {
		s := sh(`read line </dev/tty && echo "$$ got $line"`)
		s.Files = []uintptr{uintptr(null), 1, 2}
		s.Tty, s.PidVars = tty, vars
		child, err := Fork(s)
		if err == nil {
			err = child.Exec()
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		pgrp, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
		fmt.Println("foreground", pgrp == child.Pid, err)
		fmt.Println("status", wait(child).ExitStatus())
	}
	os.Exit(0)
}

// lines reads until the end of file.
func lines(r io.Reader) []string {
	var list []string
	for s := bufio.NewScanner(r); s.Scan(); {
		list = append(list, s.Text())
	}
	return list
}

// unprivileged is run as a user without any capability.
func unprivileged() {
	own := strconv.Itoa(os.Getuid())
	for _, who := range []string{own, own + ":" + strconv.Itoa(os.Getgid()), "listed", own + ":1", "1"} {
		for _, vars := range [][]string{nil, {"P"}} {
			// As if /etc/passwd had another gid for us than we run with.
			u, err := lookupUser(own, "listed:x:"+own+":1::/:", "")
			if who != "listed" {
				u, err = LookupUser(who)
			}
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			s := sh("exit 7")
			s.User, s.PidVars, s.Files = u, vars, []uintptr{0, 1, 2}
			child, err := Fork(s)
			if err == nil {
				err = child.Exec()
			}
			if err != nil {
				fmt.Println(who, err)
				continue
			}
			fmt.Println(who, wait(child).ExitStatus())
		}
	}
	os.Exit(0)
}

func output(cmd *exec.Cmd) (string, error) {
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err := cmd.Run()
	return buf.String(), err
}
