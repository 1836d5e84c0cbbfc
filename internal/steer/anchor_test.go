package steer

import (
	"errors"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

func guarded(o *Options) { o.Guarded = true }

// inBoth runs a test with a group of our own and with a guarded one.
func inBoth(t *testing.T, test func(*testing.T, ...func(*Options))) {
	t.Run("own", func(t *testing.T) { test(t) })
	t.Run("guarded", func(t *testing.T) { test(t, guarded) })
}

func TestNobodyElseAttaches(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	add(t, g, 2, 3)
	var p program
	p.answer(1)
	for n, fd := range keep(t, g) {
		if err := p.attach(fd); err != unix.EPERM {
			t.Errorf("generation %d attaches a program: %v", n, err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 0); err != unix.EPERM {
			t.Errorf("generation %d unlocks its socket: %v", n, err)
		}
		unix.Close(fd)
	}
	must(t, g.Aim(3, 1, shares.Full, ""))
	expect(t, g, to, 3)
	g.Leave(1)
	expect(t, g, to, 3)
	add(t, g, 4)
	must(t, g.Aim(4, 3, shares.Full, ""))
	expect(t, g, to, 4)
	orderIsTrue(t, g, to)
}

// While the program is detached connections go anywhere; but none gets lost in a socket
// of the group's own.
func TestADetachedProgramComesBack(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	add(t, g, 2)
	must(t, unix.SetsockoptInt(socketOf(t, g, 1), unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0))
	var all []client
	for range 30 {
		c, _, err := bindClient(to)
		must(t, err)
		must(t, unix.SetNonblock(c.fd, true))
		if err := unix.Connect(c.fd, procnet.Sockaddr(to)); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if n, err := Queue(g.anchor.fd); n != 0 || err != nil {
		t.Errorf("%d wait in the anchor, %v", n, err)
	}
	if line, err := g.Mend(); line != "" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	for range all { // those that were dropped come again
		_, conn, err := acceptAny(sockets(g))
		must(t, err)
		client{conn}.close()
	}
	for _, c := range all {
		c.close()
	}
	expect(t, g, to, 1)
}

func TestAShortenedQueueIsRestored(t *testing.T) {
	g, _ := newGroup(t, "127.0.0.1", guarded)
	add(t, g, 2)
	length := func(n int) int { _, length := queueLength(socketOf(t, g, n)); return length }
	was := length(1)
	for what, look := range map[string]func(){
		"Mend": func() { _, _ = g.Mend() },
		"Add":  func() { add(t, g, 3) },
		"Aim":  func() { must(t, g.Aim(2, 1, 5000, "")) },
	} {
		must(t, unix.Listen(socketOf(t, g, 1), 5))
		must(t, unix.Listen(socketOf(t, g, 2), 5))
		look()
		if length(1) != was || length(2) != was {
			t.Errorf("after %s they are %d and %d, not %d", what, length(1), length(2), was)
		}
	}
	must(t, unix.Listen(socketOf(t, g, 1), was+100)) // a server may want more
	_, _ = g.Mend()
	if length(1) != was+100 {
		t.Errorf("it was made shorter: %d", length(1))
	}
	g.SetBacklog(was + 50)
	if length(1) != was+100 || length(2) != was+50 {
		t.Errorf("%d and %d", length(1), length(2))
	}
	add(t, g, 4)
	if length(4) != was+50 {
		t.Errorf("a new one's is %d", length(4))
	}
}

func TestAGuardedGroupNeverShares(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	for n := 2; n <= maxSockets; n++ {
		add(t, g, n)
	}
	if err := g.Add(15, false); !errors.Is(err, ErrFull) {
		t.Errorf("a 15th: %v", err)
	}
	if share, ok := g.Share(1); share != shares.Full || !ok || g.Reason() != "" {
		t.Errorf("%d, %v, %q", share, ok, g.Reason())
	}
	must(t, g.Add(15, true)) // as asked for
	if socketOf(t, g, 15) != socketOf(t, g, 1) {
		t.Error("it does not share")
	}
	g.Leave(15)
	g.Leave(3)
	add(t, g, 16)
	expect(t, g, to, 1)
	g.Leave(4)
	s := stranger(t, to)
	if err := g.Add(17, false); err == nil || errors.Is(err, ErrFull) {
		t.Errorf("among strangers: %v", err)
	}
	leaveStranger(t, s)
	add(t, g, 17)
	must(t, g.Aim(17, 1, shares.Full, ""))
	expect(t, g, to, 17)
	orderIsTrue(t, g, to)
}

// What only we have does not stand before what others have, but for as long as it
// cannot be moved unnoticed.
func TestTheAnchorIsTheLast(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	last := func() bool { return g.order[len(g.order)-1] == g.anchor }
	for n := 2; n < 40; n++ {
		add(t, g, n)
		if !last() {
			t.Fatalf("%d has come, and the anchor is not the last", n)
		}
		must(t, g.Aim(n, n, shares.Full, ""))
		g.Leave(n - 1)
		if n := len(g.all()); n > 3 {
			t.Fatalf("%d members", n)
		}
	}
	expect(t, g, to, 39)
}

// The socket in which connections wait goes to the next one with its tag: what waits is
// the next one's.
func TestWhatWaitsCountsForTheNext(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	g.Leave(1)
	if !g.Unserved() {
		t.Error("somebody has the traffic")
	}
	c := dial(t, to)
	defer c.close()
	add(t, g, 2)
	look, err := g.Observe(2)(0)
	if err != nil || look.Open != 1 || look.Queued != 1 {
		t.Errorf("%+v, %v", look, err)
	}
	if n, err := g.Queued(); n != 1 || err != nil {
		t.Errorf("%d in all queues, %v", n, err)
	}
}
