package member

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"

	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// A gate that says more than the loop takes is disconnected, and answers come whatever
// the loop does.
func TestFlood(t *testing.T) {
	m, g, p := joined(t)
	blocked, told := make(chan struct{}), make(chan string, 1000)
	m.Start(func(n *gatewire.Message) {
		<-blocked
		told <- string(n.Kind)
	}, func(away bool) {
		if away {
			told <- "away"
		}
	})
	r := do(m, gatewire.OpTurn, 0)
	p.answer(p.call(gatewire.OpTurn), gatewire.Message{})
	if r := receive(t, r, "answer"); r.err != nil {
		t.Error(r.err)
	}
	for range notices - 1 { // as many as there is room for: nothing happens
		p.send(&gatewire.Message{Kind: gatewire.Cut}, listener(t))
	}
	r = do(m, gatewire.OpTurn, 0)
	p.answer(p.call(gatewire.OpTurn), gatewire.Message{})
	if r := receive(t, r, "answer"); r.err != nil {
		t.Error(r.err)
	}
	for n := 0; p.Send(&gatewire.Message{Kind: gatewire.Cut}, nil) == nil; n++ {
		if n > 1<<20 {
			t.Fatal("it takes any number of them")
		}
	}
	// Sending ends as soon as the other side does not keep up, which may read on.
	lost := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.away
	}
	for end := time.Now().Add(time.Minute); !lost(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not hang up")
		}
	}
	close(blocked)
	for n := 1; ; n++ {
		if got := receive(t, told, "notice"); got == "away" {
			break
		} else if got != "cut" || n > notices+1 {
			t.Fatalf("told %q after %d", got, n)
		}
	}
	g.join()
	for receive(t, told, "welcome") != "welcome" {
	}
}

// A gate that pings and reads nothing is disconnected.
func TestPings(t *testing.T) {
	_, _, p, said := started(t)
	for n := 0; p.Send(&gatewire.Message{Kind: gatewire.Ping}, nil) == nil; n++ {
		if n > 1<<20 {
			t.Fatal("it takes any number of them")
		}
	}
	expect(t, said, "away")
}

// Whatever breaks the rules is the end of the connection, not of the member.
func TestGarbage(t *testing.T) {
	m, g, p, said := started(t)
	r := do(m, gatewire.OpTurn, 0)
	p.call(gatewire.OpTurn)
	g.l.Close()
	p.end()
	expect(t, said, "away")
	l, made, err := unixname.Listen(g.path, 0o666, 5)
	if err != nil {
		t.Fatal(err)
	}
	const welcome = `{"v":1,"kind":"welcome","version":1}` + "\n"
	for _, text := range []string{
		"", "HTTP/1.1 400 Bad Request\r\n", strings.Repeat("x", gatewire.MaxLine+1), welcome, welcome + "HTTP\n", welcome + `{"v":1,"kind":"answer","fds":1}` + "\n", welcome + `{"v":1,"kind":"answer","id":-1}` + "\n",
	} {
		until(t, "the member dials", func() bool {
			fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if err == nil {
				_, _ = syscall.SendmsgN(fd, []byte(text), nil, nil, syscall.MSG_NOSIGNAL)
				syscall.Close(fd)
			}
			return err == nil
		})
		if strings.HasPrefix(text, welcome) {
			expect(t, said, "there", "welcome", "away")
		}
	}
	syscall.Close(l)
	made.Remove()
	g.open()
	p = g.join()
	p.answer(p.call(gatewire.OpTurn), gatewire.Message{})
	if r := receive(t, r, "answer"); r.err != nil {
		t.Error(r.err)
	}
}

// A gate that never answers: what asks how things are has an end.
func TestHung(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	add(t, g, p, 1, false, listener(t))
	observe := g.Observe(1)
	var ends []<-chan error
	for _, f := range []func() error{
		func() error { _, err := observe(time.Second); return err },
		func() error { return g.Counts(time.Second, nil) },
		func() error { _, err := g.Dial(1, netip.AddrPort{}); return err },
		func() error { _, err := g.Accepted(netip.AddrPort{}); return err },
		func() error { return g.Listen(1) },
		func() error {
			if _, ok := g.Share(1); ok {
				return nil
			}
			return ErrTimeout
		},
	} {
		ends = append(ends, run(f))
	}
	for _, end := range ends {
		wantIs(t, receive(t, end, "end"), ErrTimeout)
	}
}

// FuzzGate is a gate that sends anything, with anything, at any time. Every call has its
// end, nothing is leaked, and what a member believes to have are sockets.
func FuzzGate(f *testing.F) {
	const ok = `{"v":1,"kind":"answer","id":1,"fds":1}` + "\n"
	f.Add([]byte(ok), []byte{0x3f, 0x3f})
	f.Add([]byte(ok+`{"v":1,"kind":"answer","id":2,"looks":[{"open":-1}]}`+"\n"+`{"v":1,"kind":"lost","epoch":-1}`+"\n"), []byte{0x65})
	f.Add([]byte(`{"v":1,"kind":"answer","id":3,"code":"full","fds":3}`+"\n{}"), []byte{0xff})
	f.Add([]byte(`{"v":1,"kind":"answer","id":4,"fds":1}`+"\n"+ok), []byte{0x5f, 0x5f})
	f.Add([]byte(strings.Repeat(`{"v":1,"kind":"ping"}`+"\n", 99)), []byte{})
	f.Fuzz(func(t *testing.T, stream, plan []byte) {
		before := open(t)
		ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		// Not the gate's own end: then the member itself kept the connection.
		spare := []int{listener(t), ends[0], 0}
		m := newMember(Options{Path: "@swapinit-test-of-nobody"})
		m.conn = gatewire.NewConn(ends[0])
		m.Start(func(*gatewire.Message) {}, func(bool) {})
		g := m.Group(gatewire.Endpoint{Name: "8080"})
		var gate, calls sync.WaitGroup
		gate.Go(func() {
			defer syscall.Close(ends[1])
			for len(stream) > 0 {
				n, fds := len(stream), 0
				if len(plan) > 0 {
					n, fds, plan = min(n, int(plan[0]&31)+1), int(plan[0]>>5)%4, plan[1:]
				}
				var rights []byte
				if fds > 0 {
					rights = syscall.UnixRights(spare[:fds]...)
				}
				if _, err := syscall.SendmsgN(ends[1], stream[:n], rights, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT); err != nil {
					return
				}
				stream = stream[n:]
			}
		})
		calls.Go(func() {
			if g.Add(1, false) != nil {
				return
			}
			fd, _, err := g.Lend(1)
			if err == nil && isSocket(fd) != nil {
				t.Error("it has no socket")
			}
			if err == nil {
				syscall.Close(fd)
			}
		})
		calls.Go(func() { _ = g.Counts(time.Second, func(int, steer.Look) {}) })
		calls.Go(func() {
			if conn, err := g.Dial(1, netip.AddrPort{}); err == nil {
				conn.Close()
			}
		})
		calls.Go(func() {
			_, fds, _ := m.Do(&gatewire.Message{Op: gatewire.OpAsk}, 0)
			closeAll(fds)
		})
		gate.Wait()
		until(t, "the end of the connection is seen", func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.away
		})
		m.Close()
		calls.Wait()
		until(t, "all is closed", func() bool { return open(t) <= before+1 }) // the listener is the test's
	})
}
