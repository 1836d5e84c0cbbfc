package reaper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	goreaper "github.com/ramr/go-reaper"
)

func goStatus(pid int, ws syscall.WaitStatus) goreaper.Status {
	return goreaper.Status{Pid: pid, WaitStatus: ws}
}

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

func TestSiginfoAsWaitStatus(t *testing.T) {
	for _, c := range []struct {
		code, status int32
		want         syscall.WaitStatus
	}{
		{cldExited, 0, 0}, {cldExited, 3, 0x300}, {cldExited, 255, 0xff00},
		{2, 9, 9}, {2, 64, 64}, {cldDumped, 11, 0x8b},
	} {
		si := siginfo{code: c.code, status: c.status}
		if got := si.waitStatus(); got != c.want {
			t.Errorf("code %d status %d: %v, want %v", c.code, c.status, got, c.want)
		}
	}
}

// unheard is a Reaper that go-reaper tells nothing.
func unheard() *Reaper {
	return &Reaper{owned: map[int]*Process{}, late: map[int]struct{}{}}
}

// go-reaper not listening: the status is had from waitid.
func TestStatusNotCollected(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := unheard()
	if got := wait(t, start(t, r, sh("exit 5"))); got != exited(5) {
		t.Errorf("%v, want exit 5", got)
	}
	if got := wait(t, start(t, r, sh("kill -9 $$"))); got != killed(syscall.SIGKILL) {
		t.Errorf("%v, want killed", got)
	}
	if s := r.Stats(); s.Waitid != 2 || len(r.owned)+len(r.late) != 0 {
		t.Errorf("%+v, want 2 from waitid and nothing left", s)
	}
}

// steal reaps the process behind the Reaper's back.
func steal(t *testing.T, p *Process) {
	t.Helper()
	for {
		pid, err := syscall.Wait4(p.Pid(), nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid != p.Pid() {
			t.Fatalf("wait4: %d %v", pid, err)
		}
		return
	}
}

// Somebody else took the status: the kernel has it still, or it is unknown.
func TestStatusLost(t *testing.T) {
	if !isolated(t) {
		return
	}
	keeps := keepsExits(t)
	r := unheard()
	p := unwatched(t, r, sh("exit 5"))
	steal(t, p)
	go p.watch()
	got, s := wait(t, p), r.Stats()
	switch {
	case keeps && (got != exited(5) || s.Info != 1):
		t.Errorf("%v %+v, want exit 5 from the pidfd", got, s)
	case !keeps && (got.Known || s.Unknown != 1):
		t.Errorf("%v %+v, want unknown", got, s)
	}
	// Its status comes after all: it has been reported, it is no orphan.
	r.routeAll(goStatus(p.Pid(), exited(5).Status), nil)
	if s := r.Stats(); s.Late != 1 || s.Orphans != 0 {
		t.Errorf("%+v, want 1 late and no orphan", s)
	}
	// The next one with that pid is somebody else's.
	r.routeAll(goStatus(p.Pid(), exited(5).Status), nil)
	if s := r.Stats(); s.Late != 1 || s.Orphans != 1 {
		t.Errorf("%+v, want 1 late and 1 orphan", s)
	}
}

// go-reaper's channel is full while children die.
func TestStatusDropped(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{Buffer: -1})
	keeps := keepsExitsReaped(t, r)
	drop(t, r, fork("/bin/sleep", "1000"))
	if s := r.Stats(); keeps && s.Unknown != 0 {
		t.Errorf("%+v: unknown though the kernel keeps them", s)
	}
}

// drop has children die while the router stands still, until a status was
// dropped. (go-reaper's sends are goroutines: they may all come too late.)
func drop(t *testing.T, r *Reaper, f func() (int, int, error)) {
	t.Helper()
	before := r.Stats()
	eventually(t, "a status is dropped", func() bool {
		var ps []*Process
		for range 20 {
			ps = append(ps, start(t, r, f))
		}
		r.mu.Lock()
		for _, p := range ps {
			if err := p.Signal(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "no children are left", func() bool { return errors.Is(noChild(), syscall.ECHILD) })
		r.mu.Unlock()
		for _, p := range ps {
			if got := wait(t, p); got.Known && got != killed(syscall.SIGKILL) {
				t.Errorf("%v, want killed", got)
			}
		}
		s := r.Stats()
		return s.Info+s.Unknown > before.Info+before.Unknown
	})
}

// A status that bears a living process's pid is not its own.
func TestStatusOfAnEarlierBearer(t *testing.T) {
	if !isolated(t) {
		return
	}
	keeps := keepsExits(t)
	var orphans []int
	r := unheard()
	r.orphans = make(chan orphan, 10)
	p := unwatched(t, r, fork("/bin/sleep", "1000"))
	r.routeAll(goStatus(p.Pid(), exited(7).Status), nil)
	if s := r.Stats(); s.Stale != 1 || s.Orphans != 1 || s.Routed != 0 {
		t.Errorf("alive: %+v, want it refused", s)
	}

	// A zombie has not been waited for: not its own either.
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.awaitDeath()
	r.routeAll(goStatus(p.Pid(), exited(7).Status), nil)
	if s := r.Stats(); s.Stale != 2 || s.Orphans != 2 || s.Routed != 0 {
		t.Errorf("zombie: %+v, want it refused", s)
	}
	go p.watch()
	if got := wait(t, p); got != killed(syscall.SIGKILL) {
		t.Errorf("%v, want killed", got)
	}

	// Both dead, the wrong one's status comes first: the kernel knows.
	if keeps {
		q := unwatched(t, r, sh("exit 9"))
		steal(t, q)
		r.routeAll(goStatus(q.Pid(), exited(7).Status), nil)
		go q.watch()
		if got := wait(t, q); got != exited(9) {
			t.Errorf("%v, want exit 9", got)
		}
		r.routeAll(goStatus(q.Pid(), exited(9).Status), nil)
		if s := r.Stats(); s.Routed != 1 || s.Stale != 3 || s.Late != 1 {
			t.Errorf("%+v, want 3 stale and the true one swallowed", s)
		}
	}
	close(r.orphans)
	for o := range r.orphans {
		orphans = append(orphans, o.ws.ExitStatus())
	}
	if want := strings.Repeat("7 ", len(orphans)); len(orphans) == 0 || fmt.Sprintln(orphans) != "["+strings.TrimSpace(want)+"]\n" {
		t.Errorf("orphans %v, want only 7", orphans)
	}
}
