package gate

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// holding is a gate with a holder that serves.
func holding(t *testing.T) (*testGate, *peer) {
	t.Helper()
	g := start(t, settings(t))
	a, _ := joinGate(t, g, "aaaaaaaaaaaaaaaa")
	a.hold(1)
	return g, a
}

// gone waits until the gate has ended the connection.
func (m *peer) gone() {
	m.t.Helper()
	until(m.t, m.name+" is disconnected", func() bool {
		for {
			select {
			case _, ok := <-m.told:
				if !ok {
					return true
				}
			default:
				return false
			}
		}
	})
}

// Whatever is no protocol is disconnected, and nobody else notices.
func TestGarbage(t *testing.T) {
	g, a := holding(t)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\n", "{}\n", "[[[[", "\x00\xff\n", `{"v":1,"kind":"hello","fds":3}` + "\n", `{"v":2,"kind":"hello"}` + "\n", strings.Repeat("x", 1<<17),
		`{"v":1,"kind":"hello","min":1,"max":1}` + "\n", `{"v":1,"kind":"hello","min":2,"max":9,"container":"c","life":"l"}` + "\n",
		`{"v":1,"kind":"hello","min":1,"max":1,"container":"c d","life":"l"}` + "\n", `{"v":1,"kind":"hello","min":1,"max":1,"container":"c","life":"l","state":"king"}` + "\n",
		`{"v":1,"kind":"hello","min":1,"max":1,"container":"c","life":"l","generation":-1}` + "\n", `{"v":1,"kind":"hello","min":1,"max":1,"container":"c","life":"l","sockets":[{"endpoint":"web","generation":1}]}` + "\n"} {
		c, err := net.Dial("unix", g.set.Gate)
		must(t, err)
		_, _ = c.Write([]byte(text))
		_ = c.(*net.UnixConn).CloseWrite()
		var answer [4096]byte
		for err == nil {
			_, err = c.Read(answer[:])
		}
		c.Close()
	}
	g.asksOnly(a.name)
	a.must(gatewire.Message{Op: gatewire.OpShare, Endpoint: "web", Generation: 1})
}

// Those who say nothing make room for who comes.
func TestSilence(t *testing.T) {
	g, a := holding(t)
	for range 3 * maxNew {
		c, err := net.Dial("unix", g.set.Gate)
		must(t, err)
		defer c.Close()
	}
	b, welcome := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	if welcome.Role != gatewire.Successor {
		t.Errorf("welcomed as %s", welcome.Role)
	}
	b.serve(1)
	g.asksOnly(a.name)
}

// Members are bounded.
func TestManyMembers(t *testing.T) {
	g, a := holding(t)
	for i := 1; i < maxMembers; i++ {
		joinGate(t, g, fmt.Sprintf("member-%d", i))
	}
	more := dialGate(t, g, "one-more")
	more.hello(gatewire.Message{})
	if got := more.next(gatewire.Refuse, gatewire.Welcome); got.Kind != gatewire.Refuse {
		t.Errorf("one more is told %+v", got)
	}
	more.gone()
	g.asksOnly(a.name)
}

// A flood of calls ends the connection of who sends it, or is answered; others have their
// answers in the meantime.
func TestFlood(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for range 20000 {
			if b.conn.Send(&gatewire.Message{Kind: gatewire.Call, ID: 1, Op: gatewire.OpCounts, Endpoint: "web"}, nil) != nil {
				return
			}
		}
	}()
	for range 20 {
		a.must(gatewire.Message{Op: gatewire.OpShare, Endpoint: "web", Generation: 1})
	}
	g.asksOnly(a.name)
	<-flood
}

// Calls that wait for ever are bounded: one asks again and again, and the one before is
// answered; with one call too many that have no answer the connection ends.
func TestTooManyCalls(t *testing.T) {
	g, a := holding(t)
	a.must(gatewire.Message{Op: gatewire.OpTurn}) // so that others wait
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	for range 3 * gatewire.MaxCalls { // fewer than this side would queue
		b.begin(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	}
	until(t, "all but the last are answered, or it is disconnected", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.waiting) <= 1 || g.state(b.name) == "away"
	})
	g.asksOnly(a.name)

	out := logline.New(logline.Options{})
	defer out.Close(0)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	here, there := gatewire.NewConn(pair[0]), gatewire.NewConn(pair[1])
	defer here.Close()
	defer there.Close()
	s := &session{g: &Gate{logger: logger{out}}, conn: here, calls: gatewire.MaxCalls}
	s.g.call(s, &gatewire.Message{Kind: gatewire.Call, ID: 1, Op: gatewire.OpTurn})
	if m, _, err := there.Recv(); err != nil || m.Kind != gatewire.Refuse || !s.gone {
		t.Errorf("told %+v, %v", m, err)
	}
}

// Who does not read is disconnected.
func TestDoesNotRead(t *testing.T) {
	g, a := holding(t)
	c, err := gatewire.Dial(g.set.Gate)
	must(t, err)
	defer c.Close()
	must(t, c.Send(&gatewire.Message{Kind: gatewire.Hello, Min: 1, Max: 1, Container: "deaf", Life: "l"}, nil))
	until(t, "it is disconnected", func() bool {
		for range 50 {
			if c.Send(&gatewire.Message{Kind: gatewire.Call, ID: 1, Op: "nonsense" + gatewire.Op(strings.Repeat("x", 4000))}, nil) != nil {
				return true
			}
		}
		return g.state("deaf") == "away"
	})
	g.asksOnly(a.name)
}

// A member has no say about what is not its own.
func TestLies(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	for _, c := range []struct {
		call gatewire.Message
		code string
	}{
		{gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpAim, Endpoint: "web", Generation: 1, Share: shares.Full}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpLook, Endpoint: "web", Generation: 1}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpProbe, Endpoint: "web", Generation: 1, Address: g.address()}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpSleep, Endpoint: "web"}, gatewire.CodeDenied},
		{gatewire.Message{Op: gatewire.OpWake, Endpoint: "web"}, gatewire.CodeDenied},
		{gatewire.Message{Op: gatewire.OpAdd, Endpoint: "other", Generation: 1}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpAdd, Endpoint: "web", Generation: 0}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpAdd, Endpoint: "web", Generation: -1}, gatewire.CodeNone},
		{gatewire.Message{Op: "dance"}, gatewire.CodeNone},
		{gatewire.Message{Op: gatewire.OpRollback}, gatewire.CodeDenied},
	} {
		if got := b.call(c.call); got.m.Code != c.code || got.m.Error == "" || len(got.fds) > 0 {
			t.Errorf("%s: %+v", c.call.Op, got.m)
		}
	}
	b.serve(1)
	if got := b.call(gatewire.Message{Op: gatewire.OpAim, Endpoint: "web", Generation: 1, Share: shares.Full}); got.m.Code != gatewire.CodeDenied {
		t.Errorf("aims at itself: %+v", got.m)
	}
	// It says what is not so: it leaves, it took, it has settled.
	for _, op := range []gatewire.Op{gatewire.OpSettled, gatewire.OpTook, gatewire.OpDone} {
		b.call(gatewire.Message{Op: op, Generation: 1})
	}
	if got := g.state(b.name); got == "holder" {
		t.Errorf("it is %s", got)
	}
	g.asksOnly(a.name)
	// Many generations: others have their place.
	full := false
	for n := 2; n < 40; n++ {
		got := b.call(gatewire.Message{Op: gatewire.OpAdd, Endpoint: "web", Generation: n})
		closeAll(got.fds)
		full = full || got.m.Code == gatewire.CodeFull
	}
	if !full {
		t.Error("it has sockets for 40 generations")
	}
	a.must(gatewire.Message{Op: gatewire.OpAdd, Endpoint: "web", Generation: 2})
	g.asksOnly(a.name)
}

// The container of a member that is there is nobody else's; once it has gone it is.
func TestSameContainer(t *testing.T) {
	g, a := holding(t)
	b := dialGate(t, g, a.name)
	b.hello(gatewire.Message{Life: "other"})
	if got := b.next(gatewire.Refuse, gatewire.Welcome); got.Kind != gatewire.Refuse || !strings.Contains(got.Reason, "has joined already") {
		t.Errorf("told %+v", got)
	}
	b.gone()
	g.asksOnly(a.name)
	a.leave()
	c, welcome := joinGate(t, g, a.name)
	if welcome.Role != gatewire.Holder {
		t.Errorf("come again it is %s", welcome.Role)
	}
	c.hold(1)
	g.asksOnly(c.name)
}

// Who may join: uid 0, the gate's own, and those that it allows.
func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		allow config.UIDs
		uid   uint32
		want  bool
	}{
		{config.UIDs{}, 0, true}, {config.UIDs{}, 7, true}, {config.UIDs{}, 8, false},
		{config.UIDs{List: []uint32{8}}, 8, true}, {config.UIDs{List: []uint32{8}}, 9, false}, {config.UIDs{Any: true}, 9, true},
	} {
		g := &Gate{set: &config.Settings{GateAllow: c.allow}, uid: 7}
		if got := g.allowed(c.uid); got != c.want {
			t.Errorf("%+v, uid %d: %v", c.allow, c.uid, got)
		}
	}
}

// One that may not is told so, and what would let it in.
func TestStranger(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	set := settings(t)
	set.Gate = fmt.Sprintf("@swapinit-test-gate-%d", os.Getpid())
	g := start(t, set)
	g.do(control.Request{Verb: control.VerbHealth})
	var m *peer
	connected := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine: its uid is never root's again
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			connected <- errno
			return
		}
		conn, err := gatewire.Dial(set.Gate)
		m = &peer{t: t, name: "stranger", conn: conn, waiting: map[int]chan answered{}, told: make(chan *gatewire.Message, 10)}
		connected <- err
	}()
	must(t, <-connected)
	go m.read()
	if got := m.next(gatewire.Refuse); got.Reason != "uid 65534 may not join this gate: it needs SWAPINIT_GATE_ALLOW=65534 at the gate" {
		t.Errorf("told %+v", got)
	}
	m.gone()
	until(t, "a line in the log", func() bool { return g.log.has("turned away uid 65534") == "" })
}
