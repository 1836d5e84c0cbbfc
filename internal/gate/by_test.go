package gate

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/shares"
)

// askFrom is ask from an address.
func (g *testGate) askFrom(ip string) string {
	g.t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: patience}).Dial("tcp", g.address())
	must(g.t, err)
	defer c.Close()
	who, err := say(c)
	must(g.t, err)
	return who
}

// What decides about a member's share, and about one inside the holder, is the member's to
// say; it ends with that.
func TestCanaryBy(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: 1, By: "127.1.0.0/16"})
	for ip, want := range map[string]string{"127.1.0.1": b.name, "127.1.255.1": b.name, "127.2.0.1": a.name, "127.0.0.1": a.name} {
		for range 3 {
			if got := g.askFrom(ip); got != want {
				t.Errorf("%s is answered by %s", ip, got)
			}
		}
	}
	s := g.do(control.Request{Verb: control.VerbStatus}).Status
	if s.CanaryBy != "127.1.0.0/16" || s.Gate.Members[0].Share != nil || s.Gate.Members[1].Share != nil {
		t.Errorf("%s", s.JSON())
	}
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full / 2, By: string(shares.ByClient(7))})
	s = g.do(control.Request{Verb: control.VerbStatus}).Status
	if s.CanaryBy != "client" || *s.Gate.Members[0].Share != shares.Full/2 {
		t.Errorf("%s", s.JSON())
	}
	sides := map[string]int{}
	for i := range 40 {
		ip := net.IPv4(127, 5, 6, byte(i+1)).String()
		who := g.askFrom(ip)
		sides[who]++
		for range 3 {
			if again := g.askFrom(ip); again != who {
				t.Fatalf("%s has gone from %s to %s", ip, who, again)
			}
		}
	}
	if len(sides) != 2 {
		t.Errorf("half of the clients are %v", sides)
	}
	b.must(gatewire.Message{Op: gatewire.OpDone})
	until(t, "its share to be taken away", g.rests)
	g.asksOnly(a.name)
	if s = g.do(control.Request{Verb: control.VerbStatus}).Status; s.CanaryBy != "" || *s.Gate.Members[1].Share != shares.Full {
		t.Errorf("%s", s.JSON())
	}
	a.serve(2)
	a.must(gatewire.Message{Op: gatewire.OpAim, Endpoint: "web", Generation: 2, Rest: 1, Share: 1, By: "127.1.0.0/16"})
	if r := a.call(gatewire.Message{Op: gatewire.OpShare, Endpoint: "web", Generation: 2}); r.m.Code != gatewire.CodeNone {
		t.Errorf("a share of networks: %+v", r.m)
	}
}

// A member that says nonsense gets an answer, and nothing happens.
func TestCanaryByNonsense(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	a.serve(2)
	for _, by := range []string{"x", "random", "client", "client:100000000", "10.0.0.1/8", "10.0.0.0/8,", strings.Repeat("10.0.0.0/8,", 64) + "::/0", strings.Repeat("9", 1<<14)} {
		for _, c := range []struct {
			from *peer
			m    gatewire.Message
		}{
			{b, gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: 100, By: by}},
			{a, gatewire.Message{Op: gatewire.OpAim, Endpoint: "web", Generation: 2, Rest: 1, Share: 100, By: by}},
		} {
			if r := c.from.call(c.m); r.m.Code != gatewire.CodeDenied || !strings.HasPrefix(r.m.Error, "cannot use by ") || len(r.m.Error) > 200 {
				t.Errorf("%.40q: %+v", by, r.m)
			}
		}
	}
	g.asksOnly(a.name)
}

// Every member hears where the connections of all come from.
func TestPeer(t *testing.T) {
	set := settings(t)
	_, port, _ := strings.Cut(set.Listen, ":")
	// At another address there may be what tests before it have left.
	set.Listen = fmt.Sprintf("web=127.%d.%d.%d:%s", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254), port)
	g := start(t, set)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.hold(1)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for i, ip := range []string{"127.0.0.7", "127.0.0.7", "127.0.0.7", "127.0.0.7", "127.0.0.7", "127.0.0.8"} {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).Dial("tcp", g.address())
		must(t, err)
		open = append(open, c)
		want := gatewire.Message{Yes: i >= 4}
		if i < 5 {
			want.Address = ip
		}
		if r := b.must(gatewire.Message{Op: gatewire.OpPeer, Endpoint: "web"}); r.m.Yes != want.Yes || r.m.Address != want.Address {
			t.Errorf("after %d: %+v", i+1, r.m)
		}
	}
	if r := b.call(gatewire.Message{Op: gatewire.OpPeer, Endpoint: "none"}); r.m.Error == "" {
		t.Errorf("of no endpoint: %+v", r.m)
	}
}
