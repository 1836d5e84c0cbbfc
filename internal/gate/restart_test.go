package gate

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
)

// TestMain is also a gate in a process of its own, which can be killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("TEST_GATE"); path != "" {
		queue := make(chan os.Signal, 10)
		signal.Notify(queue, syscall.SIGTERM, syscall.SIGINT)
		set := &config.Settings{AsGate: true, Gate: path, Listen: os.Getenv("TEST_LISTEN"), Control: os.Getenv("TEST_CONTROL"), Log: "debug", IdleAfter: time.Second}
		os.Exit(newGate(Config{Settings: set, Signals: queue}, logline.New(logline.Options{Level: logline.Debug})).main())
	}
	os.Exit(m.Run())
}

// spawned is a gate in a process of its own.
type spawned struct {
	*testGate
	cmd *exec.Cmd
}

func spawn(t *testing.T, set *config.Settings) *spawned {
	t.Helper()
	g := &spawned{&testGate{t: t, set: set, log: &lineLog{}}, exec.Command("/proc/self/exe")}
	g.cmd.Env = append(os.Environ(), "TEST_GATE="+set.Gate, "TEST_LISTEN="+set.Listen, "TEST_CONTROL="+set.Control)
	out, err := g.cmd.StderrPipe()
	must(t, err)
	must(t, g.cmd.Start())
	read := make(chan struct{})
	go func() {
		defer close(read)
		for in := bufio.NewScanner(out); in.Scan(); {
			g.log.add(in.Text())
		}
	}()
	t.Cleanup(func() {
		g.kill(syscall.SIGKILL)
		<-read
		if t.Failed() {
			t.Log(g.log.has("every line"))
		}
	})
	return g
}

// kill ends the gate and waits for that.
func (g *spawned) kill(sig syscall.Signal) {
	if g.cmd.ProcessState == nil {
		_ = g.cmd.Process.Signal(sig)
		_ = g.cmd.Wait()
	}
}

// again connects a member to the next gate: it brings what it has.
func (m *peer) again(g *testGate, state gatewire.Role, generation int, epoch int64) *peer {
	m.t.Helper()
	n := dialGate(m.t, g, m.name)
	n.servers = m.servers
	hello := gatewire.Message{Release: "release-" + m.name, State: string(state), Generation: generation, Epoch: epoch}
	var fds []int
	for i, s := range m.servers {
		hello.Sockets = append(hello.Sockets, gatewire.Socket{Endpoint: "web", Generation: i + 1})
		fds = append(fds, int(s.file.Fd()))
	}
	n.hello(hello, fds...)
	return n
}

// A gate that dies, or is stopped, and comes again on the same network namespace: no
// connection fails meanwhile, one that is open stays so, and takeovers go on.
func TestRestart(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			set := settings(t)
			g := spawn(t, set)
			a, _ := joinGate(t, g.testGate, "aaaaaaaaaaaaaaaa")
			a.hold(1)
			b, _ := joinGate(t, g.testGate, "bbbbbbbbbbbbbbbb")
			b.hold(1)
			epoch := a.next(gatewire.Lost).Epoch
			g.asksOnly(b.name)
			kept, err := net.Dial("tcp", g.address())
			must(t, err)
			defer kept.Close()
			if who, err := say(kept); who != b.name {
				t.Fatal(who, err)
			}
			until(t, "the state file has the sockets", func() bool {
				s, err := readState(set.Gate + ".state")
				return err == nil && len(s.Sockets) == 2 && s.Holder == b.name
			})
			l := g.load(4)
			l.more(t, 50)
			g.kill(sig)
			l.more(t, 50) // while there is no gate
			next := spawn(t, set)
			b = b.again(next.testGate, gatewire.Holder, 1, epoch)
			a = a.again(next.testGate, gatewire.Kept, 1, epoch)
			if w := b.next(gatewire.Welcome); w.Role != gatewire.Holder || w.Fresh || w.Epoch < epoch {
				t.Errorf("the holder is welcomed as %+v", w)
			}
			if w := a.next(gatewire.Welcome); w.Role != gatewire.Kept || w.Fresh {
				t.Errorf("the kept one is welcomed as %+v", w)
			}
			l.more(t, 50)
			next.asksOnly(b.name)
			c, w := joinGate(t, next.testGate, "cccccccccccccccc")
			if w.Role != gatewire.Successor || w.Order != 3 {
				t.Errorf("the third one is welcomed as %+v", w)
			}
			c.serve(1)
			l.more(t, 50)
			c.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
			next.asksOnly(c.name)
			l.more(t, 50)
			l.end(t)
			if who, err := say(kept); err != nil || who != b.name {
				t.Errorf("the connection from before: %q, %v", who, err)
			}
		})
	}
}

// Without the state file the member that has the traffic says so.
func TestRestartWithoutState(t *testing.T) {
	set := settings(t)
	g := spawn(t, set)
	a, _ := joinGate(t, g.testGate, "aaaaaaaaaaaaaaaa")
	a.hold(1)
	l := g.load(2)
	l.more(t, 20)
	g.kill(syscall.SIGKILL)
	must(t, os.WriteFile(set.Gate+".state", []byte("half a fi"), 0o600))
	next := spawn(t, set)
	a = a.again(next.testGate, gatewire.Holder, 1, 7)
	if w := a.next(gatewire.Welcome); w.Role != gatewire.Holder || w.Fresh || w.Epoch <= 7 {
		t.Errorf("welcomed as %+v", w)
	}
	l.more(t, 20)
	l.end(t)
	until(t, "a line about the file", func() bool { return next.log.has(".state.bad") == "" })
}

// In a new network namespace what members have is dead: the holder is told to take fresh
// sockets, and its traffic waits for these.
func TestDeadSockets(t *testing.T) {
	set := settings(t)
	g := spawn(t, set)
	a, w := joinGate(t, g.testGate, "aaaaaaaaaaaaaaaa")
	a.hold(1)
	until(t, "the state file knows that it has settled", func() bool {
		s, err := readState(set.Gate + ".state")
		return err == nil && len(s.Members) == 1 && s.Members[0].Settled
	})
	g.kill(syscall.SIGKILL)
	a.leave() // as if it could not be reached: nobody has the port
	a.servers = nil
	next := start(t, set)
	a = a.again(next, gatewire.Holder, 1, w.Epoch)
	if w = a.next(gatewire.Welcome); w.Role != gatewire.Holder || !w.Fresh || !w.Healthy {
		t.Errorf("welcomed as %+v", w)
	}
	a.next(gatewire.Renew)
	waiting := next.asks()
	a.serve(2)
	a.must(gatewire.Message{Op: gatewire.OpAim, Endpoint: "web", Generation: 2, Share: shares.Full})
	if who := <-waiting; who != a.name {
		t.Errorf("who waited was answered by %q", who)
	}
	next.asksOnly(a.name)
}

// If nobody brings the sockets somebody else has the port.
func TestPortIsAnothers(t *testing.T) {
	set := settings(t)
	g := spawn(t, set)
	a, _ := joinGate(t, g.testGate, "aaaaaaaaaaaaaaaa")
	a.hold(1)
	until(t, "the state file has the socket", func() bool {
		s, err := readState(set.Gate + ".state")
		return err == nil && len(s.Sockets) == 1
	})
	g.kill(syscall.SIGKILL)
	next := spawn(t, set)
	if r := next.do(control.Request{Verb: control.VerbHealth}); r.OK || !strings.Contains(r.Error, "not open yet") {
		t.Errorf("health: %+v", r)
	}
	_ = next.cmd.Wait()
	if status := next.cmd.ProcessState.ExitCode(); status != exitOwn {
		t.Errorf("status %d", status)
	}
	until(t, "the reason", func() bool { return next.log.has("address already in use") == "" })
}
