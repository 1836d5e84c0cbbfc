package reaper

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The SIGCHLDs of the first child and of others come as one, or before anybody
// listens.
func TestDeathAtStart(t *testing.T) {
	for range scaled(30) {
		t.Run("main and orphan together", func(t *testing.T) {
			if isolated(t) {
				r := New(Options{})
				if got := wait(t, start(t, r, sh("(exit 3) & exit 127"))); got != exited(127) {
					t.Errorf("%v, want exit 127", got)
				}
				eventually(t, "no children are left", func() bool { return errors.Is(noChild(), syscall.ECHILD) })
			}
		})
	}
}

// A zombie that was there before New, and no SIGCHLD ever after.
func TestEarlierZombie(t *testing.T) {
	if !isolated(t) {
		return
	}
	_, fd, err := sh("exit 7")()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	eventually(t, "a zombie", func() bool { return dead(fd) })
	reaped := make(chan int, 1)
	New(Options{Orphan: func(_ int, ws syscall.WaitStatus) { reaped <- ws.ExitStatus() }})
	select {
	case code := <-reaped:
		if code != 7 {
			t.Errorf("exit %d, want 7", code)
		}
	case <-time.After(time.Minute):
		t.Error("the zombie was not reaped")
	}
}

// The child is dead, and its status here, before its pid is known.
func TestExitBeforeRegistered(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{Orphan: func(pid int, ws syscall.WaitStatus) { t.Errorf("orphan %d %#x", pid, ws) }})
	for range 10 {
		p := start(t, r, func() (int, int, error) {
			pid, fd, err := sh("exit 11")()
			eventually(t, "the status arrives", func() (here bool) {
				locked(r, func() { _, here = r.early[pid] })
				return here
			})
			return pid, fd, err
		})
		if got := wait(t, p); got != exited(11) {
			t.Fatalf("%v, want exit 11", got)
		}
	}
}

func TestFailedFork(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	before := openFiles(t)
	for range 50 {
		p, err := r.Start(fork("/nonexistent"))
		if p != nil || err != syscall.ENOENT {
			t.Fatalf("%v %v, want the fork's own error", p, err)
		}
		if got := wait(t, start(t, r, sh("exit 4"))); got != exited(4) {
			t.Fatalf("%v, want exit 4", got)
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// A caller without a pidfd has one opened.
func TestStartWithoutPidfd(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := New(Options{})
	p := start(t, r, func() (int, int, error) {
		pid, fd, err := fork("/bin/sleep", "1000")()
		_ = unix.Close(fd)
		return pid, -1, err
	})
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got != killed(syscall.SIGTERM) {
		t.Errorf("%v, want TERM", got)
	}
}

// A callback that hangs holds up nothing, and memory stays bounded.
func TestOrphanCallbackHangs(t *testing.T) {
	if !isolated(t) {
		return
	}
	hang, entered := make(chan struct{}), make(chan int, 4*maxOrphans)
	r := New(Options{Orphan: func(pid int, _ syscall.WaitStatus) {
		entered <- pid
		<-hang
	}})
	const fake = 1 << 23 // above every pid
	locked(r, func() { r.route(fake, 0) })
	<-entered
	locked(r, func() {
		for i := range 3 * maxOrphans {
			r.route(fake+i, 0)
		}
	})
	if len(r.orphans) != maxOrphans {
		t.Errorf("%d orphans are kept, want %d", len(r.orphans), maxOrphans)
	}
	if got := wait(t, start(t, r, sh("exit 6"))); got != exited(6) {
		t.Errorf("%v, want exit 6", got)
	}
	close(hang)
}

// A storm during a fork is kept within bounds and given back after it.
func TestEarlyIsBounded(t *testing.T) {
	r := unheard()
	r.orphans = make(chan orphan, 3*maxEarly)
	locked(r, func() { r.route(1, 0) })
	if r.early != nil {
		t.Error("kept though nothing is being started")
	}
	_, err := r.Start(func() (int, int, error) {
		locked(r, func() {
			for i := range 2 * maxEarly {
				r.route(1+i, 0)
			}
		})
		if len(r.early) != maxEarly {
			t.Errorf("%d early statuses, want %d", len(r.early), maxEarly)
		}
		return 0, -1, os.ErrInvalid
	})
	if err != os.ErrInvalid {
		t.Errorf("%v, want the fork's error", err)
	}
	if r.early != nil || r.starting != 0 {
		t.Errorf("%d early, %d starting", len(r.early), r.starting)
	}
	if n := len(r.orphans); n != 2*maxEarly+1 {
		t.Errorf("%d orphans, want every one of %d", n, 2*maxEarly+1)
	}
}

// So many have died while it was started that its status was not kept: it has ended all
// the same, and the kernel may know how.
func TestEarlyStatusLost(t *testing.T) {
	if !isolated(t) {
		return
	}
	want := Exit{}
	if keepsExits(t) {
		want = exited(5)
	}
	for _, pidfds := range []bool{true, false} {
		r := unheard()
		r.pidfds = pidfds
		f := sh("exit 5")
		if !pidfds {
			f, want = withoutPidfd(f), Exit{}
		}
		p := start(t, r, func() (int, int, error) {
			pid, fd, err := f()
			if err != nil {
				t.Fatal(err)
			}
			steal(t, pid)
			return pid, fd, nil
		})
		if got := wait(t, p); got != want {
			t.Errorf("pidfds %v: %v, want %v", pidfds, got, want)
		}
		if len(r.owned) != 0 {
			t.Error("it is still owned")
		}
	}
}

func TestOneReaperAProcess(t *testing.T) {
	if isolated(t) {
		if New(Options{}) != New(Options{}) {
			t.Error("two reapers steal from each other")
		}
	}
}

// However many are dead, others get their turn with the lock.
func TestReapInBatches(t *testing.T) {
	if !isolated(t) {
		return
	}
	r := unheard()
	const all = 2*maxBatch + 1
	for range all {
		_, fd, err := fork("/bin/true")()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is dead", func() bool { return dead(fd) })
		_ = unix.Close(fd)
	}
	for _, left := range []int{all - maxBatch, all - 2*maxBatch, 0} {
		any, more := r.reap()
		if len(r.orphans) != all-left || !any || more != (left > 0) {
			t.Errorf("%d are reaped, any %v, more %v; want %d to be left", len(r.orphans), any, more, left)
		}
	}
	if any, more := r.reap(); any || more {
		t.Errorf("no children: any %v, more %v", any, more)
	}
}
