package pid1

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// Whoever posts after the end of the loop must not be stuck: the control
// server's Close waits for such goroutines.
func TestPostAfterTheEnd(t *testing.T) {
	i := testInit(t)
	for range cap(i.posted) {
		i.post(func() {})
	}
	done := make(chan struct{})
	go func() {
		i.post(func() {})
		close(done)
	}()
	close(i.over)
	<-done
}

func TestExitMap(t *testing.T) {
	i := testInit(t)
	i.ran = true
	i.set.ExitMap = map[int]int{143: 0, 3: 4}
	for _, c := range []struct {
		status swap.Status
		want   int
	}{{swap.Status{Signal: 15}, 0}, {swap.Status{Signal: 9}, 137}, {swap.Status{Code: 3}, 4}, {swap.Status{Code: 4}, 4}, {swap.Status{}, 0}} {
		i.perform(&swap.Exit{Status: c.status})
		if !i.exiting || i.status != c.want {
			t.Errorf("%v: exit %d, want %d", c.status, i.status, c.want)
		}
	}
}

// However many signals come before the program runs, none is lost for good.
func TestHeldSignals(t *testing.T) {
	i := testInit(t)
	w := testWorker(1)
	for range 100 {
		i.send(w, syscall.SIGWINCH)
	}
	i.send(w, syscall.SIGTERM)
	if want := []syscall.Signal{syscall.SIGWINCH, syscall.SIGTERM}; !slices.Equal(w.held, want) {
		t.Errorf("held: %v, want %v", w.held, want)
	}
}

// What was held back is sent when the program runs.
func TestHeldSignalsAreSent(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	w := start(t, i, []string{"PATH=" + os.Getenv("PATH")}, "exec sleep 1000")
	i.send(w, syscall.SIGTERM)
	i.started(w)
	eventually(t, "its end", func() bool { return len(w.proc.Exited()) > 0 })
}

// The status that a server ends with comes out of the loop, from start to exit.
func TestRun(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.opt.Signals = make(chan os.Signal, 1)
	i.set.Control = "off"
	i.set.Command = []string{"/bin/sh", "-c", "sleep 1000 & exit 42"}
	i.run()
	if i.status != 42 || !childless() {
		t.Errorf("exit %d, want 42; everybody gone: %v", i.status, childless())
	}
}

// Generation 1 has failed before it was forked, the swap that was asked for
// meanwhile has not: the container is served by generation 2.
func TestFirstGenerationFails(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.opt.Signals = make(chan os.Signal, 1)
	i.set.Command, i.set.SwapCommand = []string{"/no/such/program"}, []string{"/bin/sh", "-c", "echo >&$SWAPINIT_READY_FD; exec sleep 1000"}
	i.step(&swap.ContainerEvent{Kind: swap.Swap})
	for i.machine.Active() != 2 {
		(<-i.posted)()
	}
	if !i.serving {
		t.Error("the control socket is not served")
	}
	i.step(&swap.ContainerEvent{Kind: swap.Stop})
	for !i.exiting {
		(<-i.posted)()
	}
	if i.status != 128+15 {
		t.Errorf("exit %d, want 143", i.status)
	}
}

func TestMainPid(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	w := start(t, i, []string{"SWAPINIT_GENERATION=3", "PATH=" + os.Getenv("PATH")}, "sleep 1000 & wait")
	first := w.proc
	child := 0
	eventually(t, "its child", func() bool {
		for _, p := range snapshot() {
			if p.ppid == first.Pid() {
				child = p.pid
			}
		}
		return child != 0
	})
	stranger := start(t, i, nil, "sleep 1000")
	var err error
	if w.notify, err = ready.NewNotify(3, []string{t.TempDir()}, -1); err != nil {
		t.Fatal(err)
	}
	defer w.g.unlink()
	for _, pid := range []int{stranger.pid(), os.Getpid(), 1, fake} { // not one of its own
		i.received(w, w.notify, ready.Message{MainPid: pid})
		if (<-i.posted)(); w.proc != first {
			t.Fatalf("it follows %d", pid)
		}
	}
	i.received(w, w.notify, ready.Message{Pid: child, MainPid: child})
	if (<-i.posted)(); w.proc != first {
		t.Fatal("a child that names itself takes the place of one that lives")
	}
	for range 2 { // it says so twice before the loop has heard of it
		i.received(w, w.notify, ready.Message{MainPid: child})
	}
	(<-i.posted)()
	(<-i.posted)()
	if w.proc == first || w.pid() != child {
		t.Fatalf("its main process is %d, want %d", w.pid(), child)
	}
	_ = w.proc.Signal(syscall.SIGUSR1)
	(<-i.posted)()
	if !w.ended.Load() {
		t.Error("its main process has ended, it has not")
	}
	// Nothing more is followed, and what is late does no harm.
	i.received(w, w.notify, ready.Message{MainPid: stranger.pid(), Ready: true, Watchdog: true, Stopping: true})
	(<-i.posted)()
	w.g.unlink()
	for _, p := range []*reaper.Process{first, stranger.proc} {
		_ = p.SignalGroup(syscall.SIGKILL)
		<-p.Exited()
	}
}

// A child that has named itself the main process is it when the one before has ended: a
// daemon whose parent waits for it.
func TestHeir(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	w := start(t, i, []string{"SWAPINIT_GENERATION=3", "PATH=" + os.Getenv("PATH")}, "sleep 1000 & wait")
	first, child := w.proc, 0
	eventually(t, "its child", func() bool {
		for _, p := range snapshot() {
			if p.ppid == first.Pid() {
				child = p.pid
			}
		}
		return child != 0
	})
	var err error
	if w.notify, err = ready.NewNotify(3, []string{t.TempDir()}, -1); err != nil {
		t.Fatal(err)
	}
	defer w.g.unlink()
	i.received(w, w.notify, ready.Message{Pid: child, MainPid: child})
	(<-i.posted)()
	go i.await(w, first, w.notify)
	_ = first.Signal(syscall.SIGUSR1)
	for w.proc == first {
		(<-i.posted)()
	}
	(<-i.posted)() // the end of the first one
	if w.pid() != child || w.ended.Load() {
		t.Errorf("its main process is %d, want %d; ended: %v", w.pid(), child, w.ended.Load())
	}
	_ = w.proc.Signal(syscall.SIGKILL)
	for !w.ended.Load() {
		(<-i.posted)()
	}
}

func TestHealth(t *testing.T) {
	i := testInit(t)
	w := testWorker(1)
	expect := func(want string) {
		t.Helper()
		if got := i.clients.unhealthy(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick}) // what it wants to be started is not
	expect("no generation is active")
	i.gens.live[1] = w.g
	expect("not ready")
	w.running = true // nobody has asked for more
	expect("")
	status := "loading"
	i.notified(w, ready.Message{Status: &status}, nil) // a source has spoken
	expect("not ready")
	w.readyAfter, w.g.readyAfter = time.Second, time.Second
	expect("")
	w.leaving = true
	expect("generation 1 is stopping")
	w.ended.Store(true)
	expect("is to be started again")
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Swap})
	expect("no generation is active")
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Stop})
	expect("the container is stopping")
}

// What is inherited above stderr is closed; what is ours is close-on-exec.
func TestCloseInherited(t *testing.T) {
	if !alone(t) {
		return
	}
	var inherited, ours [2]int
	if err := errors.Join(unix.Pipe2(inherited[:], 0), unix.Pipe2(ours[:], unix.O_CLOEXEC)); err != nil {
		t.Fatal(err)
	}
	closeInherited()
	for _, fd := range append(inherited[:], ours[:]...) {
		_, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if mine := fd == ours[0] || fd == ours[1]; mine != (err == nil) {
			t.Errorf("descriptor %d, ours: %v: %v", fd, mine, err)
		}
	}
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d is closed", fd)
		}
	}
}

// A server may be quicker than whoever waits for its exec: it has started before it is
// ready all the same, and once.
func TestReadyIsStartedBefore(t *testing.T) {
	i := testInit(t)
	w := testWorker(1)
	i.gens.live[1] = w.g
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick})
	if i.ready(w); !w.running || !i.ran {
		t.Error("it is ready, and does not run")
	}
	i.ran = false
	if i.started(w); i.ran {
		t.Error("it has started twice")
	}
}
