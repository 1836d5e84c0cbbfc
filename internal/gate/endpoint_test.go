package gate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// patience ends a wait that would otherwise never end; nothing is asserted about time.
const patience = 90 * time.Second

// until polls, yielding, for something that must come true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// freePort finds a port that nobody used a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// parse reads a list in which each PORT is a free port and DIR a fresh folder.
func parse(t *testing.T, list string) []listen.Spec {
	t.Helper()
	for strings.Contains(list, "PORT") {
		list = strings.Replace(list, "PORT", freePort(t), 1)
	}
	specs, err := listen.Parse(strings.ReplaceAll(list, "DIR", t.TempDir()))
	must(t, err)
	return specs
}

func options(t *testing.T) Options {
	return Options{
		Report: func(line string) { t.Log(line) },
		Failed: func(name string, err error) { t.Log(name, err) },
	}
}

// opened are endpoints that end with the test.
func opened(t *testing.T, list string) *Endpoints {
	t.Helper()
	for try := 0; ; try++ {
		e, err := Open(parse(t, list), options(t))
		if errors.Is(err, unix.EADDRINUSE) && try < 20 { // somebody was faster
			continue
		}
		must(t, err)
		t.Cleanup(e.Close)
		return e
	}
}

// dial connects to an endpoint, with the address in place of its own.
func dial(t *testing.T, e *Endpoints, name, host string) net.Conn {
	t.Helper()
	conn, err := try(e, name, host)
	must(t, err)
	t.Cleanup(func() { reset(conn) })
	return conn
}

func try(e *Endpoints, name, host string) (net.Conn, error) {
	one := e.find(name)
	if one == nil {
		return nil, ErrNone
	}
	if one.Network == "unix" {
		return net.DialTimeout("unix", one.Path, patience)
	}
	return net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(one.Addr.Port())), patience)
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// member has what a slot was lent, by endpoint.
type member struct {
	slot int
	fds  map[string]int
}

func join(t *testing.T, e *Endpoints, slot int, names ...string) *member {
	t.Helper()
	m := &member{slot, map[string]int{}}
	for _, name := range names {
		fd, err := e.Add(name, slot, false)
		must(t, err)
		m.fds[name] = fd
		t.Cleanup(func() { unix.Close(fd) })
	}
	return m
}

// waiting is what waits in a queue.
func (m *member) waiting(t *testing.T, name string) (n int) {
	t.Helper()
	for {
		poll := []unix.PollFd{{Fd: int32(m.fds[name]), Events: unix.POLLIN}}
		if got, err := unix.Poll(poll, 0); err == unix.EINTR {
			continue
		} else if err != nil || got == 0 {
			return n
		}
		conn, _, err := unix.Accept4(m.fds[name], unix.SOCK_CLOEXEC)
		must(t, err)
		n++
		unix.Close(conn)
	}
}

// gets checks that connections to all endpoints go to the member.
func (m *member) gets(t *testing.T, e *Endpoints) {
	t.Helper()
	for name := range m.fds {
		host := "127.0.0.1"
		if e.find(TwinName(name)) != nil { // which has those
			host = "::1"
		}
		for range 10 {
			dial(t, e, name, host)
		}
		got := 0
		until(t, "connections to "+name, func() bool { got += m.waiting(t, name); return got >= 10 })
	}
}

const both = "web=tcp://:PORT,unix=unix://DIR/s"

func TestATakeover(t *testing.T) {
	e := opened(t, both)
	one := join(t, e, 1, "web", "unix")
	one.gets(t, e)
	two := join(t, e, 2, "web", "unix")
	one.gets(t, e)
	<-e.Aim(2, 1, shares.Full, "")
	two.gets(t, e)
	if share, ok := e.Share("web", 2); share != shares.Full || !ok {
		t.Errorf("its share is %d, %v", share, ok)
	}
	<-e.Aim(1, 2, shares.Full, "")
	one.gets(t, e)
	<-e.Aim(2, 1, shares.Full, "")
	e.LeaveAll(1)
	two.gets(t, e)
	if _, ok := e.Share("web", 1); ok {
		t.Error("it has left, and has a share")
	}
}

// Connections wait for the one that comes next, and it gets exactly those.
func TestWaiting(t *testing.T) {
	for _, leaves := range []string{"it died", "it was told to stop"} {
		e := opened(t, both)
		one := join(t, e, 1, "web", "unix")
		one.gets(t, e)
		if leaves == "it was told to stop" {
			must(t, e.Wait())
			if n := one.waiting(t, "web"); n != 0 {
				t.Errorf("it has %d of those that are to wait", n)
			}
		}
		e.LeaveAll(1)
		for name, fd := range one.fds {
			until(t, "connections wait", func() bool { return e.Waiting(name) })
			unix.Close(fd)
			one.fds[name] = -1
			for range 5 {
				dial(t, e, name, "127.0.0.1")
			}
			until(t, "5 in the queue of "+name, func() bool { n, err := e.Queued(name); must(t, err); return n == 5 })
		}
		two := join(t, e, 2, "web", "unix")
		for name := range two.fds {
			got := 0
			until(t, "those that have waited", func() bool { got += two.waiting(t, name); return got >= 5 })
			if got != 5 {
				t.Errorf("%s, %s: %d of 5", leaves, name, got)
			}
			if e.Waiting(name) {
				t.Errorf("%s: they wait", name)
			}
		}
		two.gets(t, e)
	}
}

// What waits is reset when somebody else gets the traffic.
func TestWhatNobodyServesIsReset(t *testing.T) {
	e := opened(t, both)
	one := join(t, e, 1, "web", "unix")
	two := join(t, e, 2, "web", "unix")
	e.LeaveAll(1)
	conns := map[string]net.Conn{}
	for name := range one.fds {
		conns[name] = dial(t, e, name, "127.0.0.1")
	}
	<-e.Aim(2, 2, shares.Full, "")
	for name, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	two.gets(t, e)
}

func TestAllPlaces(t *testing.T) {
	e := opened(t, "web=tcp://:PORT")
	for slot := range 14 {
		join(t, e, slot+1, "web")
	}
	if _, err := e.Add("web", 15, false); !errors.Is(err, steer.ErrFull) {
		t.Fatalf("a 15th: %v", err)
	}
	if share, ok := e.Share("web", 1); share != shares.Full || !ok {
		t.Errorf("its share is %d, %v", share, ok)
	}
	e.LeaveAll(7)
	last := join(t, e, 15, "web")
	<-e.Aim(15, 1, shares.Full, "")
	last.gets(t, e)
}

// Where a slot can have no socket of its own it has none.
func TestNobodyShares(t *testing.T) {
	e := opened(t, both)
	one := join(t, e, 1, "web", "unix")
	hidden := filepath.Join(filepath.Dir(e.find("unix").Path), ".s.swapinit.2")
	must(t, os.Mkdir(hidden, 0o700))
	if _, err := e.Add("unix", 2, false); err == nil {
		t.Error("it has one")
	}
	one.gets(t, e)
	must(t, os.Remove(hidden))
	two := join(t, e, 2, "web", "unix")
	<-e.Aim(2, 1, shares.Full, "")
	two.gets(t, e)
	if _, err := e.Add("web", 3, true); err != nil { // as asked for
		t.Error(err)
	}
	if _, ok := e.Share("web", 3); ok {
		t.Error("it has a share, but no socket for itself")
	}
}

func TestRefused(t *testing.T) {
	for list, want := range map[string]string{
		"udp://:PORT": "a gate has tcp:// and unix:// endpoints only",
		"unix://DIR/" + strings.Repeat("x", 95-len(t.TempDir())): "use a shorter path",
	} {
		specs := parse(t, list)
		if e, err := Open(specs, options(t)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", list, e, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	specs, err := listen.Parse("unix://" + filepath.Join(t.TempDir(), "s") + ",tcp://" + l.Addr().String())
	must(t, err)
	if _, err = Open(specs, options(t)); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v", err)
	}
}
