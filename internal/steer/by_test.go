package steer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	stdnetip "net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// dialFrom is dial from an address.
func dialFrom(from string, to netip.AddrPort) (client, error) {
	fd, err := newSocket(netip.AddrPortFrom(netip.MustParseAddr(from), 0), false)
	if err != nil {
		return client{-1}, err
	}
	c := client{fd}
	return c, c.connect(to)
}

// getter is the generation that gets a connection from an address.
func getter(g *TCP, from string, to netip.AddrPort) (int, error) {
	c, err := dialFrom(from, to)
	if err != nil {
		return 0, err
	}
	defer c.close()
	n, conn, err := acceptAny(sockets(g))
	if err == nil {
		client{conn}.close()
	}
	return n, err
}

// hashOf is what the kernel's program is to make of an address.
func hashOf(from string, salt uint32) uint32 {
	mix := func(h uint32) uint32 {
		h ^= h >> 16
		h *= 0x85ebca6b
		h ^= h >> 13
		h *= 0xc2b2ae35
		return h ^ h>>16
	}
	b := stdnetip.MustParseAddr(from).AsSlice()
	h := mix(binary.BigEndian.Uint32(b) ^ salt)
	if len(b) == 16 {
		h = mix(h ^ binary.BigEndian.Uint32(b[4:]))
	}
	return h
}

// predicted is what generation 2's share makes of clients.
func predicted(from string, salt uint32, share int) int {
	if hashOf(from, salt)%shares.Full < uint32(share) {
		return 2
	}
	return 1
}

// byClient asks the kernel about all clients. The error says where it does not do as
// predicted.
func byClient(g *TCP, to netip.AddrPort, clients []string, salt uint32, share int) (second map[string]bool, err error) {
	second = map[string]bool{}
	for _, from := range clients {
		n, err := getter(g, from, to)
		if want := predicted(from, salt, share); err == nil && n != want {
			err = fmt.Errorf("%s at %d with salt %#x: generation %d, want %d", from, share, salt, n, want)
		}
		if err != nil {
			return nil, err
		}
		second[from] = n == 2
	}
	return second, nil
}

// monotone walks the stages of a canary: nobody leaves the successor.
func monotone(g *TCP, to netip.AddrPort, clients []string, salt uint32) error {
	var before map[string]bool
	for _, share := range []int{1, 100, 1000, 2500, 5000, 9999} {
		if err := g.Aim(2, 1, share, shares.ByClient(salt)); err != nil {
			return err
		}
		if got, ok := g.Share(2); got != share || !ok {
			return fmt.Errorf("its share is %d, %v", got, ok)
		}
		second, err := byClient(g, to, clients, salt, share)
		if err != nil {
			return err
		}
		for from := range before {
			if before[from] && !second[from] {
				return fmt.Errorf("%s has left the successor at %d", from, share)
			}
		}
		before = second
	}
	return nil
}

// clients4 are addresses of 127/8.
func clients4(n int, seed uint64) (list []string) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range n {
		list = append(list, fmt.Sprintf("127.%d.%d.%d", random.IntN(256), random.IntN(256), 1+random.IntN(254)))
	}
	return list
}

func TestByClient(t *testing.T) {
	inBoth(t, func(t *testing.T, kind ...func(*Options)) {
		for i, host := range []string{"127.0.0.1", "::"} { // IPv4 to a dual-stack socket
			g, to := newGroup(t, host, kind...)
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
			add(t, g, 2)
			must(t, monotone(g, to, clients4(150, uint64(i)), []uint32{0, 0xdeadbeef}[i]))
		}
	})
}

// Another salt: other clients are first.
func TestTheSaltDecides(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2)
	clients := clients4(100, 7)
	var first map[string]bool
	for _, salt := range []uint32{1, 2} {
		must(t, g.Aim(2, 1, 5000, shares.ByClient(salt)))
		second, err := byClient(g, to, clients, salt, 5000)
		must(t, err)
		differ := 0
		for from := range first {
			if first[from] != second[from] {
				differ++
			}
		}
		if first != nil && differ < len(clients)/4 {
			t.Errorf("%d of %d clients have changed sides with the salt", differ, len(clients))
		}
		first = second
	}
}

// Repairs, a probe and one that leaves change nothing for a client.
func TestClientsStayOverRepairs(t *testing.T) {
	const salt = 42
	g, to := newGroup(t, "127.0.0.1")
	add(t, g, 2, 3)
	clients := clients4(60, 3)
	must(t, g.Aim(2, 1, 5000, shares.ByClient(salt)))
	stay := func(after string) {
		t.Helper()
		if _, err := byClient(g, to, clients, salt, 5000); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
	}
	c, source, err := bindClient(to)
	must(t, err)
	end, err := g.preflight(3, source)
	must(t, err)
	must(t, c.connect(to))
	accept(t, socketOf(t, g, 3)).close()
	c.close()
	stay("a probe began")
	end()
	stay("a probe")
	g.Leave(3)
	stay("another one has left")
	for n := 1; n <= 2; n++ {
		must(t, unix.Shutdown(socketOf(t, g, n), unix.SHUT_RD))
		_, err := g.Mend()
		must(t, err)
		stay("a socket was shut down")
	}
	must(t, g.Aim(1, 2, shares.Full, ""))
	expect(t, g, to, 1)
}

// One leaves from between the two that share: in the moment in which the other one has
// moved, and the program is still the old one, no client changes sides.
func TestClientsStayWhenOneLeaves(t *testing.T) {
	inBoth(t, func(t *testing.T, kind ...func(*Options)) {
		const salt = 9
		g, to := newGroup(t, "127.0.0.1", kind...)
		add(t, g, 3, 2)
		must(t, g.Aim(2, 1, 5000, shares.ByClient(salt)))
		m := g.layout.holders[3]
		g.backfill(m)
		must(t, unix.Shutdown(m.fd, unix.SHUT_RD))
		clients := clients4(60, 4)
		_, err := byClient(g, to, clients, salt, 5000)
		must(t, err)
		delete(g.layout.holders, 3)
		g.retire(m)
		_, err = byClient(g, to, clients, salt, 5000)
		must(t, err)
		orderIsTrue(t, g, to)
		must(t, g.Aim(2, 1, shares.Full, ""))
		expect(t, g, to, 2)
	})
}

// in predicts by the standard library.
func in(from string, networks string) bool {
	for _, word := range strings.Split(networks, ",") {
		if p, err := stdnetip.ParsePrefix(word); err == nil && p.Contains(stdnetip.MustParseAddr(from)) {
			return true
		}
	}
	return false
}

// byNetworks asks the kernel about all clients, whatever the share.
func byNetworks(g *TCP, to netip.AddrPort, networks string, clients []string) error {
	by, err := shares.ParseBy(networks, 0)
	if err != nil {
		return err
	}
	for _, share := range []int{1, 5000} {
		if err := g.Aim(2, 1, share, by); err != nil {
			return err
		}
		if _, ok := g.Share(2); ok {
			return errors.New("it knows the share of networks")
		}
		for _, from := range clients {
			want := 1
			if in(from, networks) {
				want = 2
			}
			if n, err := getter(g, from, to); n != want || err != nil {
				return fmt.Errorf("%s with %s: generation %d, want %d, %v", from, networks, n, want, err)
			}
		}
	}
	return nil
}

func TestByNetworks(t *testing.T) {
	clients := append(clients4(40, 5), "127.1.2.3", "127.1.2.2", "127.1.3.3", "127.255.255.254", "127.0.0.1", "127.128.0.1")
	for i, networks := range []string{
		"127.1.2.3/32", "127.128.0.0/9", "0.0.0.0/0", "10.0.0.0/8,2001:db8::/32", "127.1.2.0/31,127.64.0.0/10,::/0,127.0.0.1/32",
	} {
		g, to := newGroup(t, []string{"127.0.0.1", "::"}[i%2])
		to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
		add(t, g, 2)
		must(t, byNetworks(g, to, networks, clients))
		if share, ok := g.Share(2); ok {
			t.Errorf("%s: its share is %d", networks, share)
		}
		must(t, g.Aim(2, 1, shares.Full, ""))
		expect(t, g, to, 2)
	}
}

// An IPv4-mapped network is one of IPv4, an address one of itself.
func TestByOtherWords(t *testing.T) {
	g, to := newGroup(t, "::")
	to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
	add(t, g, 2)
	for words, want := range map[string]int{"::ffff:127.0.5.0/120": 2, "127.0.5.5": 2, "::ffff:127.0.5.5": 2, "::ffff:0:0/96": 2, "127.0.5.4 ::1": 1, "::ffff:126.0.0.0/104": 1} {
		by, err := shares.ParseBy(words, 0)
		must(t, err)
		must(t, g.Aim(2, 1, 100, by))
		if n, err := getter(g, "127.0.5.5", to); n != want || err != nil {
			t.Errorf("%s: generation %d, want %d, %v", words, n, want, err)
		}
	}
}

// IPv6 with addresses that this network has for the test.
func TestByIPv6(t *testing.T) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	runHelper(t, "ipv6", attr)
}

// have adds an address to the loopback interface (netdevice(7), struct in6_ifreq).
func have(address string) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := struct {
		address [16]byte
		bits    uint32
		index   int32
	}{stdnetip.MustParseAddr(address).As16(), 128, 1}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C { // it is not there at once
		fd, err := newSocket(netip.AddrPortFrom(netip.MustParseAddr(address), 0), false)
		if err == nil {
			unix.Close(fd)
		}
		if err != unix.EADDRNOTAVAIL {
			return err
		}
	}
	return unix.EADDRNOTAVAIL
}

func helperIPv6() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(2, 2))
	var clients []string
	for i := range 60 { // the first ten are of one /64
		a := fmt.Sprintf("2001:db8:%x:%x::%x", random.IntN(1<<16), random.IntN(1<<16), 1+random.IntN(1<<15))
		if i < 10 {
			a = fmt.Sprintf("2001:db8:1:2:%x::%x", 1+random.IntN(1<<15), i+1)
		}
		if err := have(a); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
		clients = append(clients, a)
	}
	first, addr, err := firstSocket("::")
	if err != nil {
		return err
	}
	g, err := NewTCP(first, 1, Options{Backlog: 64, Open: func() (int, error) { return newSocket(addr, true) }})
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Add(2, false); err != nil {
		return err
	}
	to := netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	for _, salt := range []uint32{3, 0xcafe} {
		if err := monotone(g, to, clients, salt); err != nil {
			return err
		}
		for _, from := range clients[:10] {
			if predicted(from, salt, 5000) != predicted(clients[0], salt, 5000) {
				return errors.New("the prediction is not by the /64")
			}
		}
	}
	all := strings.Join(clients[:32], "/128,") + "/128" // and the most that there can be
	for range 32 {
		all += fmt.Sprintf(",fd00:%x::/24", random.IntN(256)<<8)
	}
	for _, networks := range []string{"2001:db8::/32", "2001:db8:1:2::/64,::1/128", "2001:db8:8000::/33,127.0.0.0/8", "2001:db8:0:0:4000::/66", "fd00::/8,0.0.0.0/0", "::/0", clients[3] + "/128", all} {
		if err := byNetworks(g, to, networks, clients); err != nil {
			return err
		}
	}
	return helperPeer()
}
