package steer

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

var hosts = []string{"127.0.0.1", "0.0.0.0", "::1", "::"}

// orderIsTrue asks the kernel which member each index means.
func orderIsTrue(t *testing.T, g *TCP, to netip.AddrPort) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	fds := map[int]int{}
	for i, m := range g.layout.order {
		fds[i] = m.fd
	}
	for i := range g.layout.order {
		if m := g.order[i]; m == g.anchor || g.options.Guarded && m.tag == 0 { // they drop all
			continue
		}
		var p program
		p.answer(i)
		must(t, g.put(&p))
		c := dial(t, to)
		got, conn, err := acceptAny(fds)
		must(t, err)
		client{conn}.close()
		c.close()
		if got != i {
			t.Fatalf("the kernel's index %d is the layout' %d", i, got)
		}
	}
	must(t, g.attach())
}

func TestANewGenerationGetsNothingUntilAimedAt(t *testing.T) {
	for _, host := range hosts {
		t.Log(host)
		g, to := newGroup(t, host)
		expect(t, g, to, 1)
		add(t, g, 2)
		expect(t, g, to, 1)
		must(t, g.Aim(2, 0, shares.Full, ""))
		expect(t, g, to, 2)
		must(t, g.Aim(1, 0, shares.Full, "")) // rollback
		expect(t, g, to, 1)
		must(t, g.Aim(2, 0, shares.Full, ""))
		g.Leave(1)
		expect(t, g, to, 2)
		if reason := g.Reason(); reason != "" {
			t.Errorf("%s: not steered: %s", host, reason)
		}
	}
}

func TestIPv4ToADualStackSocket(t *testing.T) {
	g, to := newGroup(t, "::")
	to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
	add(t, g, 2)
	expect(t, g, to, 1)
	must(t, g.Aim(2, 1, shares.Full, ""))
	expect(t, g, to, 2)
}

// Whatever comes and goes, connections go where the last Aim said, and the
// layout has the kernel's order.
func TestRandomSequences(t *testing.T) { inBoth(t, randomSequences) }

func randomSequences(t *testing.T, kind ...func(*Options)) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		g, to := newGroup(t, hosts[seed%uint64(len(hosts))], kind...)
		live, active, last, most := []int{1}, 1, 1, 1
		for range 60 {
			switch i := random.IntN(len(live)); random.IntN(3) {
			case 0:
				if len(live) < 5 {
					last++
					add(t, g, last)
					live = append(live, last)
					most = max(most, len(live))
				}
			case 1:
				must(t, g.Aim(live[i], active, shares.Full, ""))
				active = live[i]
			case 2:
				if live[i] != active {
					g.Leave(live[i])
					live = append(live[:i], live[i+1:]...)
				}
			}
			got, err := whoGets(g, to)
			must(t, err)
			if got != active {
				t.Fatalf("seed %d: generation %d got what was %d's", seed, got, active)
			}
			if random.IntN(4) == 0 { // which renews the program
				orderIsTrue(t, g, to)
			}
			if n := len(fdsOf(g)); n > most+1 {
				t.Fatalf("seed %d: %d members, though there were never more than %d generations", seed, n, most)
			}
			for _, n := range live {
				if share, ok := g.Share(n); !ok || (share == shares.Full) != (n == active) || share%shares.Full != 0 {
					t.Fatalf("seed %d: generation %d has %d, %v", seed, n, share, ok)
				}
			}
		}
		must(t, g.Aim(active, active, shares.Full, ""))
		for _, n := range live {
			if n != active {
				g.Leave(n)
			}
		}
		last++
		add(t, g, last)
		must(t, g.Aim(last, active, shares.Full, ""))
		g.Leave(active)
		if n := len(fdsOf(g)); n != 1 {
			t.Errorf("seed %d: %d members for one generation", seed, n)
		}
	}
}

// The moment between the loss of a member and the new program, stretched: all
// goes where it should even then.
func TestTheMomentInWhichOneLeaves(t *testing.T) { inBoth(t, theMomentInWhichOneLeaves) }

func theMomentInWhichOneLeaves(t *testing.T, kind ...func(*Options)) {
	for _, host := range hosts {
		for size := 2; size <= 4; size++ {
			for aimed := 1; aimed <= size; aimed++ {
				for leaver := 1; leaver <= size; leaver++ {
					if leaver == aimed {
						continue
					}
					g, to := newGroup(t, host, kind...)
					for n := 2; n <= size; n++ {
						add(t, g, n)
					}
					must(t, g.Aim(aimed, 1, shares.Full, ""))
					m := g.layout.holders[leaver]
					g.backfill(m)
					must(t, unix.Shutdown(m.fd, unix.SHUT_RD))
					expect(t, g, to, aimed)
					delete(g.layout.holders, leaver)
					g.retire(m)
					expect(t, g, to, aimed)
					orderIsTrue(t, g, to)
					g.Close()
				}
			}
		}
	}
}

func TestShares(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	for _, c := range []struct{ share, low, high int }{
		{0, 0, 0}, {100, 1, 60}, {5000, 800, 1200}, {9900, 1940, 1999}, {shares.Full, 2000, 2000}, {shares.Full + 5, 2000, 2000}, {-3, 0, 0},
	} {
		must(t, g.Aim(2, 1, c.share, ""))
		if share, ok := g.Share(2); !ok || share != min(max(c.share, 0), shares.Full) {
			t.Errorf("share %d is %d, %v", c.share, share, ok)
		}
		if share, ok := g.Share(1); !ok || share != shares.Full-min(max(c.share, 0), shares.Full) {
			t.Errorf("the rest of %d is %d, %v", c.share, share, ok)
		}
		got := 0
		for range 2000 {
			n, err := whoGets(g, to)
			must(t, err)
			if n == 2 {
				got++
			}
		}
		if got < c.low || got > c.high {
			t.Errorf("share %d: %d of 2000", c.share, got)
		}
	}
}

func TestACrashedGenerationsConnectionsAreServedByTheNext(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	inode := g.Inode(1)
	g.Leave(1)
	if g.Inode(1) != 0 {
		t.Error("a generation that has left has a socket")
	}
	waiting := dial(t, to) // accepted by the kernel, though nobody is there
	defer waiting.close()
	add(t, g, 2)
	if g.Inode(2) != inode {
		t.Fatal("the next generation has another socket")
	}
	if reason := g.Reason(); reason != "" {
		t.Error(reason)
	}
	client{accept(t, socketOf(t, g, 2)).fd}.close()
	if share, ok := g.Share(2); !ok || share != shares.Full {
		t.Errorf("its share is %d, %v", share, ok)
	}
	expect(t, g, to, 2)
}

func TestAHandedOnSocketGetsANewTag(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	former := dial(t, to)
	defer former.close()
	defer accept(t, socketOf(t, g, 1)).close()
	old := g.Observe(1)
	g.Leave(1)
	add(t, g, 2)
	now := dial(t, to)
	defer now.close()
	if l, err := old(never); err != nil || !l.is(Look{Open: 1}) {
		t.Errorf("of the former: %+v, %v", l, err)
	}
	if l, err := g.Observe(2)(never); err != nil || !l.is(Look{Open: 1, Queued: 1}) {
		t.Errorf("of the latter: %+v, %v", l, err)
	}
}

func TestLeaveWhereConnectionsStillGo(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	must(t, g.Aim(2, 1, 3000, ""))
	g.Leave(2) // the canary died: its part waits until it is aimed elsewhere
	if n := len(fdsOf(g)); n != 2 {
		t.Fatalf("%d members", n)
	}
	must(t, g.Aim(1, 1, shares.Full, ""))
	if n := len(fdsOf(g)); n != 1 {
		t.Errorf("%d members", n)
	}
	expect(t, g, to, 1)
	g.Leave(9) // unknown
	expect(t, g, to, 1)
}

// What waits in the queue of a generation that has died is reset, not left
// hanging, even if a process still holds the socket.
func TestLeaveResetsWhatWaits(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	waiting := dial(t, to)
	defer waiting.close()
	stray, err := unix.Dup(socketOf(t, g, 1))
	must(t, err)
	defer unix.Close(stray)
	add(t, g, 2)
	must(t, g.Aim(2, 1, shares.Full, ""))
	g.Leave(1)
	if _, err := unix.Read(waiting.fd, make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	expect(t, g, to, 2)
}

func TestSharedByAll(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	g.SetShared("the contract says so")
	add(t, g, 2, 2)
	if socketOf(t, g, 1) != socketOf(t, g, 2) {
		t.Fatal("they have different sockets")
	}
	if g.Reason() != "the contract says so" {
		t.Error(g.Reason())
	}
	must(t, g.Aim(2, 1, 100, ""))
	for n := 1; n <= 2; n++ {
		if _, ok := g.Share(n); ok {
			t.Error("a shared endpoint has shares")
		}
		if g.Observe(n) != nil {
			t.Error("connections of a shared socket are told apart")
		}
	}
	if _, err := g.preflight(2, netip.MustParseAddrPort("127.0.0.1:1")); err == nil {
		t.Error("a preflight on a shared socket")
	}
	g.Leave(1)
	if g.Observe(2) == nil {
		t.Error("the only one that is left cannot be observed")
	}
	expect(t, g, to, 2)
	g.SetShared("")
	add(t, g, 3)
	if socketOf(t, g, 3) == socketOf(t, g, 2) {
		t.Error("it is still shared")
	}
	must(t, g.Aim(3, 2, shares.Full, ""))
	g.Leave(2)
	expect(t, g, to, 3)
}

func TestAimAtNobody(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	for _, c := range [][3]int{{7, 1, shares.Full}, {7, 2, 100}, {7, 7, 0}} {
		if err := g.Aim(c[0], c[1], c[2], ""); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
	must(t, g.Aim(1, 7, shares.Full, "")) // rest does not count
	expect(t, g, to, 1)
	must(t, g.Aim(2, 7, 100, "")) // what rest cannot get goes to the other
	expect(t, g, to, 2)
}

func TestAddThatFails(t *testing.T) {
	broken := true
	g, to := newGroup(t, "127.0.0.1", func(o *Options) {
		open := o.Open
		o.Open = func() (int, error) {
			if broken {
				return -1, unix.EMFILE
			}
			return open()
		}
	})
	err := g.Add(2, false)
	if !errors.Is(err, unix.EMFILE) {
		t.Fatal(err)
	}
	contains(t, "the error", err.Error(), "cannot add a socket for generation 2: ")
	if g.Inode(2) != 0 {
		t.Error("it has a socket all the same")
	}
	expect(t, g, to, 1)
	broken = false
	add(t, g, 2)
	// Without a spare one, the last moves into the hole all the same.
	add(t, g, 3)
	must(t, g.Aim(3, 1, shares.Full, ""))
	broken = true
	g.Leave(1)
	expect(t, g, to, 3)
	orderIsTrue(t, g, to)
}

func TestASocketOfAnotherAddress(t *testing.T) {
	before := openFDs(t)
	g, to := newGroup(t, "127.0.0.1", func(o *Options) {
		o.Open = func() (int, error) { return newSocket(netip.MustParseAddrPort("127.0.0.2:0"), true) }
	})
	if err := g.Add(2, false); err == nil {
		t.Error("it was taken")
	}
	expect(t, g, to, 1)
	g.Close()
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// More live generations than a group can have sockets: the later ones share that
// with the traffic, until there is room again.
func TestMoreGenerationsThanSockets(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	for n := 2; n <= maxSockets; n++ {
		add(t, g, n)
		must(t, g.Aim(n, n-1, shares.Full, ""))
		if reason := g.Reason(); reason != "" {
			t.Fatalf("generation %d: %s", n, reason)
		}
	}
	n := maxSockets
	for range 20 {
		n++
		add(t, g, n)
		must(t, g.Aim(n, n-1, shares.Full, ""))
		contains(t, "the reason", g.Reason(), "live generations have all 14 sockets")
		if _, ok := g.Share(n); ok || g.Inode(n) != g.Inode(maxSockets) || g.Observe(n) != nil {
			t.Fatalf("generation %d does not share the active one's socket", n)
		}
		if members := len(fdsOf(g)); members != maxSockets {
			t.Fatalf("%d members", members)
		}
	}
	if got, err := whoGets(g, to); err != nil || got < maxSockets {
		t.Errorf("generation %d, %v", got, err)
	}
	// One whose socket is shared makes no room, one that was alone does.
	g.Leave(maxSockets)
	n++
	add(t, g, n)
	contains(t, "the reason", g.Reason(), "live generations have all 14 sockets")
	g.Leave(5)
	n++
	add(t, g, n)
	if reason := g.Reason(); reason != "" || g.Inode(n) == g.Inode(n-1) {
		t.Errorf("there is room: %q", reason)
	}
	must(t, g.Aim(n, n-1, shares.Full, ""))
	expect(t, g, to, n)
	orderIsTrue(t, g, to)
}

// The generation with the traffic is dead while the group is full: the next
// one has its socket for itself, and the tag that is free.
func TestDeadWhileFull(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	for n := 2; n <= maxSockets; n++ {
		add(t, g, n)
	}
	g.Leave(1)
	add(t, g, 20)
	if reason := g.Reason(); reason != "" {
		t.Error(reason)
	}
	expect(t, g, to, 20)
}

func TestWatchHearsOfEachMember(t *testing.T) {
	watched := map[int]bool{}
	g, to := newGroup(t, "127.0.0.1", func(o *Options) {
		o.Watch = func(fd int) error {
			if watched[fd] || !procnet.Listens(fd) {
				t.Errorf("watch %d", fd)
			}
			watched[fd] = true
			return nil
		}
		o.Unwatch = func(fd int) {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
				t.Error("unwatch of a closed descriptor")
			}
			delete(watched, fd)
		}
	})
	watched[socketOf(t, g, 1)] = true
	same := func() {
		t.Helper()
		fds := fdsOf(g)
		if len(fds) != len(watched) {
			t.Errorf("watched are %v of %v", watched, fds)
		}
		for _, fd := range fds {
			if !watched[fd] {
				t.Errorf("%d is not watched", fd)
			}
		}
	}
	add(t, g, 2, 3)
	same()
	must(t, g.Aim(3, 1, shares.Full, ""))
	g.Leave(1)
	same()
	g.Leave(2)
	same()
	expect(t, g, to, 3)
	g.Close()
	same()
}

func TestAfterClose(t *testing.T) {
	before := openFDs(t)
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	look := g.Observe(1)
	g.Close()
	g.Close()
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
	if err := g.Add(3, false); err == nil {
		t.Error("Add works")
	}
	if err := g.Aim(1, 1, shares.Full, ""); err == nil {
		t.Error("Aim works")
	}
	if _, err := g.preflight(1, to); err == nil {
		t.Error("Preflight works")
	}
	g.Leave(1)
	if line, err := g.Mend(); line != "" || err != nil {
		t.Errorf("Mend: %q, %v", line, err)
	}
	if n, err := g.Foreign(); n != 0 || err != nil {
		t.Errorf("Foreign: %d, %v", n, err)
	}
	if g.Inode(1) != 0 || len(fdsOf(g)) != 0 || g.Observe(1) != nil {
		t.Error("something is left")
	}
	if l, err := look(0); !l.is(Look{}) || err != nil {
		t.Errorf("a look: %v", err)
	}
	must(t, g.Counts(0, func(int, Look) { t.Error("a count") }))
}

func TestNewRefusesWhatCannotBeSteered(t *testing.T) {
	fd, err := newSocket(netip.MustParseAddrPort("127.0.0.1:0"), false)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Listen(fd, 8))
	_, err = NewTCP(fd, 1, Options{})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "SO_ATTACH_REUSEPORT_CBPF") {
		t.Errorf("%v", err)
	}
	if !procnet.Listens(fd) {
		t.Error("it does not listen any more")
	}
}

// A generation that is to have its predecessor's sockets has them, and nobody is
// told that steering ends.
func TestAddShared(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	must(t, g.Add(2, true))
	if g.Inode(2) != g.Inode(1) || g.Reason() != "" {
		t.Errorf("sockets %d and %d, %q", g.Inode(1), g.Inode(2), g.Reason())
	}
	add(t, g, 3)
	must(t, g.Aim(3, 2, shares.Full, ""))
	expect(t, g, to, 3)
	if g.Inode(3) == g.Inode(2) {
		t.Error("the next one shares, too")
	}
}
