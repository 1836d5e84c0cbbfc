package member

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/gatewire"
	"golang.org/x/sys/unix"
)

// watch fails the test if descriptors are left over at its end.
func watch(t *testing.T) {
	t.Helper()
	before := open(t)
	t.Cleanup(func() {
		until(t, "all descriptors are closed", func() bool { return open(t) <= before })
	})
}

func open(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !yes(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so within a minute: %s", what)
		}
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatalf("no %s within a minute", what)
	}
	return v
}

// gate is a fake one. Its test says what it answers.
type gate struct {
	t       *testing.T
	path    string
	l       *gatewire.Listener
	welcome gatewire.Message
}

func newGate(t *testing.T) *gate {
	g := &gate{t: t, path: t.TempDir() + "/gate.sock", welcome: gatewire.Message{Kind: gatewire.Welcome, Version: 1, Epoch: 1, Role: gatewire.Holder, Endpoints: []gatewire.Endpoint{{Name: "8080", Text: ":8080"}}}}
	g.open()
	t.Cleanup(func() { g.l.Close() })
	return g
}

func (g *gate) open() {
	g.t.Helper()
	l, err := gatewire.Listen(g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	g.l = l
}

// peer is the gate's end of a member's connection.
type peer struct {
	*gatewire.Conn
	t       *testing.T
	hello   *gatewire.Message
	sockets []int // that came with it
}

// accept waits for a member's hello, and does not answer.
func (g *gate) accept() *peer {
	g.t.Helper()
	type result struct {
		p   *peer
		err error
	}
	got := make(chan result, 1)
	l := g.l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				got <- result{err: err}
				return
			}
			hello, fds, err := conn.Recv()
			if err != nil { // Listen has asked whether somebody is there
				conn.Close()
				continue
			}
			got <- result{p: &peer{Conn: conn, t: g.t, hello: hello, sockets: fds}}
			return
		}
	}()
	r := receive(g.t, got, "member")
	if r.err != nil {
		g.t.Fatal(r.err)
	}
	g.t.Cleanup(r.p.end)
	return r.p
}

func (p *peer) end() {
	p.Close()
	closeAll(p.sockets)
	p.sockets = nil
}

func (g *gate) join() *peer {
	g.t.Helper()
	p := g.accept()
	p.send(&g.welcome)
	return p
}

func (p *peer) send(m *gatewire.Message, fds ...int) {
	p.t.Helper()
	if err := p.Send(m, fds); err != nil {
		p.t.Error(err)
	}
}

// next is the member's next message.
func (p *peer) next() *gatewire.Message {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(time.Minute))
	m, fds, err := p.Recv()
	if err != nil {
		p.t.Fatal(err)
	}
	closeAll(fds)
	return m
}

// call is the next call, which is to be of op.
func (p *peer) call(op gatewire.Op) *gatewire.Message {
	p.t.Helper()
	m := p.next()
	if m.Kind != gatewire.Call || m.Op != op {
		p.t.Fatalf("%+v, want the call %s", m, op)
	}
	return m
}

// answer answers a call.
func (p *peer) answer(call *gatewire.Message, a gatewire.Message, fds ...int) {
	p.t.Helper()
	a.Kind, a.ID = gatewire.Answer, call.ID
	p.send(&a, fds...)
}

func (g *gate) options() Options {
	return Options{Path: g.path, Container: "c1", Release: "v1", Life: "abc", Timeout: time.Minute}
}

// joined is a member that has joined and was not started, and the gate's end of it.
func joined(t *testing.T) (*Member, *gate, *peer) {
	t.Helper()
	watch(t)
	g := newGate(t)
	type result struct {
		m   *Member
		err error
	}
	done := make(chan result, 1)
	go func() {
		m, _, err := Join(g.options())
		done <- result{m, err}
	}()
	p := g.join()
	r := receive(t, done, "join")
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(r.m.Close)
	return r.m, g, p
}

// started is one that was started, and what it is told.
func started(t *testing.T) (*Member, *gate, *peer, chan string) {
	t.Helper()
	m, g, p := joined(t)
	said := make(chan string, 1000)
	m.Start(func(n *gatewire.Message) { said <- string(n.Kind) + n.Reason }, func(away bool) {
		if away {
			said <- "away"
		} else {
			said <- "there"
		}
	})
	return m, g, p, said
}

func expect(t *testing.T, said <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := receive(t, said, w); got != w {
			t.Fatalf("told %q, want %q", got, w)
		}
	}
}

// listener returns a socket as a gate gives.
func listener(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 5)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want %q", err, want)
	}
}

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}
