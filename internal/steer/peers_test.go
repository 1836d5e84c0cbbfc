package steer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// helperPeer: connections over the loopback interface count only while there are no others.
func helperPeer() error {
	first, addr, err := firstSocket("::")
	if err != nil {
		return err
	}
	g, err := NewTCP(first, 1, Options{Backlog: 64})
	if err != nil {
		return err
	}
	defer g.Close()
	to := netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	for i, from := range []string{"::1", "::1", "2001:db8::7", "::1", "2001:db8::7", "2001:db8::7", "2001:db8::7", "2001:db8::7", "::1", "2001:db8::8"} {
		if err := have(from); err != nil && err != unix.EEXIST {
			return err
		}
		c, err := dialFrom(from, to)
		if err != nil {
			return err
		}
		_, far, err := acceptAny(map[int]int{1: first})
		if err != nil {
			return err
		}
		if i%2 == 0 && i > 1 { // the server ends it, and has it in TIME_WAIT
			_ = unix.Close(far)
			c.read(make([]byte, 1))
			_ = unix.Close(c.fd)
		} else {
			defer client{far}.close()
			defer c.close()
		}
		want := ""
		switch {
		case i < 2:
			want = "::1"
		case i < 9:
			want = "2001:db8::7"
		}
		got, known, err := g.Peer()
		if got != want || known != (i >= 7) || err != nil {
			return fmt.Errorf("after %d connections: %q, %v, %v", i+1, got, known, err)
		}
	}
	return nil
}

// Over the loopback interface those count that stand, and are a few.
func TestPeer(t *testing.T) {
	// Of addresses of its own: at others there may be what tests before it have left.
	own := func(block int) string {
		return fmt.Sprintf("127.%d.%d.%d", block, rand.IntN(256), 1+rand.IntN(254))
	}
	g, to := newGroup(t, own(64))
	if from, known, err := g.Peer(); from != "" || known || err != nil {
		t.Errorf("of none: %q, %v, %v", from, known, err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr(own(65)), to.Port())
	other, err := newSocket(at, false)
	must(t, err)
	defer unix.Close(other)
	must(t, unix.Listen(other, 1))
	c, err := dialFrom("127.0.0.8", at) // to somebody else, at the same port
	must(t, err)
	defer c.close()
	for i := range 2 * peersFew {
		near := dial(t, to)
		far := accept(t, socketOf(t, g, 1))
		if i%2 == 0 { // the server ends it, and has it in TIME_WAIT: a check of the container's own
			unix.Close(far.fd)
			near.read(make([]byte, 1))
			unix.Close(near.fd)
		} else {
			defer near.close()
			defer far.close()
		}
		want := "127.0.0.9"
		if i == 0 {
			want = ""
		}
		if from, known, err := g.Peer(); from != want || known != (i == 2*peersFew-1) || err != nil {
			t.Errorf("%d from one: %q, %v, %v", i+1, from, known, err)
		}
	}
	c, err = dialFrom("127.0.0.8", to)
	must(t, err)
	defer c.close()
	if from, known, err := g.Peer(); from != "" || !known || err != nil {
		t.Errorf("from two: %q, %v, %v", from, known, err)
	}
	g.SetUnseen("test")
	if from, known, err := g.Peer(); from != "" || known || err != nil {
		t.Errorf("unseen: %q, %v, %v", from, known, err)
	}
}
