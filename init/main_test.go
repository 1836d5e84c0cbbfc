package pid1

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
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

const (
	insideVar    = "PID1_TEST_INSIDE"
	namespaceVar = "PID1_TEST_NAMESPACE"
)

// TestMain runs the tests of root in a pid namespace: with a fault in what tells the
// processes of a generation from others they would signal all of the machine.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(namespaceVar) == "" && os.Getuid() == 0:
		if status, ok := inNamespace(); ok {
			os.Exit(status)
		}
	case os.Getenv(namespaceVar) != "" && os.Getpid() == 1:
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// inNamespace is the outcome of the same tests in one of their own; false: there cannot
// be one here.
func inNamespace() (status int, ok bool) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaceVar+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about this thread
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, true
	}
	return 1, true // a signal
}

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
	i := &Init{set: &config.Settings{MaxGenerations: 3, Workers: 1}, posted: make(chan func(), 256), over: make(chan struct{}),
		logger: logger{logline.New(logline.Options{Level: logline.Error})}, endpoints: endpoints}
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
