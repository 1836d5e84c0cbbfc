package steer

import (
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
)

func TestCheckAddr(t *testing.T) {
	for _, host := range hosts {
		wide := host == "::" || host == "0.0.0.0"
		g, to := newGroup(t, host)
		check := netip.AddrPortFrom(CheckAddr(), to.Port())
		// at expects that n is checked, 0 for nobody, and that new others get what is for all.
		at := func(n, others int) {
			t.Helper()
			expect(t, g, to, others)
			if !wide {
				n = 0
			}
			if got := g.Checks(); got != n {
				t.Errorf("%s: generation %d is checked, not %d", host, got, n)
			}
			if n != 0 {
				expect(t, g, check, n)
			}
		}
		at(0, 1)
		if wide {
			expect(t, g, check, 1)
		}
		add(t, g, 2)
		at(2, 1)
		c, from, err := bindClient(to) // beside a probe of another
		must(t, err)
		c.close()
		end, err := g.preflight(1, from)
		must(t, err)
		at(2, 1)
		end()
		must(t, g.Aim(2, 1, 0, ""))
		at(0, 1)
		add(t, g, 3)
		must(t, g.Aim(3, 1, shares.Full/2, ""))
		if wide {
			expect(t, g, check, 3)
		}
		g.Leave(2) // the last one takes its place
		if wide {
			expect(t, g, check, 3)
		}
		must(t, g.Aim(3, 1, shares.Full, ""))
		at(0, 3)
		g.Leave(1)
		add(t, g, 4)
		at(4, 3)
		must(t, g.Aim(3, 4, shares.Full, shares.Random)) // the traffic comes back to 3, and 4 gets its share again
		must(t, g.Aim(4, 3, shares.Full/2, shares.Random))
		if wide {
			expect(t, g, check, 4)
		}
		g.Uncheck()
		if n := g.Checks(); n != 0 {
			t.Errorf("%s: generation %d is checked when no swap runs", host, n)
		}
		must(t, g.Aim(3, 4, shares.Full, shares.Random))
		g.Leave(4)
		at(0, 3)
	}
}

// A group whose sockets are lent to other containers has no check: their loopback is another.
func TestCheckAddrGuarded(t *testing.T) {
	g, _ := newGroup(t, "0.0.0.0", func(o *Options) { o.Guarded = true })
	add(t, g, 2)
	if n := g.Checks(); n != 0 {
		t.Errorf("generation %d is checked", n)
	}
}
