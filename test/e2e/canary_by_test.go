package e2e

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
)

// clientsOf are n addresses of 127/8, each of another client.
func clientsOf(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("127.%d.%d.%d", 1+i%7, i*37%256, 1+i%250))
	}
	return list
}

// hold makes connections from an address that stay until end.
func (c *container) hold(from string, n int) (end func()) {
	c.t.Helper()
	var held []net.Conn
	for range n {
		err := c.box.InNetwork(func() error {
			conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(c.t.Context(), "tcp", web)
			held = append(held, conn)
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return func() {
		for _, conn := range held {
			conn.Close()
		}
	}
}

// sides has who answers each client, a generation or a member, in a word that whose knows.
func (c *container) sides(clients []string, whose func(answer string) string) map[string]string {
	c.t.Helper()
	sides := map[string]string{}
	for _, from := range clients {
		answer := strings.TrimSpace(c.askFrom(&net.TCPAddr{IP: net.ParseIP(from)}, "tcp", web))
		if sides[from] = whose(answer); sides[from] == "" {
			c.t.Fatalf("%s is answered %q", from, answer)
		}
	}
	return sides
}

// byGeneration is of generations 1 and later, which count as one.
func byGeneration(answer string) string {
	switch {
	case answer == "generation 1":
		return "old"
	case strings.HasPrefix(answer, "generation "):
		return "new"
	}
	return ""
}

// byMember is of members a and b.
func byMember(answer string) string {
	switch {
	case strings.HasSuffix(answer, " a"):
		return "old"
	case strings.HasSuffix(answer, " b"):
		return "new"
	}
	return ""
}

// wantDivided fails unless both sides are there, and stay as they are.
func (c *container) wantDivided(clients []string, whose func(string) string) map[string]string {
	c.t.Helper()
	first := c.sides(clients, whose)
	got := map[string]int{}
	for _, side := range first {
		got[side]++
	}
	// By a fair coin fewer than a sixth of 60 are beyond doubt.
	if min(got["old"], got["new"]) < len(clients)/6 {
		c.t.Errorf("half of the clients are %v", got)
	}
	for range 3 {
		if again := c.sides(clients, whose); !maps.Equal(again, first) {
			c.t.Errorf("clients have changed sides: %v, %v", first, again)
		}
	}
	return first
}

// Nobody sees half of a release: a client stays on its side, and goes from the old one to
// the new one only. Which ones are first is drawn for each canary.
func TestCanaryByClient(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h", "SWAPINIT_CANARY_BY=client"))
	clients := clientsOf(60)
	var before map[string]string
	for range 2 {
		swap := c.later("swap")
		c.awaitStatus("the share", func(s status) bool { return strings.Contains(s.shares(), ":50") && s.CanaryBy == "client" })
		now := c.wantDivided(clients, byGeneration)
		if maps.Equal(before, now) {
			t.Error("two canaries have begun with the same clients")
		}
		before = now
		if r := c.Verb("rollback"); r.Code != 0 {
			t.Fatalf("rollback: %v", r)
		}
		if r := receive(t, "the swap", swap); r.Code != 1 {
			t.Fatalf("swap: %v", r)
		}
		if s := c.status(); s.CanaryBy != "" {
			t.Errorf("a canary by %q runs", s.CanaryBy)
		}
	}
}

// stagesByClient asks until done, and fails when a client goes back. It returns how many
// clients each of its rounds found on the new side.
func stagesByClient(c *container, whose func(string) string, done func() bool) (rounds []int) {
	c.t.Helper()
	clients := clientsOf(60)
	var before map[string]string
	for last := false; !last; {
		last = done() // one more round after the end
		now, n := c.sides(clients, whose), 0
		for from, side := range now {
			if before[from] == "new" && side == "old" {
				c.t.Fatalf("%s has gone back to the old side, after %v", from, rounds)
			}
			if side == "new" {
				n++
			}
		}
		before, rounds = now, append(rounds, n)
	}
	if n := rounds[len(rounds)-1]; n != len(clients) {
		c.t.Errorf("at the end %d of %d clients are on the new side", n, len(clients))
	}
	return rounds
}

func TestCanaryByClientStages(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered())
	swap := c.later("swap", "--canary", "10%/1s,50%/1s,75%/1s", "--canary-by", "client")
	var r *result
	rounds := stagesByClient(c, byGeneration, func() bool {
		select {
		case got := <-swap:
			r = &got
		default:
		}
		return r != nil
	})
	if r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	t.Logf("clients on the new side: %v", rounds)
}

// A canary whose share the kernel refuses has proved nothing, and must not get all
// connections: net.core.optmem_max bounds programs, and that of many networks is long.
func TestCanaryCannotBeAimed(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=10%/100ms"))
	if r := c.Verb("swap", "--canary-by", tooManyNetworks(c)); r.Code != 1 || !strings.Contains(r.Stderr, "cannot have its share of endpoint") {
		t.Errorf("swap: %v", r)
	}
	c.wantOnly(1)
	if r := c.Verb("swap"); r.Code != 0 { // a short program
		t.Errorf("swap: %v", r)
	}
}

// tooManyNetworks makes programs in a network namespace that short, and names so many.
func tooManyNetworks(c *container) string {
	if r := c.Exec("sh", "-c", "echo 900 > /proc/sys/net/core/optmem_max"); r.Code != 0 {
		skip(c.t, "namespaces", "net.core.optmem_max is all namespaces' (before Linux 6.8): %v", r)
	}
	var networks []string
	for n := range 60 {
		networks = append(networks, fmt.Sprintf("10.%d.0.0/16", n))
	}
	return strings.Join(networks, ",")
}

func TestGateCanaryCannotBeAimed(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	b := g.member("b", []string{"SWAPINIT_CANARY=10%/1h", "SWAPINIT_CANARY_BY=" + tooManyNetworks(g.container)})
	b.wantStatus(1)
	if !strings.Contains(b.Stderr(), "cannot have its share: endpoint") {
		t.Error(b.Stderr())
	}
	g.awaitGate("b to be gone", func(s *gateStatus) bool { return !s.of("b").Connected && s.of("a").State == "holder" })
	g.onlyFrom("a")
	g.member("c", []string{"SWAPINIT_CANARY=10%/100ms"})
	g.wait("c")
	g.onlyFrom("c")
}

// Networks alone see the successor, whatever the share.
func TestCanaryByNetworks(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=1%/1h", "SWAPINIT_CANARY_BY=client"))
	swap := c.later("swap", "--canary-by", "127.1.0.0/16 10.0.0.0/8,127.3.0.0/17")
	const by = "127.1.0.0/16,10.0.0.0/8,127.3.0.0/17"
	c.awaitStatus("the networks", func(s status) bool { return s.CanaryBy == by })
	if s := c.status(); s.shares() != "1:- 2:-" || s.Swap == nil || s.Swap.Stage != "canary" || s.Swap.Share != 0 {
		t.Errorf("shares %s, which nobody can know, in swap %+v", s.shares(), s.Swap)
	}
	if r := c.Verb("status"); !strings.Contains(r.Stdout, "\ncanary by: "+by+"\n") || !strings.Contains(r.Stdout, "  SHARE  OPEN  IDLE  QUEUED\n") {
		t.Errorf("status: %v", r)
	}
	want := map[string]string{}
	clients := append(clientsOf(40), "127.1.0.0", "127.1.255.255", "127.0.255.255", "127.2.0.0", "127.3.127.255", "127.3.128.0")
	for _, from := range clients {
		ip := net.ParseIP(from).To4()
		want[from] = "old"
		if ip[1] == 1 || ip[1] == 3 && ip[2] < 128 {
			want[from] = "new"
		}
	}
	if got := c.sides(clients, byGeneration); !maps.Equal(got, want) {
		t.Errorf("sides %v, want %v", got, want)
	}
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	r := receive(t, "the swap", swap)
	if r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	inOrder(t, r.Stdout, "canary: generation 2 has those from "+by+" of new connections", "swap done")
	c.wantOnly(2)
	c.awaitShares("2:100")
}

// Behind a proxy all clients are one, which is said where people look.
func TestCanaryByOneAddress(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h"))
	swap := c.later("swap", "--canary-by", "client")
	from := clientsOf(1)[0]
	end := c.hold(from, 5)
	c.awaitStatus("the notice", func(s status) bool { return s.OneAddress == from })
	if r := c.Verb("status"); !strings.Contains(r.Stdout, "\nall connections come from one address, "+from) {
		t.Errorf("status: %v", r)
	}
	c.awaitErr("generation 2 gets all connections or none: they come from one address, " + from)
	if r := c.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	r := receive(t, "the swap", swap)
	inOrder(t, r.Stdout, "canary: ", "one-address: generation 2 gets all connections or none", from, "swap done")
	if n := strings.Count(c.Stderr(), "one address"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	// From several there is nothing to say, nor where chance decides.
	end()
	defer c.hold("127.1.1.1", 3)()
	defer c.hold("127.1.1.2", 3)()
	swap = c.later("swap", "--canary-by", "client", "--canary", "50%/200ms,60%/200ms")
	r = receive(t, "the swap", swap)
	r2 := c.Verb("swap", "--canary", "50%/200ms")
	for _, r := range []result{r, r2} {
		if r.Code != 0 || strings.Contains(r.Stdout, "one-address") {
			t.Errorf("swap: %v", r)
		}
	}
}

func TestCanaryByNonsense(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered())
	for _, bad := range []string{"", "clients", "10.0.0.1/8", "10.0.0.0/33", "client,10.0.0.0/8", "::1/64"} {
		if r := c.Verb("swap", "--canary", "5%/1s", "--canary-by", bad); r.Code != 2 || !strings.Contains(r.Stderr, "cannot use --canary-by") {
			t.Errorf("swap --canary-by %s: %v, want status 2", bad, r)
		}
	}
	r := c.Verb("swap", "--canary-by", "client")
	if r.Code != 1 {
		t.Errorf("swap: %v, want status 1", r)
	}
	oneLine(t, r.Stderr, "there are no stages of a canary")
	c.wantOnly(1)
	c.awaitStates("1:active")
}

func TestGateCanaryByClient(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	a := g.first("a", []string{"SWAPINIT_CANARY=50%/1h"})
	g.member("b", []string{"SWAPINIT_CANARY=50%/1h", "SWAPINIT_CANARY_BY=client"})
	g.awaitState("b", "canary")
	clients := clientsOf(60)
	g.host.wantDivided(clients, byMember)
	if s := g.look(); s.CanaryBy != "client" || *s.ofShare("b") != 50 || s.OneAddress != "" {
		t.Errorf("%+v", s)
	}
	if r := g.Verb("rollback"); r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	// Inside the holder it is the same.
	swap := a.later("swap", "--canary-by", "client")
	a.awaitShares("1:50 2:50")
	g.host.wantDivided(clients, func(answer string) string { return byGeneration(strings.TrimSuffix(answer, " a")) })
	if r := a.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
}

func TestGateCanaryByClientStages(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	g.member("b", []string{"SWAPINIT_CANARY=10%/1s,50%/1s,75%/1s", "SWAPINIT_CANARY_BY=client"})
	rounds := stagesByClient(g.host, byMember, func() bool {
		s := g.look()
		return s.of("b").State == "holder"
	})
	t.Logf("clients on the new side: %v", rounds)
}

func TestGateCanaryByNetworks(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	b := g.member("b", []string{"SWAPINIT_CANARY=1%/1h", "SWAPINIT_CANARY_BY=127.2.0.0/16"})
	g.awaitState("b", "canary")
	if s := g.look(); s.CanaryBy != "127.2.0.0/16" || *s.ofShare("a") != -1 || *s.ofShare("b") != -1 {
		t.Errorf("%+v", s)
	}
	if s := b.status(); s.CanaryBy != "127.2.0.0/16" || s.shares() != "1:-" {
		t.Errorf("%+v", s)
	}
	for from, side := range g.host.sides(clientsOf(30), byMember) {
		if want := map[bool]string{true: "new", false: "old"}[strings.HasPrefix(from, "127.2.")]; side != want {
			t.Errorf("%s is on the %s side", from, side)
		}
	}
	if r := g.Verb("promote"); r.Code != 0 {
		t.Fatalf("promote: %v", r)
	}
	g.wait("b")
	g.onlyFrom("b")
	if s := g.look(); s.CanaryBy != "" || *s.ofShare("b") != 100 {
		t.Errorf("%+v", s)
	}
}

// Whoever is in canary sees its own connections only; the gate sees all of them.
func TestGateCanaryByOneAddress(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	b := g.member("b", []string{"SWAPINIT_CANARY=1%/1h", "SWAPINIT_CANARY_BY=127.9.0.0/16"})
	g.awaitState("b", "canary")
	from := clientsOf(1)[0]
	defer g.host.hold(from, 5)()
	await(t, "the notice", func() bool { return b.status().OneAddress == from })
	b.awaitErr("generation 1 gets all connections or none: they come from one address, " + from)
	if s := g.look(); s.OneAddress != from {
		t.Errorf("%+v", s)
	}
	if r := g.Verb("status"); !strings.Contains(r.Stdout, "\ncanary by: 127.9.0.0/16\nall connections come from one address, "+from) {
		t.Errorf("status: %v", r)
	}
}
