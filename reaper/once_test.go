package reaper

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Every child that dies is reaped, its status reported once, to its owner; no
// signal ever reaches a recycled pid.
func TestEveryChildOnce(t *testing.T) {
	t.Run("as subreaper", func(t *testing.T) {
		if isolated(t) {
			everyChildOnce(t, true, scaled(3000))
		}
	})
	t.Run("without pidfds", func(t *testing.T) {
		if isolated(t) {
			everyChildOnce(t, false, scaled(1000))
		}
	})
	t.Run("as PID 1", func(t *testing.T) {
		if isolated(t, inPidNamespace) {
			everyChildOnce(t, true, scaled(300))
		}
	})
	t.Run("recycled pid", func(t *testing.T) {
		if isolated(t, inPidNamespace) {
			recycledPid(t)
		}
	})
}

// everyChildOnce starts n children with known ends, some at once with orphans
// that die at the same time, some beside failing execs.
func everyChildOnce(t *testing.T, pidfds bool, n int) {
	const orphansEach = 3
	var mu sync.Mutex
	reported := map[int]int{} // orphans by exit code
	r := New(Options{Orphan: func(_ int, ws syscall.WaitStatus) {
		mu.Lock()
		reported[ws.ExitStatus()]++
		mu.Unlock()
	}})
	r.pidfds = pidfds
	like := func(f func() (int, int, error)) func() (int, int, error) {
		if pidfds {
			return f
		}
		return withoutPidfd(f)
	}
	before := openFiles(t)

	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				if i%20 == 0 {
					if _, err := r.Start(like(fork("/nonexistent"))); !errors.Is(err, syscall.ENOENT) {
						t.Errorf("failing exec: %v", err)
					}
				}
				// Orphans exit 200, children anything but.
				want, script := exited(i%200), fmt.Sprintf("exit %d", i%200)
				if i%10 == 0 {
					want, script = killed(syscall.SIGKILL), "kill -9 $$"
				}
				p, err := r.Start(like(sh(strings.Repeat("(exit 200) & ", orphansEach) + script)))
				if err != nil {
					t.Error(err)
					continue
				}
				if got := wait(t, p); got != want {
					t.Errorf("child %d: %v, want %v", i, got, want)
				}
				select {
				case e := <-p.Exited():
					t.Errorf("child %d: a second exit, %v", i, e)
				default:
				}
			}
		})
	}
	wg.Wait()

	// The shell may have waited for an orphan itself. What may not be is a zombie.
	eventually(t, "no children are left", func() bool { return errors.Is(noChild(), syscall.ECHILD) })
	eventually(t, "an orphan is reported", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return reported[200] > 0
	})
	mu.Lock()
	defer mu.Unlock()
	for code, k := range reported {
		if code != 200 && code != 253 { // 253: the Go runtime's, after a failed exec
			t.Errorf("%d children with exit code %d, which had an owner, reported as orphans", k, code)
		}
	}
	if reported[200] > n*orphansEach {
		t.Errorf("%d orphans reported, there were %d", reported[200], n*orphansEach)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.owned) != 0 || r.early != nil || r.starting != 0 {
		t.Errorf("left behind: %d owned, %d early, %d starting", len(r.owned), len(r.early), r.starting)
	}
}

// noChild is ECHILD when there are no children, dead or alive. It takes none.
func noChild() error {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
}

// held is a duplicate of p's pidfd.
func held(t *testing.T, p *Process) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return dup
}

func openFiles(t *testing.T) int {
	t.Helper()
	n := 0
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// recycledPid gives the pid of a dead process to a new one at once, and then
// sends signals to the dead one.
func recycledPid(t *testing.T) {
	const lastPid = "/proc/sys/kernel/ns_last_pid" // of the writer's namespace
	r := New(Options{})
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var old, ghost, heir *Process
	eventually(t, "a pid is reused", func() bool { // threads of this process take numbers too
		old = start(t, r, fork("/bin/sleep", "1000"))
		// The test's own hold on the dead process: a Process still open when
		// the number has its next bearer.
		ghost = &Process{pid: old.Pid(), fd: held(t, old), reaper: r}
		if err := old.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, old); got != killed(syscall.SIGKILL) {
			t.Fatalf("%v, want killed", got)
		}
		if err := os.WriteFile(lastPid, []byte(strconv.Itoa(old.Pid()-1)), 0); err != nil {
			t.Skipf("cannot force the reuse of a pid: %v", err)
		}
		heir = start(t, r, forkFiles([]string{"/bin/sh", "-c", "read x; exit $x"}, in.Fd(), 2, 2))
		if heir.Pid() == old.Pid() {
			return true
		}
		unix.Close(ghost.fd)
		if err := heir.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		wait(t, heir)
		return false
	})
	defer unix.Close(ghost.fd)
	in.Close()

	for _, p := range []*Process{old, ghost} {
		for what, send := range map[string]func(syscall.Signal) error{
			"Signal": p.Signal, "SignalGroup": p.SignalGroup,
			"killGroup": func(sig syscall.Signal) error { return killGroup(p, sig) },
		} {
			if err := send(syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("%s to the dead process: %v, want ESRCH", what, err)
			}
		}
	}
	// A status of its is not the heir's either.
	locked(r, func() { r.settle(heir, exited(7).Status) })
	fmt.Fprintln(out, 42)
	out.Close()
	if got := wait(t, heir); got != exited(42) {
		t.Errorf("heir of the pid: %v, want exit 42", got)
	}
}
