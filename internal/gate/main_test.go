package gate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/shares"
)

// eventually polls until f is "", else the test ends with what it says.
func eventually(t *testing.T, f func() string) {
	t.Helper()
	why := ""
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if why = f(); why == "" {
			return
		}
	}
	t.Fatal(why)
}

// testGate is a gate that runs in this process.
type testGate struct {
	t       *testing.T
	set     *config.Settings
	signals chan os.Signal
	status  chan int
	log     *lineLog
	gate    *Gate // nil for one in a process of its own
}

// lineLog keeps the lines of a log.
type lineLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *lineLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *lineLog) has(part string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			return ""
		}
	}
	return fmt.Sprintf("no line has %q:\n%s", part, strings.Join(l.lines, "\n"))
}

func settings(t *testing.T) *config.Settings {
	dir := t.TempDir()
	return &config.Settings{AsGate: true, Gate: filepath.Join(dir, "gate.sock"), Listen: "web=127.0.0.1:" + freePort(t),
		Control: filepath.Join(dir, "control.sock"), Log: "debug", IdleAfter: time.Second}
}

// start starts a gate; end or the end of the test ends it.
func start(t *testing.T, set *config.Settings) *testGate {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &testGate{t: t, set: set, signals: make(chan os.Signal, 1), status: make(chan int, 1), log: &lineLog{}}
	out := logline.New(logline.Options{FD: int(w.Fd()), Level: logline.ParseLevel(set.Log)})
	w.Close()
	go func() {
		defer r.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			g.log.add(in.Text())
		}
	}()
	g.gate = newGate(Config{Settings: set, Signals: g.signals, Version: "test"}, out)
	go func() { g.status <- g.gate.main() }()
	t.Cleanup(func() {
		g.end()
		if t.Failed() {
			t.Log(g.log.has("every line"))
		}
	})
	return g
}

// end has the gate end by TERM and returns its status.
func (g *testGate) end() int {
	select {
	case g.signals <- syscall.SIGTERM:
	default:
	}
	select {
	case status := <-g.status:
		g.status <- status
		return status
	case <-time.After(patience):
		g.t.Error("the gate does not end")
		return -1
	}
}

func (g *testGate) do(req control.Request) *control.Reply {
	g.t.Helper()
	var reply *control.Reply
	eventually(g.t, func() string {
		var err error
		if reply, err = control.Do(g.set.Control, req, nil); err != nil {
			return err.Error()
		}
		return ""
	})
	return reply
}

// state is what status says of a container.
func (g *testGate) state(container string) string {
	r := g.do(control.Request{Verb: control.VerbStatus})
	for _, m := range r.Status.Gate.Members {
		if m.Container == container {
			return m.State
		}
	}
	return "unknown"
}

// rests reports whether what status says has been done: it tells of moves when they are
// decided on.
func (g *testGate) rests() bool {
	is := make(chan bool, 1)
	g.gate.post(func() { is <- !g.gate.moving && len(g.gate.effects) == 0 })
	select {
	case rests := <-is:
		return rests
	case <-g.gate.over:
		return false
	}
}

// peer is a fake member: what a container that has joined does on the wire, and a server.
type peer struct {
	t       *testing.T
	name    string
	conn    *gatewire.Conn
	mu      sync.Mutex
	last    int
	waiting map[int]chan answered
	told    chan *gatewire.Message // what is no answer
	servers []*server
}

type answered struct {
	m   *gatewire.Message
	fds []int
}

func dialGate(t *testing.T, g *testGate, name string) *peer {
	t.Helper()
	m := &peer{t: t, name: name, waiting: map[int]chan answered{}, told: make(chan *gatewire.Message, 100)}
	eventually(t, func() string {
		var err error
		if m.conn, err = gatewire.Dial(g.set.Gate); err != nil {
			return err.Error()
		}
		return ""
	})
	go m.read()
	t.Cleanup(m.leave)
	return m
}

func (m *peer) read() {
	defer close(m.told)
	for {
		got, fds, err := m.conn.Recv()
		if err != nil {
			return
		}
		switch got.Kind {
		case gatewire.Ping:
			_ = m.conn.Send(&gatewire.Message{Kind: gatewire.Pong}, nil)
		case gatewire.Answer:
			m.mu.Lock()
			c := m.waiting[got.ID]
			delete(m.waiting, got.ID)
			m.mu.Unlock()
			if c != nil {
				c <- answered{got, fds}
			}
		default:
			m.told <- got
		}
	}
}

// leave is the death of the container: its servers and its connection.
func (m *peer) leave() {
	for _, s := range m.servers {
		s.stop()
	}
	m.conn.Close()
}

// next is the next that the gate tells of one of these kinds.
func (m *peer) next(kinds ...gatewire.Kind) *gatewire.Message {
	m.t.Helper()
	late := time.After(patience)
	for {
		select {
		case got, ok := <-m.told:
			if !ok {
				m.t.Fatalf("%s: disconnected, waiting for %v", m.name, kinds)
			}
			for _, k := range kinds {
				if got.Kind == k {
					return got
				}
			}
		case <-late:
			m.t.Fatalf("%s: no %v", m.name, kinds)
		}
	}
}

func (m *peer) hello(h gatewire.Message, fds ...int) {
	m.t.Helper()
	h.Kind, h.Min, h.Max, h.Container = gatewire.Hello, 1, 1, m.name
	if h.Life == "" {
		h.Life = "life of " + m.name
		h.Life = strings.ReplaceAll(h.Life, " ", "-")
	}
	if err := m.conn.Send(&h, fds); err != nil {
		m.t.Fatal(err)
	}
}

// begin sends a call; its answer comes in the channel.
func (m *peer) begin(c gatewire.Message) chan answered {
	m.t.Helper()
	ch := make(chan answered, 1)
	m.mu.Lock()
	m.last++
	c.Kind, c.ID = gatewire.Call, m.last
	m.waiting[c.ID] = ch
	m.mu.Unlock()
	if err := m.conn.Send(&c, nil); err != nil {
		m.t.Fatal(err)
	}
	return ch
}

func (m *peer) wait(ch chan answered) answered {
	m.t.Helper()
	select {
	case a := <-ch:
		return a
	case <-time.After(patience):
		m.t.Fatalf("%s: no answer", m.name)
		return answered{}
	}
}

func (m *peer) call(c gatewire.Message) answered {
	m.t.Helper()
	return m.wait(m.begin(c))
}

// must is call, which has to succeed.
func (m *peer) must(c gatewire.Message) answered {
	m.t.Helper()
	a := m.call(c)
	if a.m.Error != "" {
		m.t.Fatalf("%s: %s: %s (%s)", m.name, c.Op, a.m.Error, a.m.Code)
	}
	return a
}

// joinGate says hello and returns the welcome.
func joinGate(t *testing.T, g *testGate, name string) (*peer, *gatewire.Message) {
	t.Helper()
	m := dialGate(t, g, name)
	m.hello(gatewire.Message{Release: "release-" + name})
	return m, m.next(gatewire.Welcome)
}

// serve starts the server of a generation.
func (m *peer) serve(generation int) *server {
	m.t.Helper()
	a := m.must(gatewire.Message{Op: gatewire.OpAdd, Endpoint: "web", Generation: generation})
	if len(a.fds) != 1 {
		m.t.Fatalf("add: %d descriptors", len(a.fds))
	}
	s := newServer(m.t, m.name, a.fds[0])
	m.servers = append(m.servers, s)
	return s
}

// hold makes a member that has just joined the one that has the traffic.
func (m *peer) hold(generation int) *server {
	m.t.Helper()
	s := m.serve(generation)
	m.must(gatewire.Message{Op: gatewire.OpAsk, Generation: generation, Share: shares.Full})
	m.must(gatewire.Message{Op: gatewire.OpSettled})
	return s
}

// address is where a gate of these settings has its endpoint.
func (g *testGate) address() string { return strings.TrimPrefix(g.set.Listen, "web=") }

// ask makes a connection and returns who answers.
func (g *testGate) ask() (string, error) {
	c, err := net.DialTimeout("tcp", g.address(), patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return say(c)
}

func say(c net.Conn) (string, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "who\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

func (g *testGate) asksOnly(name string) {
	g.t.Helper()
	for range 20 {
		if got, err := g.ask(); err != nil || got != name {
			g.t.Fatalf("answered by %q (%v), want %s", got, err, name)
		}
	}
}

// takesBack has the member take the traffic when it is told to.
func (m *peer) takesBack() {
	go func() {
		for got := range m.told {
			if got.Kind == gatewire.Back {
				m.begin(gatewire.Message{Op: gatewire.OpTook, Generation: 1})
				return
			}
		}
	}()
}
