package steer

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// is compares the numbers.
func (l Look) is(want Look) bool {
	l.Busy = want.Busy
	return reflect.DeepEqual(l, want)
}

func seen(t *testing.T, look func(time.Duration) (Look, error), idleAfter time.Duration) (r Look) {
	t.Helper()
	var err error
	r, err = look(idleAfter)
	must(t, err)
	return r
}

// sees polls until a look finds that.
func sees(t *testing.T, what string, look func(time.Duration) (Look, error), idleAfter time.Duration, want Look) {
	t.Helper()
	var r Look
	eventually(t, what, func() bool {
		r = seen(t, look, idleAfter)
		return r.is(want)
	})
}

// exchange sends a request and an answer.
func exchange(t *testing.T, near, far client) {
	t.Helper()
	must(t, near.send("request"))
	n, err := unix.Read(far.fd, make([]byte, 16))
	if n != 7 {
		t.Fatalf("read %d, %v", n, err)
	}
	must(t, far.send("answer"))
	if n, err = unix.Read(near.fd, make([]byte, 16)); n != 6 {
		t.Fatalf("read %d, %v", n, err)
	}
}

const (
	soon  = 30 * time.Millisecond
	never = time.Hour
)

// Without inet_diag a look sees the queue, and strangers in /proc.
func TestUnseen(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host)
		g.SetUnseen("a test")
		add(t, g, 2)
		if n, err := g.Foreign(); n != 0 || err != nil || g.Reason() != "" {
			t.Errorf("%v: %d strangers, %v, %q", to, n, err, g.Reason())
		}
		near := dial(t, to)
		must(t, g.Aim(2, 1, shares.Full, ""))
		old := g.Observe(1)
		if r := seen(t, old, 0); !r.is(Look{Queued: 1, Half: 1, Unseen: true}) {
			t.Errorf("%v: in the queue: %v", to, r)
		}
		must(t, g.Counts(0, func(n int, l Look) {
			if !l.is(Look{Queued: 2 - n, Unseen: true}) {
				t.Errorf("%v: generation %d: %v", to, n, l)
			}
		}))
		accept(t, socketOf(t, g, 1))
		if host == "::" {
			begun := time.Now()
			sees(t, "accepted, and nothing came any more", old, 0, Look{Unseen: true})
			if time.Since(begun) < unseenRest-time.Second { // it began with the last look
				t.Errorf("%v: believed after %v", to, time.Since(begun))
			}
		}
		near.close()
		fd, err := newSocket(g.at, true)
		must(t, err)
		must(t, unix.Listen(fd, 1))
		if n, err := g.Foreign(); n != 1 || err != nil {
			t.Errorf("%v: %d strangers, %v", to, n, err)
		}
		must(t, unix.Close(fd))
		g.Leave(1)
		if r := seen(t, old, 0); !r.is(Look{}) {
			t.Errorf("%v: left: %v", to, r)
		}
	}
}

func TestObserve(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host)
		targets := []netip.AddrPort{to}
		if host == "::" {
			targets = append(targets, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port()))
		}
		for i, to := range targets {
			n := i + 1
			add(t, g, n+1)
			near := dial(t, to)
			old := g.Observe(n)
			if r := seen(t, old, 0); !r.is(Look{Open: 1, Queued: 1}) {
				t.Errorf("%v: in the queue: %v", to, r)
			}
			far := accept(t, socketOf(t, g, n))
			sees(t, "accepted, and nothing said: idle", old, soon, Look{Open: 1, Idle: 1})
			exchange(t, near, far)
			sees(t, "answered: idle", old, soon, Look{Open: 1, Idle: 1})
			if r := seen(t, old, never); !r.is(Look{Open: 1}) {
				t.Errorf("%v: not quiet long enough: %v", to, r)
			}
			must(t, near.send("more"))
			sees(t, "unread", old, 0, Look{Open: 1})
			_, err := unix.Read(far.fd, make([]byte, 16))
			must(t, err)
			// Read, and not answered: that does not pass with time.
			end := time.Now().Add(4 * soon)
			eventually(t, "some time", func() bool {
				if r := seen(t, old, soon); !r.is(Look{Open: 1}) {
					t.Fatalf("%v: a request is being worked on: %v", to, r)
				}
				return time.Now().After(end)
			})
			must(t, far.send("answer"))
			_, err = unix.Read(near.fd, make([]byte, 16))
			must(t, err)
			sees(t, "answered", old, soon, Look{Open: 1, Idle: 1})

			must(t, g.Aim(n+1, n, shares.Full, ""))
			other := dial(t, to)
			if r := seen(t, old, never); !r.is(Look{Open: 1}) {
				t.Errorf("%v: a connection of the successor counts: %v", to, r)
			}
			other.close()
			accept(t, socketOf(t, g, n+1)).close() // a queue keeps what was reset
			must(t, unix.Shutdown(near.fd, unix.SHUT_WR))
			sees(t, "half closed by the client", old, 0, Look{Open: 1})
			far.close()
			sees(t, "closed", old, 0, Look{})
			near.close()
			g.Leave(n)
			if r := seen(t, old, 0); !r.is(Look{}) {
				t.Errorf("%v: after it left: %v", to, r)
			}
		}
	}
}

// A first request that is being worked on: nothing was ever answered.
func TestAFirstRequestIsBusy(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	near := dial(t, to)
	defer near.close()
	must(t, near.send("request"))
	far := accept(t, socketOf(t, g, 1))
	defer far.close()
	_, err := unix.Read(far.fd, make([]byte, 16))
	must(t, err)
	look := g.Observe(1)
	end := time.Now().Add(4 * soon)
	eventually(t, "some time", func() bool {
		if r := seen(t, look, 0); !r.is(Look{Open: 1}) {
			t.Fatalf("%v", r)
		}
		return time.Now().After(end)
	})
}

// A full send buffer: the client does not read.
func TestUnsentIsBusy(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	near := dial(t, to)
	defer near.close()
	far := accept(t, socketOf(t, g, 1))
	defer far.close()
	must(t, unix.SetNonblock(far.fd, true))
	chunk := make([]byte, 1<<20)
	for {
		if _, err := unix.Write(far.fd, chunk); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	look := g.Observe(1)
	if r := seen(t, look, 0); !r.is(Look{Open: 1}) || !strings.HasSuffix(r.Busy[0].Why, " bytes not acknowledged by the client") {
		t.Errorf("%v", r)
	}
}

// Handshakes that were under way at the switch. TCP_DEFER_ACCEPT keeps them
// so until the client says something.
func TestHandshakesUnderWay(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host)
		targets := []netip.AddrPort{to}
		if host == "::" {
			targets = append(targets, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port()))
		}
		for i, to := range targets {
			n := i + 1
			fd := socketOf(t, g, n)
			must(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 600))
			first, second := dial(t, to), dial(t, to)
			add(t, g, n+1)
			must(t, g.Aim(n+1, n, shares.Full, ""))
			look := g.Observe(n)
			if r := seen(t, look, 0); !r.is(Look{Half: 2}) || len(r.Busy) != 2 || r.Busy[1].Why != "its handshake is not finished" {
				t.Errorf("%v: two handshakes: %v", to, r)
			}
			must(t, unix.SetsockoptInt(socketOf(t, g, n+1), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 600))
			later := dial(t, to)
			if r := seen(t, look, 0); !r.is(Look{Half: 2}) {
				t.Errorf("%v: a later one counts: %v", to, r)
			}
			must(t, first.send("now"))
			sees(t, "one done", look, 0, Look{Open: 1, Half: 1, Queued: 1})
			accept(t, fd).close()
			sees(t, "and over", look, 0, Look{Half: 1})
			second.close() // by a reset, in mid-handshake
			sees(t, "all over", look, 0, Look{})
			first.close()
			later.close()
			g.Leave(n)
		}
	}
}

// The queue is full: the kernel drops what comes, and does not give it to
// another member.
func TestAFullQueue(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	must(t, unix.Listen(socketOf(t, g, 1), 1)) // as servers do with what they are given
	a, b := dial(t, to), dial(t, to)
	defer a.close()
	defer b.close()
	look := g.Observe(1)
	c, _, err := bindClient(to)
	must(t, err)
	defer c.close()
	must(t, unix.SetNonblock(c.fd, true))
	if err := c.connect(to); err != unix.EINPROGRESS {
		t.Fatalf("connect: %v", err)
	}
	if r := seen(t, look, 0); r.Open != 2 || r.Queued != 2 {
		t.Errorf("%v", r)
	}
	orderIsKnown := func() {
		for n := 1; n <= 2; n++ {
			if !procnet.Listens(socketOf(t, g, n)) {
				t.Error("it does not listen")
			}
		}
	}
	orderIsKnown()
	if n, err := Queue(socketOf(t, g, 2)); n != 0 || err != nil {
		t.Errorf("%d connections spilled over", n)
	}
}

func TestCounts(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2, 3)
	var ends []client
	defer func() {
		for _, c := range ends {
			c.close()
		}
	}()
	for n := 1; n <= 3; n++ {
		must(t, g.Aim(n, 1, shares.Full, ""))
		for range n {
			ends = append(ends, dial(t, to))
		}
		if n > 1 {
			ends = append(ends, accept(t, socketOf(t, g, n)))
		}
	}
	want := map[int]Look{1: {Open: 1, Queued: 1}, 2: {Open: 2, Idle: 1, Queued: 1}, 3: {Open: 3, Idle: 1, Queued: 2}}
	eventually(t, "the counts", func() bool {
		got := map[int]Look{}
		must(t, g.Counts(soon, func(n int, l Look) { got[n] = l }))
		ok := len(got) == len(want)
		for n, r := range want {
			ok = ok && got[n].is(r)
		}
		return ok
	})
	g.SetShared("test")
	add(t, g, 4) // with 3
	must(t, g.Counts(soon, func(n int, l Look) {
		if n > 2 {
			t.Errorf("a count for generation %d, which shares a socket", n)
		}
	}))
}

// Each tag comes through the kernel as it went in, for both families.
func TestTags(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		g, to := newGroup(t, host)
		fd := socketOf(t, g, 1)
		for tag := uint8(0); tag <= tagMax; tag++ {
			must(t, setTag(fd, tag))
			near := dial(t, to)
			far := accept(t, fd)
			from, err := procnet.Local(near.fd)
			must(t, err)
			found := false
			q := question{at: g.at, states: 1 << established}
			must(t, q.ask(func(s *socket) {
				if s.peer.Port() == from.Port() {
					found = true
					if !s.tagged || s.tag != tag {
						t.Errorf("%s: tag %d is %d", host, tag, s.tag)
					}
				}
			}))
			if !found {
				t.Errorf("%s: no connection", host)
			}
			near.close()
			far.close()
		}
	}
}

func TestNobodyToObserve(t *testing.T) {
	g, _ := newGroup(t, "127.0.0.1")
	if g.Observe(7) != nil {
		t.Error("an observation")
	}
}

// Thousands of connections: the answer has many datagrams.
func TestManyConnections(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	n := int(min(2000, limit.Cur/4))
	for range n {
		c := dial(t, to)
		defer c.close()
		defer accept(t, socketOf(t, g, 1)).close()
	}
	if r := seen(t, g.Observe(1), 0); r.Open != n {
		t.Errorf("%d of %d", r.Open, n)
	}
}

func BenchmarkStrangers(b *testing.B) {
	fd, _, err := firstSocket("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	g, err := NewTCP(fd, 1, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	for b.Loop() {
		if n, err := g.Foreign(); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	fd, _, err := firstSocket("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	g, err := NewTCP(fd, 1, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	look := g.Observe(1)
	for b.Loop() {
		if _, err := look(0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNetlinkSocket(b *testing.B) {
	for b.Loop() {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
	}
}
