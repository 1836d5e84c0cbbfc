package pid1

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

const insideVar = "PID1_TEST_INSIDE"

// alone runs the calling test again in a process of its own, a subreaper, and
// passes its outcome on. It is true in that process; elsewhere the caller has
// nothing left to do.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVar) == t.Name() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), insideVar+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// testInit is an Init without endpoints whose loop does not run; what is posted
// waits in posted.
func testInit(t *testing.T) *Init {
	t.Helper()
	endpoints, err := listen.Open(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &Init{set: &config.Settings{}, workers: 1, log: logline.New(logline.Options{Level: logline.Error}), endpoints: endpoints, terminal: &terminal{-1},
		posted: make(chan func(), 16), over: make(chan struct{}), began: time.Now(), gens: map[int]*generation{}, calls: map[uint64]control.Call{},
		bells: bells{of: map[*sweeper]struct{}{}}}
	i.machine = swap.New(swap.Config{MaxGenerations: 3, Workers: 1, StopSignal: swap.Signal(syscall.SIGTERM)}, nil)
	t.Cleanup(func() { i.log.Close(0) })
	return i
}

// reaping is testInit with children.
func reaping(t *testing.T) *Init {
	i := testInit(t)
	i.reaper = reaper.New(reaper.Options{Reaped: i.bells.ring})
	return i
}

// testWorker is a worker of a new generation, the only one.
func testWorker(number int) *worker {
	g := newGeneration(number, 1)
	w := &worker{g: g, born: time.Now()}
	g.workers[0].Store(w)
	return w
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
