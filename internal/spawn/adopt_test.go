package spawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// install is the stage's in these tests. The last argument of the program says what it
// does; by default it opens a file that the parent can recognise.
func install() (int, error) {
	switch os.Args[len(os.Args)-1] {
	case "EBUSY":
		return -1, syscall.EBUSY
	case "none":
		return -1, nil
	}
	return unix.Open("/dev/full", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// adopting is a shell script with Adopt. word is for install.
func adopting(t *testing.T, word, script string) Spec {
	t.Helper()
	s := sh(script)
	s.Argv, s.Adopt = append(s.Argv, word), true
	null := uintptr(devNull(t))
	s.Files = []uintptr{null, null, null}
	return s
}

// started forks and execs.
func started(t *testing.T, s Spec) (*Child, error) {
	t.Helper()
	child, err := Fork(s)
	if err != nil {
		t.Fatal(err)
	}
	if child.Listener != -1 {
		t.Errorf("before Exec the listener is %d", child.Listener)
	}
	return child, child.Exec()
}

// What install returns comes to the parent, and to nobody else; the program runs.
func TestListener(t *testing.T) {
	before := openFiles(t)
	child, err := started(t, adopting(t, "", `! ls -l /proc/self/fd | grep -q -e full -e socket && exit 7`))
	if err != nil || child.NotAdopted != 0 || child.Listener < 3 {
		t.Fatalf("%v, %+v", err, child)
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", child.Listener))
	flags, failed := unix.FcntlInt(uintptr(child.Listener), unix.F_GETFD, 0)
	if link != "/dev/full" || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the listener is %s, %v, with flags %#x, %v", link, err, flags, failed)
	}
	if ws := wait(child); ws.ExitStatus() != 7 {
		t.Errorf("wait status %#x, want exit 7", ws)
	}
	unix.Close(child.Listener)
	if after := openFiles(t); after != before+1 { // devNull's
		t.Errorf("%d files open, before it were %d", after, before)
	}
}

// The program runs, too, where install fails, and the parent is told why.
func TestNotAdopted(t *testing.T) {
	child, err := started(t, adopting(t, "EBUSY", "exit 7"))
	if err != nil || child.Listener != -1 || child.NotAdopted != syscall.EBUSY {
		t.Errorf("%v, listener %d, %v; want EBUSY", err, child.Listener, child.NotAdopted)
	}
	if ws := wait(child); ws.ExitStatus() != 7 {
		t.Errorf("wait status %#x, want exit 7", ws)
	}
}

// Where install has succeeded and nothing came of it (the parent has no descriptor
// free, say), a program under a filter that nobody answers must not be left alone.
func TestListenerLost(t *testing.T) {
	child, err := started(t, adopting(t, "none", "exit 7"))
	fails(t, err, "fork", 125, nil, "the listener of its filter was lost")
	if child.Listener != -1 {
		t.Errorf("the listener is %d", child.Listener)
	}
	wait(child)
}

// install is called for nobody else: not without Adopt, and not before the stage of a
// program that waits for its file.
func TestAdoptOnlyWhenAsked(t *testing.T) {
	bothWays(t, func(t *testing.T, through func(Spec) Spec) {
		s := adopting(t, "", "exit 7")
		s.Adopt = false
		child, err := started(t, through(s))
		if err != nil || child.Listener != -1 || child.NotAdopted != 0 {
			t.Errorf("%v, %+v", err, child)
		}
		if ws := wait(child); ws.ExitStatus() != 7 {
			t.Errorf("wait status %#x, want exit 7", ws)
		}
	})
	// A file that is busy goes through the stage, which then has a listener only with Adopt.
	argv, _ := encodeRequest(&Spec{Path: "/x", Argv: []string{"x"}}, 3)
	if slices.ContainsFunc(argv, func(s string) bool { return strings.HasSuffix(s, "a") }) {
		t.Errorf("%q asks for it", argv)
	}
}

// A program that does not run leaves no listener behind.
func TestExecFailsAdopting(t *testing.T) {
	dir := t.TempDir()
	binary := write(t, filepath.Join(dir, "binary"), "\x7fELF\x00\x00", 0o755)
	missing := write(t, filepath.Join(dir, "script"), "#!/nowhere/sh\n", 0o755)
	for _, path := range []string{filepath.Join(dir, "none"), dir, binary, missing} {
		s := adopting(t, "", "")
		s.Path = path
		before := openFiles(t)
		child, err := started(t, s)
		var e *Error
		if !errors.As(err, &e) || e.Stage == "fork" || child.Listener != -1 {
			t.Errorf("%s: %v, listener %d", path, err, child.Listener)
		}
		if ws := wait(child); !ws.Exited() {
			t.Errorf("%s: wait status %#x", path, ws)
		}
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d files open, before it were %d", path, after, before)
		}
	}
}

// A child that is killed on its way to the program leaves no listener behind either.
func TestKilledAdopting(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "busy"), "#!/bin/sh\nexit 0\n", 0o755)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := adopting(t, "", "")
	s.Path = path
	before := openFiles(t)
	child, err := Fork(s)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(child.Pid, syscall.SIGKILL)
	err = child.Exec()
	wait(child)
	if child.Listener >= 0 { // it had come so far: then nothing tells a program from none
		unix.Close(child.Listener)
	} else if err == nil {
		t.Error("it runs, without a listener")
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, before it were %d", after, before)
	}
}

// Only the first descriptor is kept of those that come.
func TestTake(t *testing.T) {
	before := openFiles(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	null := devNull(t)
	child := &Child{Listener: -1, report: os.NewFile(uintptr(pair[0]), "stage")}
	for range 2 {
		if err := unix.Sendmsg(pair[1], encodeMessage(stepBegin, 0), unix.UnixRights(null, null, null), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(pair[1])
	data, err := child.read()
	if err != nil || len(data) != 2*messageSize || child.Listener < 0 {
		t.Errorf("%q, %v, listener %d", data, err, child.Listener)
	}
	child.report.Close()
	unix.Close(child.Listener)
	if after := openFiles(t); after != before+1 { // devNull's
		t.Errorf("%d files open, before it were %d", after, before)
	}
}
