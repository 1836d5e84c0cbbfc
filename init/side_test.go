package pid1

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// sidesOf makes sides of shell scripts.
func sidesOf(scripts ...string) (list []config.Side) {
	for n, script := range scripts {
		list = append(list, config.Side{Name: "s" + itoa(n), Command: []string{"/bin/sh", "-c", script}})
	}
	return list
}

// They run beside the generations, and are nobody's.
func TestSides(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, justReady, func(l *live) {
		l.set.Sides = sidesOf("exec sleep 1000", "sleep 1000 & echo x >> $DIR/runs; wait")
		l.set.Sides = append(l.set.Sides, config.Side{Name: "missing", Command: []string{"/no/such/program"}})
	})
	pids := func() (list []int) {
		for _, s := range l.status().Sides {
			list = append(list, s.Pid)
		}
		return list
	}
	eventually(t, "their start", func() bool { return l.read("runs") == "x\n" })
	before := pids()
	if len(before) != 3 || before[0] == 0 || before[1] == 0 || before[2] != 0 {
		t.Fatalf("pids %v", before)
	}
	if r := l.do(control.Request{Verb: control.VerbSwap}); !r.OK {
		t.Fatal(r.Error)
	}
	for _, g := range l.status().Generations {
		for _, pid := range before {
			if slices.Contains(g.Pids, pid) {
				t.Errorf("generation %d has %v", g.Generation, g.Pids)
			}
		}
	}
	// A server cannot make one its main process.
	var w *worker
	l.inLoop(func() { w = l.gens.live[l.machine.Active()].worker(0) })
	if p, err := l.launcher.followMain(w, before[0]); p != nil || err == nil {
		t.Errorf("a server follows %d: %v", before[0], err)
	}
	if l.launcher.procs.accepts(w.g, before[0], uint32(os.Getuid()+1), uint32(os.Getuid())) {
		t.Error("what it says counts for a server")
	}

	restart := func(name string) *control.Reply {
		return l.do(control.Request{Verb: control.VerbRestart, Swap: control.SwapArgs{Side: name}})
	}
	if r := restart("S1"); !r.OK {
		t.Fatal(r.Error)
	}
	if r := restart("missing"); r.OK || !strings.Contains(r.Error, "side missing: ") || !strings.Contains(r.Error, "/no/such/program") {
		t.Errorf("missing: %+v", r)
	}
	if r := restart("none"); r.OK || !strings.Contains(r.Error, "s0, s1, missing") {
		t.Errorf("none: %+v", r)
	}
	after := pids()
	if after[0] != before[0] || after[1] == before[1] || after[1] == 0 {
		t.Errorf("pids %v, before %v", after, before)
	}
	for _, p := range snapshot() {
		if p.pgrp == before[1] {
			t.Errorf("%d is left of the group of the last one", p.pid)
		}
	}
	// Many at once are answered, all of them.
	answers := make(chan *control.Reply, 20)
	for range cap(answers) {
		go func() {
			r, err := control.Do(l.addr, control.Request{Verb: control.VerbRestart, Swap: control.SwapArgs{Side: "s0"}}, nil)
			if err != nil {
				r = &control.Reply{Error: err.Error()}
			}
			answers <- r
		}()
	}
	for range cap(answers) {
		if r := <-answers; !r.OK {
			t.Error(r.Error)
		}
	}
	_ = syscall.Kill(pids()[0], syscall.SIGKILL)
	eventually(t, "another one", func() bool { p := pids()[0]; return p != 0 && p != after[0] })
	l.stop()
	eventually(t, "their end", childless)
	eventually(t, "the end of what ended them", func() bool {
		l.sweepers.mu.Lock()
		defer l.sweepers.mu.Unlock()
		return len(l.sweepers.all) == 0
	})
	if len(l.clients.calls) != 0 {
		t.Errorf("%d calls are left", len(l.clients.calls))
	}
}

// No server is started before they were.
func TestSidesComeFirst(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	i.set.Sides = sidesOf("exec sleep 1000", "exit 1")
	i.set.Sides = append(i.set.Sides, config.Side{Name: "missing", Command: []string{"/no/such/program"}})
	i.launcher.environ = []string{"PATH=" + os.Getenv("PATH")}
	i.opt.Signals = make(chan os.Signal, 1)
	i.set.Command = []string{"/bin/true"}
	i.startSides()
	i.step(&swap.ContainerEvent{Kind: swap.Tick})
	for left := len(i.sides.list); left > 0; { // what they post is not handled before that
		select {
		case <-i.sides.begun:
			if i.sides.first > 0 {
				t.Skip("they took more than five seconds")
			}
			t.Fatalf("it is said that they were started, and %d were not", left)
		default:
		}
		if i.gens.live[1].pid() != 0 {
			t.Fatal("the server runs")
		}
		first := i.sides.first
		(<-i.posted)()
		left -= first - i.sides.first
	}
	<-i.sides.begun
	for i.gens.live[1].pid() == 0 {
		(<-i.posted)()
	}
	for _, s := range i.sides.list {
		if !s.tried || s.proc != nil && s.proc.Pid() > i.gens.live[1].pid() && s.machine.Restarts() == 0 {
			t.Errorf("%s: tried %v, %v, the server is %d", s.Name, s.tried, s.proc, i.gens.live[1].pid())
		}
	}
	i.step(&swap.ContainerEvent{Kind: swap.Stop})
	for !i.exiting {
		(<-i.posted)()
	}
	if !childless() {
		t.Error("somebody is left")
	}
}

// What is left of a process group is found, unless its number leads another life.
func TestRemains(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	w := start(t, i, []string{"PATH=" + os.Getenv("PATH")}, "sleep 1000 & sleep 1000 & wait")
	group := w.pid()
	eventually(t, "its children", func() bool {
		n := 0
		for _, p := range snapshot() {
			if p.pgrp == group {
				n++
			}
		}
		return n == 3
	})
	if left := remains(group); len(left) != 0 {
		t.Errorf("it lives, and these are left of it: %v", left)
	}
	_ = w.proc.Signal(syscall.SIGKILL)
	<-w.proc.Exited()
	if left := remains(group); len(left) != 2 {
		t.Errorf("left are %v, want two", left)
	}
	for _, p := range remains(group) {
		p.signal(syscall.SIGKILL, 0)
	}
	eventually(t, "their end", func() bool { return len(remains(group)) == 0 && childless() })
}

// A watched path's swap waits for a part of SWAPINIT_WATCH_SPLAY, whatever else changes,
// and not any longer when the container stops.
func TestWatchSplay(t *testing.T) {
	splayed := func(splay time.Duration) *Init {
		i := testInit(t)
		i.set.WatchSplay = splay
		i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick})
		i.machine.Step(0, &swap.GenerationEvent{Kind: swap.Started, Generation: 1})
		return i
	}
	i := splayed(0)
	if i.changed("a"); !i.machine.Swapping() || i.splayed != 0 {
		t.Error("without a splay it does not begin at once")
	}
	various := map[time.Duration]bool{}
	for range 20 {
		i = splayed(time.Hour)
		i.changed("a")
		at := i.splayed
		if left := at - i.now(); left > time.Hour || i.machine.Swapping() {
			t.Fatalf("it begins in %v", left)
		}
		various[at.Round(time.Second)] = true
		if i.changed("b"); i.splayed != at {
			t.Fatal("another change moves it")
		}
		if next, armed := i.deadline(); !armed || next != at {
			t.Fatalf("the loop waits for %v, %v, want %v", next, armed, at)
		}
	}
	if len(various) < 2 {
		t.Errorf("it is always the same: %v", various)
	}
	if i.tick(); i.machine.Swapping() {
		t.Error("it begins too early")
	}
	i.began = i.began.Add(-time.Hour)
	if i.tick(); !i.machine.Swapping() || i.splayed != 0 {
		t.Error("it does not begin")
	}

	i = splayed(time.Hour)
	i.changed("a")
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Stop})
	if _, armed := i.deadline(); armed {
		t.Error("the end of the container waits for it")
	}
	i.began = i.began.Add(-time.Hour)
	if i.tick(); i.machine.Swapping() {
		t.Error("it begins although the container stops")
	}
	if i.changed("b"); i.machine.Swapping() {
		t.Error("the same for a change")
	}
}
