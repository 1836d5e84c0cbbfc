package steer

import (
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// harm is what a process that has the socket can do to it.
func harm(t *testing.T, g *TCP, n int) {
	t.Helper()
	must(t, unix.Shutdown(socketOf(t, g, n), unix.SHUT_RDWR))
}

const again = "a process shut it down, it listens again"

func TestMendAfterAnyShutdowns(t *testing.T) { inBoth(t, mendAfterAnyShutdowns) }

func mendAfterAnyShutdowns(t *testing.T, kind ...func(*Options)) {
	for _, host := range []string{"127.0.0.1", "::"} {
		for generations := 1; generations <= 4; generations++ {
			for aimed := 1; aimed <= generations; aimed++ {
				for which := 2; which < 2<<generations; which++ {
					upwards := which&1 == 0 // both orders: they leave different ones behind
					which := which >> 1
					g, to := newGroup(t, host, kind...)
					for n := 2; n <= generations; n++ {
						add(t, g, n)
					}
					must(t, g.Aim(aimed, 1, shares.Full, ""))
					for i := range generations {
						n := i + 1
						if !upwards {
							n = generations - i
						}
						if which>>(n-1)&1 != 0 {
							harm(t, g, n)
						}
					}
					line, err := g.Mend()
					must(t, err)
					if want := which>>(aimed-1)&1 != 0; (line == again) != want || line != "" && line != again {
						t.Errorf("%d generations, %d aimed at, %b shut: %q", generations, aimed, which, line)
					}
					for n := 1; n <= generations; n++ {
						if !procnet.Listens(socketOf(t, g, n)) {
							t.Fatalf("%d generations, %d aimed at, %b shut: generation %d does not listen", generations, aimed, which, n)
						}
					}
					expect(t, g, to, aimed)
					orderIsTrue(t, g, to)
					if line, err := g.Mend(); line != "" || err != nil {
						t.Errorf("again: %q, %v", line, err)
					}
					g.Close()
				}
			}
		}
	}
}

// What is not mended yet does not mislead Add, Aim or Leave.
func TestOthersNoticeTheHarm(t *testing.T) { inBoth(t, othersNoticeTheHarm) }

func othersNoticeTheHarm(t *testing.T, kind ...func(*Options)) {
	g, to := newGroup(t, "127.0.0.1", kind...)
	add(t, g, 2)
	harm(t, g, 1)
	add(t, g, 3)
	expect(t, g, to, 1)
	orderIsTrue(t, g, to)
	harm(t, g, 1)
	must(t, g.Aim(3, 1, shares.Full, ""))
	expect(t, g, to, 3)
	orderIsTrue(t, g, to)
	harm(t, g, 3)
	g.Leave(1)
	expect(t, g, to, 3)
	orderIsTrue(t, g, to)
	harm(t, g, 2) // and it is the one that leaves
	g.Leave(2)
	if n := len(fdsOf(g)); n != 1 {
		t.Errorf("%d members", n)
	}
	expect(t, g, to, 3)
}

func TestMendRestoresTheProgram(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	var p program
	p.answer(1)
	must(t, p.attach(socketOf(t, g, 2)))
	if line, err := g.Mend(); line != "" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	expect(t, g, to, 1)
	must(t, unix.SetsockoptInt(socketOf(t, g, 1), unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0))
	if line, err := g.Mend(); line != "" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	expect(t, g, to, 1)
}

// Somebody else takes the port while the only socket is shut down.
func TestMendWhileAnotherHasThePort(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	harm(t, g, 1)
	rival, err := newSocket(to, false)
	must(t, err)
	must(t, unix.Listen(rival, 8))
	for range 3 {
		line, err := g.Mend()
		if line != "" || err == nil {
			t.Fatalf("%q, %v", line, err)
		}
		if err.Error() != "a process shut it down, cannot listen again: address already in use" {
			t.Error(err)
		}
	}
	if err := g.Aim(1, 1, shares.Full, ""); err == nil {
		t.Error("it can be aimed at all the same")
	}
	if fd, ok := sockets(g)[1]; !ok || len(fdsOf(g)) != 1 || fdsOf(g)[0] != fd {
		t.Error("the socket is gone")
	}
	unix.Close(rival)
	if line, err := g.Mend(); line != again || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	expect(t, g, to, 1)
	add(t, g, 2)
	expect(t, g, to, 1)
}

// stranger is a server's own socket in the group.
func stranger(t *testing.T, to netip.AddrPort) int {
	t.Helper()
	fd, err := newSocket(to, true)
	must(t, err)
	must(t, unix.Listen(fd, 8))
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func leaveStranger(t *testing.T, fd int) {
	t.Helper()
	must(t, unix.Shutdown(fd, unix.SHUT_RD))
}

func TestStrangers(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host)
		at := netip.AddrPortFrom(netip.MustParseAddr(host), to.Port())
		if n, err := g.Foreign(); n != 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		one := stranger(t, at)
		add(t, g, 2)
		if socketOf(t, g, 1) != socketOf(t, g, 2) {
			t.Fatalf("%s: it has a socket of its own", host)
		}
		contains(t, "the reason", g.Reason(), "the server has a listening socket of its own")
		two := stranger(t, at)
		if n, err := g.Foreign(); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		add(t, g, 3)
		contains(t, "the reason", g.Reason(), "the server has 2 listening sockets of its own on this address (SO_REUSEPORT)")
		g.Leave(2)
		leaveStranger(t, one)
		leaveStranger(t, two)
		g.Leave(1)
		add(t, g, 4)
		if reason := g.Reason(); reason != "" || socketOf(t, g, 4) == socketOf(t, g, 3) {
			t.Errorf("%s: still not steered: %s", host, reason)
		}
		must(t, g.Aim(4, 3, shares.Full, ""))
		g.Leave(3)
		expect(t, g, to, 4)
		orderIsTrue(t, g, to)
	}
}

// Strangers that come between Add and Leave: nothing of ours moves while they
// are there.
func TestStrangersInMidSwap(t *testing.T) { inBoth(t, strangersInMidSwap) }

func strangersInMidSwap(t *testing.T, kind ...func(*Options)) {
	g, to := newGroup(t, "127.0.0.1", kind...)
	add(t, g, 2)
	must(t, g.Aim(2, 1, shares.Full, ""))
	one, two := stranger(t, to), stranger(t, to)
	g.Leave(1)
	expect(t, g, to, 2)
	leaveStranger(t, one)
	expect(t, g, to, 2)
	g.Leave(1)
	leaveStranger(t, two)
	_, err := g.Mend()
	must(t, err)
	if n := len(fdsOf(g)); n != 1 {
		t.Errorf("%d members", n)
	}
	expect(t, g, to, 2)
	orderIsTrue(t, g, to)
}

// The worst: one is shut down while strangers are there, so who is where
// cannot be known. What has the traffic is found all the same, and all is well again when
// they have gone.
func TestShutdownAmongStrangers(t *testing.T) {
	for aimed := 1; aimed <= 3; aimed++ {
		for harmed := 1; harmed <= 3; harmed++ {
			g, to := newGroup(t, "127.0.0.1")
			add(t, g, 2, 3)
			must(t, g.Aim(aimed, 1, shares.Full, ""))
			foreign := stranger(t, to)
			harm(t, g, harmed)
			line, err := g.Mend()
			must(t, err)
			if (line == again) != (aimed == harmed) {
				t.Errorf("%d aimed at, %d shut: %q", aimed, harmed, line)
			}
			expect(t, g, to, aimed)
			contains(t, "the reason", g.Reason(), "a process shut a socket of it down")
			if err := g.Aim(aimed%3+1, 1, shares.Full, ""); err == nil {
				t.Error("it aims at what it cannot know")
			}
			must(t, g.Aim(aimed, 1, shares.Full, ""))
			add(t, g, 4)
			if socketOf(t, g, 4) != socketOf(t, g, aimed) {
				t.Error("a further one is steered")
			}
			leaveStranger(t, foreign)
			_, err = g.Mend()
			must(t, err)
			g.Leave(4)
			add(t, g, 5)
			if reason := g.Reason(); reason != "" || socketOf(t, g, 5) == socketOf(t, g, aimed) {
				t.Errorf("still shared: %s", reason)
			}
			expect(t, g, to, aimed)
			orderIsTrue(t, g, to)
			g.Close()
		}
	}
}

// A harmless stranger: the same port of another address.
func TestOtherAddressesAreNoStrangers(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	stranger(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), to.Port()))
	stranger(t, netip.AddrPortFrom(netip.IPv6Loopback(), to.Port()))
	if n, err := g.Foreign(); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
