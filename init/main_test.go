package pid1

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
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
	cmd.WaitDelay = 10 * time.Second // what a test that fails leaves behind holds the pipe
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
	i := &Init{set: &config.Settings{MaxGenerations: 3, Workers: 1}, logger: logger{logline.New(logline.Options{Level: logline.Error})}, endpoints: endpoints}
	if i.mode, err = ready.Parse("auto", config.Words); err != nil {
		t.Fatal(err)
	}
	i.assemble()
	i.launcher.terminal = &terminal{fd: -1}
	t.Cleanup(func() { i.out.Close(0) })
	return i
}

// reaping is testInit with children.
func reaping(t *testing.T) *Init {
	i := testInit(t)
	i.launcher.reaper = reaper.New(reaper.Options{Reaped: i.sweepers.wake})
	return i
}

// testWorker is a worker of a new generation, the only one.
func testWorker(number int) *worker {
	g := newGeneration(number, 1)
	w := &worker{g: g, born: clock.Now()}
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
