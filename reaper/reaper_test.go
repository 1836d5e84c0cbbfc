package reaper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goreaper "github.com/ramr/go-reaper"
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
	eventually(t, "a zombie", func() bool { return waitable(fd) })
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
	for i := range 10 {
		p := start(t, r, func() (int, int, error) {
			before := r.Stats().Received
			pid, fd, err := sh("exit 11")()
			eventually(t, "the status arrives", func() bool { return r.Stats().Received > before })
			return pid, fd, err
		})
		if got := wait(t, p); got != exited(11) {
			t.Fatalf("%v, want exit 11", got)
		}
		if s := r.Stats(); s.Early != i+1 {
			t.Fatalf("%+v, want %d early", s, i+1)
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
	hang, entered := make(chan struct{}), make(chan struct{}, 1)
	r := New(Options{Orphan: func(int, syscall.WaitStatus) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-hang
	}})
	const fake = 1 << 23 // above every pid
	r.routeAll(goStatus(fake, 0), nil)
	<-entered
	for i := range 3 * maxOrphans {
		r.routeAll(goStatus(fake+i, 0), nil)
	}
	if s := r.Stats(); s.Dropped != 2*maxOrphans {
		t.Errorf("%+v, want %d dropped", s, 2*maxOrphans)
	}
	if got := wait(t, start(t, r, sh("exit 6"))); got != exited(6) {
		t.Errorf("%v, want exit 6", got)
	}
	close(hang)
}

// A storm during a fork is kept within bounds and given back after it.
func TestEarlyIsBounded(t *testing.T) {
	r := unheard()
	r.routeAll(goStatus(1, 0), nil)
	if r.early != nil {
		t.Error("kept though nothing is being started")
	}
	_, err := r.Start(func() (int, int, error) {
		for i := range 2 * maxEarly {
			r.routeAll(goStatus(1+i, 0), nil)
		}
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
	if s := r.Stats(); s.Orphans != 2*maxEarly+1 {
		t.Errorf("%d orphans, want every one of %d", s.Orphans, 2*maxEarly+1)
	}
	for i := range 3 * maxLate {
		r.swallow(i)
	}
	if len(r.late) > maxLate {
		t.Errorf("%d late pids, want %d at most", len(r.late), maxLate)
	}
}

// What is no end of a process is no status.
func TestRouteIgnores(t *testing.T) {
	r := unheard()
	bad := goStatus(5, 0)
	bad.Err = syscall.EINVAL
	r.routeAll(bad, nil)
	r.routeAll(goStatus(-1, 0), nil)
	r.routeAll(goStatus(5, 0x137f), nil) // stopped
	r.routeAll(goStatus(5, 0xffff), nil) // continued
	if s := r.Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing counted", s)
	}
}

func TestOneReaperAProcess(t *testing.T) {
	if isolated(t) {
		if New(Options{}) != New(Options{}) {
			t.Error("two reapers steal from each other")
		}
	}
}

// go-reaper prints when it drops a status. That must not reach fd 1, and not
// matter when stderr is broken or full.
func TestPrints(t *testing.T) {
	for _, stderr := range []string{"file", "broken", "full"} {
		t.Run(stderr, func(t *testing.T) {
			if os.Getenv(insideVar) == t.Name() {
				dropSome(t)
				return
			}
			cmd := command(t)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			unblock := func() {}
			if stderr == "file" {
				out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
				if err != nil {
					t.Fatal(err)
				}
				defer out.Close()
				cmd.Stderr = out
			} else {
				in, out, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				if stderr == "broken" {
					in.Close()
				} else if err := fill(out); err != nil {
					t.Fatal(err)
				}
				cmd.Stderr = out
				defer out.Close()
				// The framework's last words go to the variable os.Stdout too:
				// let them fail, once all is proven.
				unblock = func() { in.Close() }
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// The framework prints on stdout as well: what is meant is told
			// apart by what go-reaper says.
			var said strings.Builder
			lines := bufio.NewScanner(stdout)
			for lines.Scan() && lines.Text() != survived {
				fmt.Fprintln(&said, lines.Text())
			}
			if lines.Text() != survived {
				t.Error("it did not survive")
			}
			unblock()
			for lines.Scan() {
				fmt.Fprintln(&said, lines.Text())
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			if strings.Contains(said.String(), lostPid) {
				t.Errorf("on fd 1:\n%s", said.String())
			}
		})
	}
}

// survived is written to fd 1 by dropSome when its Reaper has come through.
const survived = "survived"

// lostPid is in what go-reaper says when it drops a status.
const lostPid = "lost pid"

// fill writes to a pipe until it takes no more, and leaves it blocking.
func fill(out *os.File) error {
	conn, err := out.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Control(func(fd uintptr) {
		for {
			if _, err := unix.Write(int(fd), make([]byte, 4096)); err == unix.EAGAIN {
				break
			}
		}
		_ = unix.SetNonblock(int(fd), false)
	})
}

// dropSome has go-reaper drop statuses and print about it.
func dropSome(t *testing.T) {
	defer func() { _, _ = unix.Write(1, []byte("\n"+survived+"\n")) }()
	r := New(Options{Buffer: -1})
	if fd := os.Stdout.Fd(); fd < 3 {
		t.Errorf("os.Stdout is fd %d", fd)
	}
	if flags, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("os.Stdout is inherited by children: %#x %v", flags, err)
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	drop(t, r, forkFiles([]string{"/bin/sleep", "1000"}, null.Fd(), null.Fd(), null.Fd()))
	if info, err := os.Stat("/proc/self/fd/2"); err == nil && info.Mode().IsRegular() {
		eventually(t, "go-reaper prints on stderr", func() bool {
			said, _ := os.ReadFile("/proc/self/fd/2")
			return bytes.Contains(said, []byte(lostPid))
		})
	}
}

// However many statuses are there, others get their turn with the lock.
func TestRouteInBatches(t *testing.T) {
	const all = 2 * (maxBatch + 1)
	statuses := make(chan goreaper.Status, all)
	for range all {
		statuses <- goreaper.Status{Pid: 1 << 23}
	}
	r := &Reaper{owned: map[int]*Process{}, late: map[int]struct{}{}}
	for left := all; left > 0; left -= maxBatch + 1 {
		if len(statuses) != left {
			t.Fatalf("%d are left, want %d", len(statuses), left)
		}
		r.routeAll(<-statuses, statuses)
	}
	if s := r.Stats(); len(statuses) != 0 || s.Received != all || s.Orphans != all {
		t.Errorf("%d are left, %+v", len(statuses), s)
	}
}
