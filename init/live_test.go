package pid1

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// live is an Init whose loop runs, with a control socket.
type live struct {
	*testing.T
	*Init
	addr  string
	dir   string
	ended chan struct{}
}

// newLive starts one. script is run by a shell, with $DIR; it says that it is
// ready on descriptor 3, its channel is 4.
func newLive(t *testing.T, script string, prepare func(*live)) *live {
	t.Helper()
	l := &live{T: t, Init: reaping(t), dir: t.TempDir(), ended: make(chan struct{})}
	l.opt.Signals = make(chan os.Signal, 1)
	l.clients.asked = true
	l.set.Command = []string{"/bin/sh", "-c", script}
	l.launcher.environ = []string{"PATH=" + os.Getenv("PATH"), "DIR=" + l.dir}
	l.set.MaxGenerations, l.set.ReadyTimeout, l.set.LeftoverTimeout = 3, time.Minute, time.Minute
	if prepare != nil {
		prepare(l)
	}
	l.gens.workers = max(1, l.set.Workers)
	*l.machine = *swap.New(l.machineConfig(), nil)
	var err error
	if l.server, err = control.Listen(filepath.Join(l.dir, "control"), os.Getpid(), os.Getuid()); err != nil {
		t.Fatal(err)
	}
	l.addr = l.server.Address()
	l.launcher.procs.control = l.addr
	go func() {
		l.run()
		l.server.Close()
		for _, g := range l.gens.live {
			g.unlink()
		}
		close(l.ended)
	}()
	eventually(t, "the first generation", func() bool { return len(l.status().Generations) == 1 && l.status().Ready })
	return l
}

// inLoop runs f where the state may be looked at.
func (l *live) inLoop(f func()) {
	done := make(chan struct{})
	l.post(func() {
		f()
		close(done)
	})
	select {
	case <-done:
	case <-l.over:
	}
}

func (l *live) do(r control.Request) *control.Reply {
	l.Helper()
	reply, err := control.Do(l.addr, r, nil)
	if err != nil {
		l.Fatalf("%s: %v", r.Verb, err)
	}
	return reply
}

func (l *live) status() *control.Status {
	l.Helper()
	r := l.do(control.Request{Verb: control.VerbStatus})
	if !r.OK {
		l.Fatal(r.Error)
	}
	return r.Status
}

// follow swaps and follows. The channel has the reply once that has come; the
// generation is the swap's.
func (l *live) follow() (generation int, end chan *control.Reply) {
	l.Helper()
	done, end := make(chan int, 1), make(chan *control.Reply, 1)
	go func() {
		r, err := control.Do(l.addr, control.Request{Verb: control.VerbSwap, Swap: control.SwapArgs{Follow: true}}, func(e control.Event) {
			if e.Event == string(swap.StageDone) {
				done <- e.Generation
			}
		})
		if err != nil {
			r = &control.Reply{Error: err.Error()}
		}
		end <- r
	}()
	select {
	case generation = <-done:
	case r := <-end:
		l.Fatalf("the swap: %+v", r)
	}
	return generation, end
}

// hangUp swaps and follows, and leaves when the swap has succeeded.
func (l *live) hangUp() {
	l.Helper()
	c, err := net.Dial("unix", l.addr)
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, `{"v":1,"verb":"swap","args":{"follow":true}}`+"\n"); err != nil {
		l.Fatal(err)
	}
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			l.Fatal(err)
		}
		if strings.Contains(line, `"done"`) {
			return
		}
	}
}

// stop ends it.
func (l *live) stop() {
	l.Helper()
	l.do(control.Request{Verb: control.VerbStop})
	<-l.ended
}

func (l *live) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(l.dir, name))
	return string(data)
}

const justReady = `echo >&3; exec sleep 1000`

// Every worker has its number and its channels, one that dies comes back with
// the command that its generation was started with, and none of them are left.
func TestWorkers(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, `
		env > $DIR/env.$SWAPINIT_WORKER
		echo x >> $DIR/runs.$SWAPINIT_WORKER
		echo '{"swapinit":"ready"}' >&$SWAPINIT_CHANNEL_FD
		exec sleep 1000`, func(l *live) {
		l.set.Workers = 3
		l.set.Respawn, l.set.NodeIPC = "auto", true
	})
	s := l.status().Generations[0]
	pids := map[int]bool{}
	for k, w := range s.Workers {
		if w.Worker != k || !w.Ready || w.Restarts != 0 {
			t.Errorf("worker %d: %+v", k, w)
		}
		pids[w.Pid] = true
		env := strings.Split(l.read("env."+itoa(k)), "\n")
		for _, want := range []string{"SWAPINIT_GENERATION=1", "SWAPINIT_WORKER=" + itoa(k), "SWAPINIT_READY_FD=3", "SWAPINIT_CHANNEL_FD=4", "NODE_CHANNEL_FD=5", "NODE_CHANNEL_SERIALIZATION_MODE=json"} {
			if !slices.Contains(env, want) {
				t.Errorf("worker %d has no %s", k, want)
			}
		}
	}
	if len(pids) != 3 || len(s.Pids) != 3 || s.ReadyMS == nil {
		t.Errorf("%+v", s)
	}
	l.inLoop(func() { l.set.Command = []string{"/no/such/program"} })
	notifySockets := func() (list []string) {
		for _, dir := range []string{"/run", "/tmp", "/dev/shm"} {
			found, _ := filepath.Glob(dir + "/swapinit-" + itoa(os.Getpid()) + "-*.notify")
			list = append(list, found...)
		}
		return list
	}
	before := notifySockets()
	if err := syscall.Kill(s.Workers[1].Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the respawn", func() bool {
		w := l.status().Generations[0].Workers[1]
		return w.Ready && w.Restarts == 1 && w.Pid != s.Workers[1].Pid
	})
	if after := notifySockets(); len(after) != len(before) {
		t.Errorf("notification sockets: %q, before the respawn %q", after, before)
	}
	if got := l.read("runs.1") + l.read("runs.0"); got != "x\nx\nx\n" {
		t.Errorf("runs: %q", got)
	}
	if r := l.do(control.Request{Verb: control.VerbHealth}); !r.OK {
		t.Error(r.Error)
	}
	l.stop()
	if !childless() {
		t.Error("somebody is left")
	}
}

// restart starts what runs, not what a swap would start.
func TestRestart(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, "echo $SWAPINIT_GENERATION >> $DIR/starts; "+justReady, func(l *live) {
		l.set.SwapCommand = []string{"/no/such/program"}
	})
	if r := l.do(control.Request{Verb: control.VerbSwap}); r.OK {
		t.Errorf("a swap to a program that is not there: %+v", r)
	}
	if r := l.do(control.Request{Verb: control.VerbRestart}); !r.OK || r.Generation != 3 {
		t.Errorf("restart: %+v", r)
	}
	if r := l.do(control.Request{Verb: control.VerbRestart, Swap: control.SwapArgs{Force: true}}); !r.OK || r.Generation != 4 {
		t.Errorf("restart with force: %+v", r)
	}
	if got := l.read("starts"); got != "1\n3\n4\n" {
		t.Errorf("starts: %q", got)
	}
	l.stop()
}

// Who follows a generation learns how it ended, be it replaced or not.
func TestFollow(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, justReady, nil)
	second, replaced := l.follow()
	if second != 2 {
		t.Fatalf("generation %d", second)
	}
	l.hangUp()
	third, ended := l.follow()
	if r := <-replaced; !r.OK || r.Exit == nil || *r.Exit != 0 || r.Generation != 2 || r.Error != "" {
		t.Errorf("generation 2 was replaced: %+v", r)
	}
	if third != 4 || len(ended) != 0 {
		t.Errorf("generation %d has ended already: %v", third, len(ended))
	}
	l.hangUp()
	eventually(t, "the end of those who have left", func() bool {
		n := 0
		l.inLoop(func() {
			l.clients.tellFollowers(false)
			n = len(l.clients.followers)
		})
		return n == 0
	})
	if r := <-ended; !r.OK {
		t.Errorf("generation 4 was replaced: %+v", r)
	}
	sixth, ended := l.follow()
	l.stop()
	if r := <-ended; r.OK || r.Exit == nil || *r.Exit != 143 || r.Generation != sixth || r.Error != "generation "+itoa(sixth)+" was ended by TERM" {
		t.Errorf("the container has stopped: %+v", r)
	}
	if len(l.clients.followers) != 0 {
		t.Errorf("still followed: %v", l.clients.followers)
	}
}

// A followed generation dies by itself.
func TestFollowToTheEnd(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, `trap 'exit 7' USR1; echo >&3; while :; do sleep 0.01; done`, nil)
	_, end := l.follow()
	l.inLoop(func() { l.step(&swap.ContainerEvent{Kind: swap.Forward, Signal: swap.Signal(syscall.SIGUSR1)}) })
	if r := <-end; r.OK || r.Exit == nil || *r.Exit != 7 || r.Error != "generation 2 exited with status 7" {
		t.Errorf("%+v", r)
	}
	<-l.ended
	if l.Init.status != 7 {
		t.Errorf("exit %d, want 7", l.Init.status)
	}
}

// With the strategy replace it ends before its successor has proved itself.
func TestFollowReplaced(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, justReady, func(l *live) { l.set.Strategy = "replace" })
	_, end := l.follow()
	if r := l.do(control.Request{Verb: control.VerbSwap}); !r.OK {
		t.Errorf("the swap: %+v", r)
	}
	if r := <-end; !r.OK || r.Exit == nil || *r.Exit != 0 {
		t.Errorf("%+v", r)
	}
	_, end = l.follow()
	if r := l.do(control.Request{Verb: control.VerbSwap, Swap: control.SwapArgs{Command: []string{"/no/such/program"}}}); r.OK {
		t.Errorf("the swap: %+v", r)
	}
	if r := <-end; r.OK || r.Exit == nil || *r.Exit != 143 {
		t.Errorf("its successor has failed: %+v", r)
	}
	// Its command was started again.
	eventually(t, "the way back", func() bool { return l.status().Ready })
	l.stop()
}

func TestMessage(t *testing.T) {
	if !alone(t) {
		return
	}
	// It has said nothing yet when the first one comes.
	l := newLive(t, `echo >&3; read -r line <&4; echo "$line" > $DIR/got; echo '{"swapinit":"readyFor","resource":":1"}' >&4
		read -r line <&4; echo "$line" >> $DIR/got; exec 4>&-; echo closed >> $DIR/got; sleep 1000`, nil)
	message := control.Request{Verb: control.VerbMessage, Data: `{"a":1}`}
	if r := l.do(message); !r.OK || r.Delivered == nil || *r.Delivered != 1 {
		t.Errorf("to one: %+v", r)
	}
	const want = `{"swapinit":"message","data":{"a":1}}` + "\n" + `{"swapinit":"go","resource":":1"}` + "\nclosed\n"
	eventually(t, "the message", func() bool { return l.read("got") == want })
	eventually(t, "nobody to be there", func() bool {
		r := l.do(message)
		return r.OK && r.Delivered != nil && *r.Delivered == 0
	})
	l.stop()
}

// A change of what is watched is a swap.
func TestWatch(t *testing.T) {
	if !alone(t) {
		return
	}
	l := newLive(t, justReady, nil)
	l.launcher.dir, l.set.Watch = l.dir, []string{"app"}
	ended := make(chan struct{})
	go func() {
		l.watch(time.Millisecond)
		close(ended)
	}()
	for n := 2; n < 5; n++ {
		// The first look may come after the first change.
		for tries := 0; l.status().LastSwap == nil || l.status().LastSwap.Generation < n; tries++ {
			if err := os.WriteFile(filepath.Join(l.dir, "app"), []byte(itoa(n)+" "+itoa(tries/1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Millisecond)
		}
	}
	l.stop()
	<-ended
}
