package pid1

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/spawn"
)

// start runs a shell script as generation 3.
func start(t *testing.T, i *Init, env []string, script string) *worker {
	t.Helper()
	spec := spawn.Spec{Argv: []string{"/bin/sh", "-c", script}, Env: env, Files: []uintptr{0, 1, 2}, Tty: -1}
	_, p, err := i.launcher.spawn(&spec, 3, listen.Given{})
	if err != nil {
		t.Fatal(err)
	}
	w := testWorker(3)
	w.proc = p
	w.mainPid.Store(int32(p.Pid()))
	return w
}

// noSweepers waits until every sweeper has ended.
func noSweepers(t *testing.T, i *Init) {
	t.Helper()
	eventually(t, "the sweeper's end", func() bool {
		i.sweepers.mu.Lock()
		defer i.sweepers.mu.Unlock()
		return len(i.sweepers.all) == 0
	})
}

// One look that finds nobody is no proof, and whoever comes in between starts
// the count again.
func TestSweepLooksTwice(t *testing.T) {
	i := testInit(t)
	looks := [][]process{nil, {{life: life{pid: fake}}}, nil, {{life: life{pid: fake + 1}}}, nil, nil}
	n := 0
	i.sweepers.start(new(atomic.Bool), func() ([]process, bool) {
		n++
		return looks[n-1], false
	}, func() { i.post(func() {}) })
	(<-i.posted)()
	if n != len(looks) {
		t.Errorf("it ended after %d looks, want %d", n, len(looks))
	}
	noSweepers(t, i)
}

// As long as a fork goes on, nobody left does not mean nobody coming.
func TestSweepWaitsForForks(t *testing.T) {
	i := testInit(t)
	i.launcher.forking.Add(1)
	looks := make(chan bool)
	i.sweepers.start(new(atomic.Bool), func() ([]process, bool) {
		more := i.launcher.forking.Load() > 0
		looks <- more
		return nil, more
	}, func() { i.post(func() {}) })
	for range 3 {
		<-looks
	}
	select {
	case <-i.posted:
		t.Fatal("it has ended while a fork goes on")
	default:
	}
	i.launcher.forking.Add(-1)
	go func() {
		for range looks {
		}
	}()
	<-i.posted
	close(looks)
}

func TestNoForkDuringTheLastSweep(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.launcher.closed.Store(true)
	spec := spawn.Spec{Argv: []string{"/bin/sh", "-c", "exit 3"}, Files: []uintptr{0, 1, 2}, Tty: -1}
	if _, _, err := i.launcher.spawn(&spec, 1, listen.Given{}); err == nil {
		t.Error("a process was started")
	}
	if n := i.launcher.forking.Load(); n != 0 {
		t.Errorf("%d forks are still counted", n)
	}
	if !childless() {
		t.Error("there is a child")
	}
}

func TestSweeperStops(t *testing.T) {
	i := testInit(t)
	s := i.sweepers.start(new(atomic.Bool), func() ([]process, bool) { return []process{{life: life{pid: fake}}}, false }, func() { i.post(func() {}) })
	s.stop()
	s.stop()
	noSweepers(t, i)
	if len(i.posted) != 0 {
		t.Error("it says that nothing is left")
	}
}

// A generation's strays get TERM and their time, then KILL; another's, and
// whoever carries no mark, go on.
func TestSweepOfStrays(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := t.TempDir()
	i := reaping(t)
	mark := []string{"SWAPINIT_GENERATION=3", "PATH=" + os.Getenv("PATH"), "DIR=" + dir}
	w := start(t, i, mark, `
		daemon() { setsid sh -c "$1" </dev/null & }
		daemon 'trap "echo > $DIR/polite; exit" TERM; echo $$ > $DIR/1; while :; do sleep 0.01; done'
		daemon 'trap "" TERM; echo $$ > $DIR/2; while :; do sleep 0.01; done'
		SWAPINIT_GENERATION=4 daemon 'echo $$ > $DIR/3; exec sleep 1000'
		env -u SWAPINIT_GENERATION setsid sh -c 'echo $$ > $DIR/4; exec sleep 1000' &
		env -u SWAPINIT_GENERATION sh -c 'echo $$ > $DIR/5; exec sleep 1000' &
		wait`)
	var pids [6]int
	for n := 1; n <= 5; n++ {
		eventually(t, "all processes run", func() bool {
			text, _ := os.ReadFile(filepath.Join(dir, strconv.Itoa(n)))
			pids[n], _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return pids[n] != 0
		})
	}
	alive := func(n int) bool {
		p, ok := readProcess(pids[n])
		return ok && !p.dead()
	}
	_ = w.proc.Signal(syscall.SIGKILL)
	<-w.proc.Exited()
	w.ended.Store(true)
	i.sweep(w.g)
	eventually(t, "the end of those that TERM ends", func() bool { return !alive(1) && !alive(5) })
	if _, err := os.Stat(filepath.Join(dir, "polite")); err != nil {
		t.Error("the stray that handles TERM could not:", err)
	}
	for _, n := range []int{2, 3, 4} {
		if !alive(n) {
			t.Errorf("stray %d is gone", n)
		}
	}
	w.g.killed.Store(true)
	i.sweepers.wake()
	<-i.posted // Swept
	if alive(2) || !alive(3) || !alive(4) {
		t.Errorf("alive after KILL: %v %v %v", alive(2), alive(3), alive(4))
	}
	// The end of the container is for all.
	i.sweepers.killing.Store(true)
	i.sweepAll()
	<-i.posted // NothingLeft
	if alive(3) || alive(4) || !childless() {
		t.Error("somebody is left behind")
	}
}
