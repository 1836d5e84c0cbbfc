package member

import (
	"reflect"
	"testing"

	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// run does what a loop would, beside the test that is the gate.
func run[T any](f func() T) <-chan T {
	done := make(chan T, 1)
	go func() { done <- f() }()
	return done
}

// add gives generation n a socket.
func add(t *testing.T, g *Group, p *peer, n int, share bool, fd int) *gatewire.Message {
	t.Helper()
	done := run(func() error { return g.Add(n, share) })
	c := p.call(gatewire.OpAdd)
	p.answer(c, gatewire.Message{}, fd)
	if err := receive(t, done, "Add"); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGroupSockets(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080", Unseen: "why"})
	if m.Group(gatewire.Endpoint{Name: "8080", Unseen: "why"}) != g || g.Unseen() != "why" || !g.Waits() || g.Reason() != "" {
		t.Error("another group, or another state of it")
	}
	if _, _, err := g.Lend(1); err != steer.ErrNoSocket || g.Inode(1) != 0 || g.Observe(1) != nil {
		t.Errorf("without a socket: %v", err)
	}
	if _, ok := g.Share(1); ok {
		t.Error("a share without a socket")
	}
	a, b := listener(t), listener(t)
	c := add(t, g, p, 1, false, a)
	if want := (&gatewire.Message{Kind: gatewire.Call, ID: c.ID, Op: gatewire.OpAdd, Endpoint: "8080", Generation: 1}); !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	if err := g.Add(1, false); err != nil { // asks nobody
		t.Error(err)
	}
	if c = add(t, g, p, 2, false, b); c.Together {
		t.Errorf("%+v", c)
	}
	if c = add(t, g, p, 3, true, b); !c.Together {
		t.Errorf("%+v", c)
	}
	if g.Inode(1) != inode(t, a) || g.Inode(2) != inode(t, b) || g.Inode(3) != inode(t, b) {
		t.Errorf("inodes %d %d %d", g.Inode(1), g.Inode(2), g.Inode(3))
	}
	fd, of, err := g.Lend(2)
	if err != nil || of != inode(t, b) || inode(t, fd) != of || fd <= 2 {
		t.Errorf("lent %d, %d, %v", fd, of, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %d, %v", flags, err)
	}
	unix.Close(fd)
	// Two that share can be told apart by nobody.
	if _, ok := g.Share(2); ok || g.Observe(2) != nil || g.Observe(1) == nil {
		t.Error("looks at two that share a socket")
	}
	left := run(func() bool { g.Leave(3); return true })
	p.answer(p.call(gatewire.OpLeave), gatewire.Message{})
	receive(t, left, "Leave")
	if g.Inode(3) != 0 || g.Inode(2) == 0 || g.Observe(2) == nil {
		t.Error("after generation 3 has left")
	}
	g.Leave(3)
	g.Leave(17)
	g.Close()
	wantIs(t, g.Add(4, false), steer.ErrClosed)
	wantIs(t, g.Aim(2, 1, 1, ""), steer.ErrClosed)
	if g.Inode(2) != 0 || m.Group(gatewire.Endpoint{Name: "8080"}) == g {
		t.Error("after Close")
	}
}

// There may be no place for a socket now.
func TestGroupFull(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	done := run(func() error { return g.Add(1, false) })
	for range 2 {
		p.answer(p.call(gatewire.OpAdd), gatewire.Message{Code: gatewire.CodeFull, Error: "14 sockets are in use"})
	}
	p.answer(p.call(gatewire.OpAdd), gatewire.Message{}, listener(t))
	if err := receive(t, done, "Add"); err != nil {
		t.Error(err)
	}
}

// What a gate sends in place of a socket.
func TestGroupLies(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer closeAll(pipe[:])
	datagram, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(datagram)
	for want, c := range map[string]struct {
		answer gatewire.Message
		fds    []int
	}{
		"sent 0 descriptors":                   {},
		"sent 2 descriptors":                   {fds: []int{listener(t), listener(t)}},
		"no socket for an endpoint: socket op": {fds: pipe[:1]},
		"no socket for an endpoint: protocol":  {fds: []int{datagram}},
		"generation 1: the gate: no":           {answer: gatewire.Message{Error: "no"}, fds: []int{listener(t)}},
		"it has no socket":                     {answer: gatewire.Message{Code: gatewire.CodeNone, Error: "no"}},
		`the gate: a\nb`:                       {answer: gatewire.Message{Code: "a\nb"}},
	} {
		done := run(func() error { return g.Add(1, false) })
		p.answer(p.call(gatewire.OpAdd), c.answer, c.fds...)
		wantError(t, receive(t, done, "Add"), want)
		if g.Inode(1) != 0 {
			t.Error("it has a socket")
		}
	}
	// The gate may hold one for it: it hears that nobody wants that.
	left := run(func() bool { g.Leave(1); return true })
	p.answer(p.call(gatewire.OpLeave), gatewire.Message{})
	receive(t, left, "Leave")
}

func TestGroupAim(t *testing.T) {
	m, _, p, _ := started(t)
	g := m.Group(gatewire.Endpoint{Name: "8080"})
	wantIs(t, g.Aim(1, 1, shares.Full, ""), steer.ErrNoSocket)
	add(t, g, p, 1, false, listener(t))
	add(t, g, p, 2, false, listener(t))
	for _, c := range []struct{ to, rest, share, wantTo, wantRest, wantShare int }{
		{2, 1, 100, 2, 1, 100},
		{2, 1, shares.Full, 2, 2, shares.Full},
		{2, 1, shares.Full + 1, 2, 2, shares.Full},
		{2, 1, 0, 1, 1, shares.Full},
		{2, 1, -1, 1, 1, shares.Full},
	} {
		done := run(func() error { return g.Aim(c.to, c.rest, c.share, shares.ByClient(7)) })
		call := p.call(gatewire.OpAim)
		if call.Endpoint != "8080" || call.Generation != c.wantTo || call.Rest != c.wantRest || call.Share != c.wantShare || call.By != "client:7" {
			t.Errorf("%+v gave %+v", c, call)
		}
		p.answer(call, gatewire.Message{})
		if err := receive(t, done, "Aim"); err != nil {
			t.Error(err)
		}
	}
	done := run(func() error { return g.Aim(2, 1, 5, "") })
	p.answer(p.call(gatewire.OpAim), gatewire.Message{Code: gatewire.CodeNone})
	wantIs(t, receive(t, done, "Aim"), steer.ErrNoSocket)
	done = run(func() error { return g.Aim(2, 1, 5, "") })
	p.answer(p.call(gatewire.OpAim), gatewire.Message{Code: gatewire.CodeDenied, Error: "another one has the traffic"})
	wantError(t, receive(t, done, "Aim"), "cannot aim connections at generation 2: the gate: another one has the traffic")
}

// A gate that comes back is shown every socket that is held, and told what has left.
func TestGroupAway(t *testing.T) {
	m, g, p, said := started(t)
	one, two := m.Group(gatewire.Endpoint{Name: "1"}), m.Group(gatewire.Endpoint{Name: "2"})
	a, b, c := listener(t), listener(t), listener(t)
	add(t, one, p, 1, false, a)
	add(t, two, p, 1, false, b)
	add(t, one, p, 2, false, c)
	m.Claim(gatewire.Holder, 1, 5)
	slept := run(func() bool { two.Sleep(); return true })
	p.answer(p.call(gatewire.OpSleep), gatewire.Message{})
	receive(t, slept, "Sleep")
	p.end()
	expect(t, said, "away")
	left := run(func() bool { one.Leave(2); return true })
	until(t, "it has left", func() bool { return one.Inode(2) == 0 })
	adding := run(func() error { return two.Add(2, false) })

	g.welcome.Endpoints = []gatewire.Endpoint{{Name: "1", Unseen: "new"}, {Name: "x"}}
	p = g.join()
	want := []gatewire.Socket{{Endpoint: "1", Generation: 1}, {Endpoint: "2", Generation: 1}, {Endpoint: "1", Generation: 2}}
	if h := p.hello; !reflect.DeepEqual(h.Sockets, want) || h.State != "holder" || len(p.sockets) != 3 {
		t.Fatalf("%+v", h)
	}
	for i, fd := range []int{a, b, c} {
		if inode(t, p.sockets[i]) != inode(t, fd) {
			t.Errorf("%+v came with another socket", want[i])
		}
	}
	expect(t, said, "there", "welcome")
	if one.Unseen() != "new" || !two.Asleep() {
		t.Errorf("%q, asleep: %v", one.Unseen(), two.Asleep())
	}
	p.answer(p.call(gatewire.OpSleep), gatewire.Message{})
	var calls []*gatewire.Message
	for range 2 { // begun at the same time
		c := p.next()
		calls = append(calls, c)
		if c.Op == gatewire.OpAdd {
			p.answer(c, gatewire.Message{}, listener(t))
		} else {
			p.answer(c, gatewire.Message{})
		}
	}
	if calls[0].Op == calls[1].Op {
		t.Errorf("%+v %+v", calls[0], calls[1])
	}
	receive(t, left, "Leave")
	if err := receive(t, adding, "Add"); err != nil {
		t.Error(err)
	}
	p.end()
	p = g.join()
	if len(p.hello.Sockets) != 3 || p.hello.Sockets[2] != (gatewire.Socket{Endpoint: "2", Generation: 2}) {
		t.Errorf("%+v", p.hello.Sockets)
	}
}

// More sockets than one line takes: those with the traffic are among them.
func TestManySockets(t *testing.T) {
	m, g, p, said := started(t)
	e := m.Group(gatewire.Endpoint{Name: "1"})
	for n := 1; n <= gatewire.MaxFDs+5; n++ {
		add(t, e, p, n, false, listener(t))
	}
	m.Claim(gatewire.Holder, 2, 5)
	p.end()
	expect(t, said, "away")
	p = g.join()
	if s := p.hello.Sockets; len(s) != gatewire.MaxFDs || s[0].Generation != 2 || s[1].Generation != gatewire.MaxFDs+5 {
		t.Errorf("%+v", s)
	}
}
