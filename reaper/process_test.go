package reaper

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// number reads one number a line.
func number(t *testing.T, in *bufio.Reader) int {
	t.Helper()
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A stopped or continued child has not ended.
func TestStopIsNoExit(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	p := start(t, r, fork("/bin/sleep", "1000"))
	for range 20 {
		for _, c := range []struct {
			sig  syscall.Signal
			flag int
		}{{syscall.SIGSTOP, unix.WSTOPPED}, {syscall.SIGCONT, unix.WCONTINUED}} {
			if err := p.Signal(c.sig); err != nil {
				t.Fatal(err)
			}
			// Taken by hand, to know that it happened.
			if err := unix.Waitid(unix.P_PID, p.Pid(), nil, c.flag, nil); err != nil {
				t.Fatal(err)
			}
			kick()
		}
	}
	// A child that ends behind it has been reaped.
	wait(t, start(t, r, sh("exit 0")))
	select {
	case e := <-p.Exited():
		t.Errorf("an exit: %v", e)
	default:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got != killed(syscall.SIGKILL) {
		t.Errorf("%v, want killed", got)
	}
}

func TestSignalAfterDeath(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	p := start(t, r, sh("exit 0"))
	wait(t, p)
	for what, err := range map[string]error{
		"Signal": p.Signal(syscall.SIGTERM), "SignalGroup": p.SignalGroup(syscall.SIGTERM), "Signal 0": p.Signal(0),
	} {
		if !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: %v, want ESRCH", what, err)
		}
	}
	q := start(t, r, fork("/bin/sleep", "1000"))
	if err := q.Signal(99); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("signal 99: %v, want EINVAL", err)
	}
	if err := q.SignalGroup(99); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("signal 99 to the group: %v, want EINVAL", err)
	}
	if err := q.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	wait(t, q)
}

// killGroup is SignalGroup before Linux 6.9.
func killGroup(p *Process, sig syscall.Signal) (err error) {
	locked(p.reaper, func() {
		if err = syscall.ESRCH; !p.over {
			err = p.kill(-p.pid, sig)
		}
	})
	return err
}

// withoutPidfd forks as where there are none.
func withoutPidfd(fork func() (int, int, error)) func() (int, int, error) {
	return func() (int, int, error) {
		pid, fd, err := fork()
		_ = unix.Close(fd)
		return pid, -1, err
	}
}

// Without pidfds everything goes by number, as long as it is the process's own.
func TestWithoutPidfds(t *testing.T) {
	if !isolated(t) {
		return
	}
	if !pidfdsWork() {
		t.Fatal("the tests need pidfds")
	}
	r := New(Options{})
	r.pidfds = false
	all := make([]*Process, 100)
	for n := range all {
		all[n] = start(t, r, withoutPidfd(sh("exit "+strconv.Itoa(n))))
	}
	for n, p := range all {
		if got := wait(t, p); got != exited(n) {
			t.Errorf("%v, want exit %d", got, n)
		}
		for _, sent := range []error{p.Signal(0), p.SignalGroup(0)} {
			if !errors.Is(sent, syscall.ESRCH) {
				t.Errorf("a signal after the end: %v", sent)
			}
		}
	}
	for _, group := range []bool{false, true} {
		p := start(t, r, withoutPidfd(fork("/bin/sleep", "1000")))
		send := p.Signal
		if group {
			send = p.SignalGroup
		}
		if err := send(99); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("signal 99: %v, want EINVAL", err)
		}
		if err := send(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if got := wait(t, p); got != killed(syscall.SIGKILL) {
			t.Errorf("%v, want killed", got)
		}
	}
	// A child of ours can be adopted, nobody else can.
	pid, fd, err := fork("/bin/sleep", "1000")()
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	p, err := r.Adopt(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Adopt(pid); !errors.Is(err, errWatched) {
		t.Errorf("adopted twice: %v", err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if got := wait(t, p); got != killed(syscall.SIGTERM) {
		t.Errorf("%v, want killed", got)
	}
	if _, err := r.Adopt(os.Getppid()); err == nil || !strings.Contains(err.Error(), "no child") {
		t.Errorf("the parent is adopted: %v", err)
	}
}

// The whole group gets the signal, by either way, and nobody else.
func TestSignalGroup(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	for what, send := range map[string]func(*Process) error{
		"by pidfd": func(p *Process) error { return p.SignalGroup(syscall.SIGKILL) },
		"by pid":   func(p *Process) error { return killGroup(p, syscall.SIGKILL) },
	} {
		bystander := start(t, r, fork("/bin/sleep", "1000"))
		p, in := shPipe(t, r, "sleep 1000 3>&- & echo $! >&3; exec 3>&-; wait")
		member, err := r.Adopt(number(t, bufio.NewReader(in)))
		if err != nil {
			t.Fatal(err)
		}
		if err := send(p); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := wait(t, p); got != killed(syscall.SIGKILL) {
			t.Errorf("%s: leader %v, want killed", what, got)
		}
		if got := wait(t, member); got != killed(syscall.SIGKILL) {
			t.Errorf("%s: member %v, want killed", what, got)
		}
		if err := bystander.Signal(0); err != nil {
			t.Errorf("%s: bystander: %v", what, err)
		}
		_ = bystander.Signal(syscall.SIGKILL)
		wait(t, bystander)
	}
}

// One that leads no group gets it alone.
func TestSignalGroupOfNoLeader(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	leader, in := shPipe(t, r, "(sleep 1000 & echo $! >&3); exec sleep 1000")
	p, err := r.Adopt(number(t, bufio.NewReader(in)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SignalGroup(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if got := wait(t, p); got != killed(syscall.SIGTERM) {
		t.Errorf("%v, want TERM", got)
	}
	if err := leader.Signal(0); err != nil {
		t.Errorf("the leader of its group: %v", err)
	}
	_ = leader.Signal(syscall.SIGKILL)
	wait(t, leader)
}

// A daemon that forked twice has become our child.
func TestAdoptOrphan(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	for code := 1; code < 20; code++ {
		// The fifo that the orphan reads from is the second pipe's.
		gate, release, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("(sh -c 'echo $$ >&3; exec 3>&-; read x; exit %d' <&4 &) ; exit 0", code)
		parent := start(t, r, forkFiles([]string{"/bin/sh", "-c", script}, 0, 2, 2, out.Fd(), gate.Fd()))
		out.Close()
		gate.Close()
		pid := number(t, bufio.NewReader(in))
		in.Close()
		if got := wait(t, parent); got != exited(0) {
			t.Errorf("parent %v", got)
		}
		p, err := r.Adopt(pid)
		if err != nil {
			t.Fatal(err)
		}
		if p.Pid() != pid {
			t.Errorf("pid %d, want %d", p.Pid(), pid)
		}
		before := openFiles(t)
		if _, err := r.Adopt(pid); !errors.Is(err, errWatched) {
			t.Errorf("twice: %v, want %v", err, errWatched)
		}
		if after := openFiles(t); after != before {
			t.Errorf("twice: %d files open, %d before", after, before)
		}
		release.Close()
		if got := wait(t, p); got != exited(code) {
			t.Errorf("%v, want exit %d", got, code)
		}
	}
}

// One that is not our child: the kernel tells once its parent has reaped it.
func TestAdoptStranger(t *testing.T) {
	if !isolated(t) {
		return
	}
	keeps := keepsExits(t)
	r := New(Options{})
	for what, script := range map[string]string{
		"reaped":     "sleep 1000 & echo $! >&3; wait $!; echo $? >&3; read x; exit 1",
		"not reaped": "sleep 1000 & echo $! >&3; exec sleep 1000",
	} {
		gate, release, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		parent := start(t, r, forkFiles([]string{"/bin/sh", "-c", script}, gate.Fd(), 2, 2, out.Fd()))
		out.Close()
		gate.Close()
		p, err := r.Adopt(number(t, bufio.NewReader(in)))
		if err != nil {
			t.Fatal(err)
		}
		if what == "not reaped" {
			eventually(t, "its parent is no shell any more", func() bool {
				comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent.Pid()))
				return string(comm) == "sleep\n"
			})
		}
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		got := wait(t, p)
		want := Exit{}
		if keeps && what == "reaped" {
			want = killed(syscall.SIGTERM)
		}
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		if err := p.Signal(syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: signal after death: %v, want ESRCH", what, err)
		}
		release.Close()
		in.Close()
		_ = parent.Signal(syscall.SIGKILL)
		wait(t, parent)
	}
}

func TestAdoptNothing(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	dead := start(t, r, sh("exit 0"))
	wait(t, dead)
	before := openFiles(t)
	for _, pid := range []int{dead.Pid(), 0, -1, os.Getpid(), 1 << 30} {
		if p, err := r.Adopt(pid); err == nil {
			t.Errorf("pid %d: adopted %v", pid, p)
		} else if !strings.Contains(err.Error(), fmt.Sprint(pid)) {
			t.Errorf("pid %d: the error does not name it: %v", pid, err)
		}
	}
	if after := openFiles(t); after != before || r.starting != 0 {
		t.Errorf("%d files open, %d before; %d starting", after, before, r.starting)
	}
}

// Without the netpoller the pidfd is looked at now and then.
func TestFollowOutsideNetpoller(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := unheard()
	gate, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pid, fd, err := forkFiles([]string{"/bin/sh", "-c", "read x; exit 8"}, gate.Fd(), 2, 2)()
	gate.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	first := os.NewFile(uintptr(fd), "pidfd") // it knows each number once
	defer runtime.KeepAlive(first)
	p := &Process{pid: pid, fd: fd, reaper: r, exited: make(chan Exit, 1)}
	locked(r, func() {
		r.owned[pid] = p
		p.follow()
	})
	conn, err := p.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if conn.Read(func(uintptr) bool { return false }) == nil {
		t.Fatal("it is in the netpoller, this test is broken")
	}
	if p.look(true) {
		t.Error("it lives, and has an exit")
	}
	release.Close()
	eventually(t, "it is dead", func() bool { return dead(fd) })
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	want := Exit{}
	if keepsExits(t) {
		want = exited(8)
	}
	if got := wait(t, p); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
