package steer

import (
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
)

// visit makes one connection from a socket that was announced by Preflight,
// and others, and checks who gets them.
func visit(t *testing.T, g *TCP, to netip.AddrPort, n, others int) {
	t.Helper()
	c, from, err := bindClient(to)
	must(t, err)
	defer c.close()
	if to.Addr().Is4() {
		// As the kernel may write it for a dual-stack client.
		from = netip.AddrPortFrom(netip.AddrFrom16(from.Addr().As16()), from.Port())
	}
	end, err := g.preflight(n, from)
	must(t, err)
	expect(t, g, to, others)
	must(t, c.connect(to))
	got, conn, err := acceptAny(sockets(g))
	must(t, err)
	client{conn}.close()
	if got != n {
		t.Errorf("%v: generation %d got the visit to %d", to, got, n)
	}
	end()
	end()
	expect(t, g, to, others)
	if g.layout.probed != nil {
		t.Error("the visit never ends")
	}
}

func TestPreflight(t *testing.T) { inBoth(t, preflight) }

func preflight(t *testing.T, kind ...func(*Options)) {
	for _, host := range hosts {
		g, to := newGroup(t, host, kind...)
		add(t, g, 2, 3)
		targets := []netip.AddrPort{to}
		if host == "::" {
			targets = append(targets, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port()))
		}
		for _, to := range targets {
			visit(t, g, to, 2, 1)
			visit(t, g, to, 3, 1)
			visit(t, g, to, 1, 1)
		}
		must(t, g.Aim(3, 1, shares.Full, ""))
		visit(t, g, to, 1, 3)
	}
}

// The same port of another address is not the probe's.
func TestPreflightMatchesTheAddress(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	c, from, err := bindClient(to)
	must(t, err)
	defer c.close()
	for _, source := range []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), from.Port()),
		netip.AddrPortFrom(netip.MustParseAddr("2001:db8::7f00:1"), from.Port()), // the same last bytes
		netip.AddrPortFrom(from.Addr(), from.Port()^1),
	} {
		_, err := g.preflight(2, source)
		must(t, err)
	}
	must(t, c.connect(to))
	got, conn, err := acceptAny(sockets(g))
	must(t, err)
	client{conn}.close()
	if got != 1 {
		t.Error("a stranger got to the successor")
	}
}

// Both families meet in a dual-stack socket: what is not the probe's does not
// look like it.
func TestPreflightOfTheOtherFamily(t *testing.T) {
	g, to6 := newGroup(t, "::")
	to4 := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to6.Port())
	add(t, g, 2)
	for _, source := range []string{"[::1]:7", "127.0.0.9:7"} {
		end, err := g.preflight(2, netip.MustParseAddrPort(source))
		must(t, err)
		expect(t, g, to4, 1)
		expect(t, g, to6, 1)
		end()
	}
}

func TestASecondPreflightReplacesTheFirst(t *testing.T) {
	g, to := newGroup(t, "::1")
	add(t, g, 2, 3)
	first, from, err := bindClient(to)
	must(t, err)
	defer first.close()
	second, from2, err := bindClient(to)
	must(t, err)
	defer second.close()
	end, err := g.preflight(2, from)
	must(t, err)
	_, err = g.preflight(3, from2)
	must(t, err)
	end() // not the present one's
	for c, want := range map[client]int{first: 1, second: 3} {
		must(t, c.connect(to))
		got, conn, err := acceptAny(sockets(g))
		must(t, err)
		client{conn}.close()
		if got != want {
			t.Errorf("generation %d got what was %d's", got, want)
		}
	}
}

func TestPreflightDuringACanary(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2, 3)
	must(t, g.Aim(2, 1, 5000, ""))
	for range 20 {
		c, from, err := bindClient(to)
		must(t, err)
		end, err := g.preflight(3, from)
		must(t, err)
		must(t, c.connect(to))
		got, conn, err := acceptAny(sockets(g))
		must(t, err)
		client{conn}.close()
		c.close()
		end()
		if got != 3 {
			t.Fatalf("generation %d got the visit to 3", got)
		}
	}
}

func TestAGenerationLeavesDuringItsPreflight(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	c, from, err := bindClient(to)
	must(t, err)
	defer c.close()
	end, err := g.preflight(2, from)
	must(t, err)
	g.Leave(2)
	must(t, c.connect(to))
	client{accept(t, socketOf(t, g, 1)).fd}.close()
	end()
	if n := len(fdsOf(g)); n != 1 {
		t.Errorf("%d members", n)
	}
	if _, err := g.preflight(2, from); err == nil {
		t.Error("a visit to nobody")
	}
	orderIsTrue(t, g, to)
}
