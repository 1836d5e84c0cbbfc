package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/signals"
	"github.com/swapinit/swapinit/swap"
)

// twoWorkers is a generation with two of them, whose processes have the numbers
// fake+1 and fake+2.
func twoWorkers() (*generation, [2]*worker) {
	g := newGeneration(3, 2)
	var list [2]*worker
	for k := range list {
		list[k] = &worker{g: g, index: k, born: clock.Now()}
		list[k].mainPid.Store(int32(fake + 1 + k))
		g.workers[k].Store(list[k])
	}
	return g, list
}

// A generation's processes are those of all its workers; a worker's are its own
// tree and group, and what its forerunner has left in its group.
func TestMembersOfWorkers(t *testing.T) {
	own := os.Getpid()
	line := func(n, parent, group, session int) process {
		return process{life: life{fake + n, uint64(n)}, ppid: parent, pgrp: fake + group, sid: fake + session, state: 'S', threads: 1}
	}
	table := []process{
		line(1, own, 1, 1),      // the main process of worker 0
		line(2, own, 2, 2),      // of worker 1
		line(3, fake+1, 3, 3),   // a child, in a session of its own
		line(4, fake+2, 4, 4),   // the other's
		line(5, own, 1, 9),      // an orphan in the group of worker 0
		line(6, own, 8, 2),      // in the session of worker 1
		line(7, own, 7, 7),      // marked
		line(8, own, 9, 9),      // a stranger
		line(10, own, 50, 50),   // left by the forerunner of worker 1
		line(11, fake+4, 11, 4), // a grandchild
	}
	marks := map[life]mark{{fake + 7, 7}: marked}
	i := testInit(t)
	g, w := twoWorkers()
	w[1].former = fake + 50
	check := func(when string, list []process, want ...int) {
		t.Helper()
		var got []int
		for _, p := range list {
			got = append(got, p.pid-fake)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("all", i.launcher.procs.members(g, table, marks), 1, 2, 3, 4, 5, 6, 7, 10, 11)
	check("worker 0", w[0].tree(table), 1, 3, 5)
	check("worker 1", w[1].tree(table), 2, 4, 6, 10, 11)
	w[1].ended.Store(true)
	check("the number of worker 1 has a new bearer", i.launcher.procs.members(g, table, marks), 1, 3, 5, 7, 10)
	table = slices.Delete(table, 1, 2)
	check("worker 1 has ended", i.launcher.procs.members(g, table, marks), 1, 3, 5, 6, 7, 10)
	table = append(table, line(50, own, 50, 50))
	check("its forerunner's number has a new bearer", w[1].tree(table), 6)
	if g.ended() {
		t.Error("a worker lives, and the generation has ended")
	}
	w[0].ended.Store(true)
	if !g.ended() {
		t.Error("no worker lives, and the generation has not ended")
	}
}

// What a worker has caused counts as long as no other has its place.
func TestStaleWorker(t *testing.T) {
	i := testInit(t)
	old := testWorker(1)
	i.gens.live[1] = old.g
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick})
	now := &worker{g: old.g}
	old.g.workers[0].Store(now)
	i.said(old, lines, channel.Message{Kind: channel.Ready})
	i.piped(old, ready.Ready)
	i.notified(old, ready.Message{Ready: true}, nil)
	i.launchFailed(old, errors.New("late"), 125)
	if v := i.machine.Views()[0]; v.Ready || v.Ended || i.machine.Phase() != swap.Running || old.g.readyAfter != 0 {
		t.Errorf("%+v, phase %v", v, i.machine.Phase())
	}
	i.piped(now, ready.Ready)
	if v := i.machine.Views()[0]; !v.Ready || old.g.readyAfter == 0 {
		t.Errorf("%+v", v)
	}
}

func TestHealthOfWorkers(t *testing.T) {
	i := testInit(t)
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick}) // what it wants to be started is not
	g, w := twoWorkers()
	i.gens.live[1] = g
	expect := func(want string) {
		t.Helper()
		if got := i.clients.unhealthy(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	i.ready(w[0])
	expect("generation 3 is not ready; swapinit check tells why")
	i.clients.hint = "the server must speak"
	expect("generation 3 is not ready: the server must speak")
	w[0].note, w[1].note = "what it said before", "last probe: no"
	expect("generation 3 is not ready: last probe: no")
	i.ready(w[1])
	expect("")
	w[0].ended.Store(true)
	expect("")
	w[1].leaving = true
	expect("generation 3 worker 1 is stopping")
	w[0] = &worker{g: g}
	g.workers[0].Store(w[0])
	expect("generation 3 worker 1 is stopping")
	i.ready(w[0])
	expect("")
}

// KILL for one worker is for its processes and for no other's.
func TestKillWorker(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	dir := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir, "SWAPINIT_GENERATION=3"}
	g := newGeneration(3, 2)
	var pids [2][3]int
	for k := range 2 {
		w := start(t, i, append(env, "K="+strconv.Itoa(k)), `
			trap "" TERM
			(echo $$ > $DIR/$K.0; exec sleep 1000) &
			setsid sh -c 'echo $$ > $DIR/$K.1; exec sleep 1000' &
			sh -c 'echo $$ > $DIR/$K.2; exec sleep 1000' &
			wait`)
		w.g, w.index = g, k
		g.workers[k].Store(w)
		for n := range pids[k] {
			eventually(t, "all processes run", func() bool {
				text, _ := os.ReadFile(filepath.Join(dir, itoa(k)+"."+itoa(n)))
				pids[k][n], _ = strconv.Atoi(strings.TrimSpace(string(text)))
				return pids[k][n] != 0
			})
		}
	}
	alive := func(pid int) bool {
		p, ok := readProcess(pid)
		return ok && !p.dead()
	}
	i.killWorker(g.worker(1))
	eventually(t, "the end of one", func() bool { return !alive(pids[1][0]) && !alive(pids[1][1]) && !alive(pids[1][2]) })
	for n, pid := range pids[0] {
		if !alive(pid) {
			t.Errorf("process %d of the other one is gone", n)
		}
	}
	i.kill(g, &swap.Kill{Reason: "test"})
	eventually(t, "the end of all", childless)
}

// One that is to be killed before it was forked, alone or with its generation, dies as
// soon as it is there.
func TestKillBeforeTheFork(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.serving = true
	for name, kill := range map[string]func(*worker){"worker": i.killWorker, "generation": func(w *worker) { i.kill(w.g, &swap.Kill{Reason: "test"}) }} {
		w := start(t, i, []string{"PATH=" + os.Getenv("PATH")}, "sleep 1000")
		p := w.proc
		w.proc = nil
		w.mainPid.Store(0)
		kill(w)
		i.forked(w, &launched{proc: p})
		eventually(t, "the end of a "+name, func() bool { return len(p.Exited()) > 0 })
		if e := <-p.Exited(); !e.Status.Signaled() || e.Status.Signal() != syscall.SIGKILL {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// SWAPINIT_KILL_GROUP is for signals that are forwarded. What a watchdog sends is for
// the process that hangs: ABRT leaves a core of each that gets it.
func TestAbortIsForOneProcess(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.set.KillGroup = true
	dir := t.TempDir()
	const noting = `for s in ABRT USR1 USR2; do trap "echo > $DIR/$N.$s" $s; done; echo > $DIR/$N.up; while :; do sleep 0.01; done`
	w := start(t, i, []string{"PATH=" + os.Getenv("PATH"), "DIR=" + dir, "N=main", "NOTING=" + noting}, `N=child sh -c "$NOTING" & `+noting)
	w.running = true
	seen := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	eventually(t, "both to be up", func() bool { return seen("main.up") && seen("child.up") })
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGUSR1, syscall.SIGUSR2} {
		i.send(w, sig)
		name := signals.Name(sig)
		eventually(t, name, func() bool { return seen("main."+name) && (sig == syscall.SIGABRT || seen("child."+name)) })
	}
	if seen("child.ABRT") {
		t.Error("ABRT went to the group")
	}
	_ = w.proc.SignalGroup(syscall.SIGKILL)
	eventually(t, "the end of both", childless)
}

// What is kept of generations that are gone is bounded.
func TestPast(t *testing.T) {
	i := testInit(t)
	for n := 1; n <= 3*pastMax; n++ {
		g := newGeneration(n, 1)
		g.source.words = []string{itoa(n)}
		i.gens.live[n] = g
		i.forget(g)
	}
	if len(i.gens.past) != pastMax || len(i.gens.live) != 0 {
		t.Fatalf("%d records, %d generations", len(i.gens.past), len(i.gens.live))
	}
	if r := i.gens.recordOf(3 * pastMax); r == nil || r.source.words[0] != itoa(3*pastMax) {
		t.Errorf("the last one: %+v", r)
	}
	if r := i.gens.recordOf(1); r != nil {
		t.Errorf("the first one: %+v", r)
	}
}

// The default command is asked for once, whoever starts.
func TestResolve(t *testing.T) {
	i := testInit(t)
	i.set.Command = []string{"first"}
	g := newGeneration(1, 1)
	for range 2 {
		if got, err := i.launcher.resolve(g); err != nil || !slices.Equal(got, []string{"first"}) {
			t.Errorf("%q, %v", got, err)
		}
		i.set.Command = []string{"second"}
	}
	given := newGeneration(2, 1)
	given.source.words = []string{"given"}
	if got, err := i.launcher.resolve(given); err != nil || !slices.Equal(got, []string{"given"}) {
		t.Errorf("%q, %v", got, err)
	}
}
