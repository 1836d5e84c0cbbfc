package reaper

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// ends is a list of ways to end: all exit codes, all signals that end a
// process which does not care.
func ends() (codes []int, signals []syscall.Signal) {
	for c := range 256 {
		codes = append(codes, c)
	}
	for s := syscall.Signal(1); s <= 64; s++ {
		switch s {
		case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH, // ignored
			syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU: // stop
		default:
			signals = append(signals, s)
		}
	}
	return codes, signals
}

const oracleVar = "REAPER_TEST_ORACLE"

// All exit codes and fatal signals come out as they do in a direct wait4 loop.
func TestStatusesAgainstWait4(t *testing.T) {
	if os.Getenv(oracleVar) != "" {
		wait4Loop(t)
		return
	}
	if isolated(t) {
		r := New(Options{})
		codes, signals := ends()
		for _, c := range codes {
			got := wait(t, start(t, r, sh(fmt.Sprint("exit ", c))))
			if got != exited(c) {
				t.Errorf("exit %d: %v", c, got)
			}
			fmt.Fprintf(os.Stderr, "exit %d: %#x\n", c, got.Status)
		}
		for _, s := range signals {
			p := start(t, r, fork("/bin/sleep", "1000"))
			if err := p.Signal(s); err != nil {
				t.Error(err)
			}
			got := wait(t, p)
			if got != killed(s) {
				t.Errorf("signal %d: %v", s, got)
			}
			fmt.Fprintf(os.Stderr, "signal %d: %#x\n", s, got.Status)
		}
		return
	}
	cmds := [2][]byte{}
	for i := range cmds {
		cmd := command(t)
		if i == 1 {
			cmd.Env = append(cmd.Env, oracleVar+"=1")
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for line := range bytes.Lines(out) {
			if bytes.HasPrefix(line, []byte("exit ")) || bytes.HasPrefix(line, []byte("signal ")) {
				cmds[i] = append(cmds[i], line...)
			}
		}
	}
	codes, signals := ends()
	if n := bytes.Count(cmds[1], []byte("\n")); n != len(codes)+len(signals) {
		t.Fatalf("the oracle has %d lines, want %d", n, len(codes)+len(signals))
	}
	if !bytes.Equal(cmds[0], cmds[1]) {
		t.Errorf("reaper:\n%s\nwait4:\n%s", cmds[0], cmds[1])
	}
}

// wait4Loop is the oracle: no reaper, one child after the other.
func wait4Loop(t *testing.T) {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		t.Fatal(err)
	}
	run := func(what string, f func() (int, int, error), sig syscall.Signal) {
		pid, fd, err := f()
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		if sig != 0 {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
		}
		var ws syscall.WaitStatus
		for {
			_, err = syscall.Wait4(pid, &ws, 0, nil)
			if err != syscall.EINTR {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(os.Stderr, "%s: %#x\n", what, ws)
	}
	codes, signals := ends()
	for _, c := range codes {
		run(fmt.Sprint("exit ", c), sh(fmt.Sprint("exit ", c)), 0)
	}
	for _, s := range signals {
		run(fmt.Sprint("signal ", int(s)), fork("/bin/sleep", "1000"), s)
	}
}

// steal reaps a process behind the Reaper's back.
func steal(t *testing.T, pid int) {
	t.Helper()
	for {
		got, err := syscall.Wait4(pid, nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || got != pid {
			t.Fatalf("wait4: %d %v", got, err)
		}
		return
	}
}

// A status that bears a process's pid and is not its own goes to nobody.
func TestStatusOfAnEarlierBearer(t *testing.T) {
	if !isolated(t) {
		return
	}
	keeps := keepsExits(t)
	r := unheard()
	refused := func(what string, p *Process) {
		t.Helper()
		locked(r, func() { r.settle(p, exited(7).Status) })
		select {
		case o := <-r.orphans:
			if o != (orphan{p.pid, exited(7).Status}) {
				t.Errorf("%s: orphan %v", what, o)
			}
		default:
			t.Errorf("%s: the status is the process's", what)
		}
	}
	p := start(t, r, fork("/bin/sleep", "1000"))
	refused("alive", p)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is dead", func() bool { return dead(p.fd) })
	refused("zombie", p) // it was not waited for
	r.reap()
	if got := wait(t, p); got != killed(syscall.SIGKILL) {
		t.Errorf("%v, want killed", got)
	}

	// The same while it is being started, where a number is all that is known.
	for _, pidfds := range []bool{true, false} {
		r.pidfds = pidfds
		gate, release, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		f := forkFiles([]string{"/bin/sh", "-c", "read x; exit 6"}, gate.Fd(), 2, 2)
		if !pidfds {
			f = withoutPidfd(f)
		}
		p := start(t, r, func() (int, int, error) {
			pid, fd, err := f()
			locked(r, func() { r.route(pid, exited(7).Status) })
			return pid, fd, err
		})
		gate.Close()
		if o := <-r.orphans; o != (orphan{p.pid, exited(7).Status}) {
			t.Errorf("orphan %v", o)
		}
		release.Close()
		eventually(t, "it is reaped", func() bool { any, _ := r.reap(); return any })
		if got := wait(t, p); got != exited(6) {
			t.Errorf("%v, want exit 6", got)
		}
	}

	// Both dead, the wrong one's status comes first: the kernel knows.
	if keeps {
		r.pidfds = true
		q := start(t, r, sh("exit 9"))
		steal(t, q.pid)
		refused("reaped", q)
		if got := wait(t, q); got != exited(9) {
			t.Errorf("%v, want exit 9", got)
		}
	}
}
