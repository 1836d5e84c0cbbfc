package steer

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// patience ends a wait that would otherwise never end; nothing is asserted
// about time.
const patience = 90 * time.Second

// helpers run in a process of their own: the test binary, executed again.
var helpers = map[string]func() error{
	"unprivileged": helperUnprivileged,
	"ipv6":         helperIPv6,
}

func TestMain(m *testing.M) {
	if name := os.Getenv("STEER_TEST_HELPER"); name != "" {
		if err := helpers[name](); err != nil {
			fmt.Print(err)
			os.Exit(1)
		}
		fmt.Print("fine")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runHelper fails the test with what the helper reports.
func runHelper(t *testing.T, name string, attr *syscall.SysProcAttr) {
	t.Helper()
	self, err := os.Open("/proc/self/exe") // its directory may be closed to another uid
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "STEER_TEST_HELPER="+name)
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "fine" {
		t.Errorf("helper %s: %v: %s", name, err, out)
	}
}

// eventually polls until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
		<-tick.C
	}
}

// newSocket is a socket as endpoints have it. group: SO_REUSEPORT before the
// bind, as all but the first.
func newSocket(addr netip.AddrPort, group bool) (int, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	set := func(level, option, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, option, value)
		}
	}
	if family == unix.AF_INET6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if group {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = unix.Bind(fd, procnet.Sockaddr(addr))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// firstSocket is an endpoint's first socket, listening, on a free port that was
// asked for: one that the kernel chose would be given up at a shutdown.
func firstSocket(host string) (int, netip.AddrPort, error) {
	addr := netip.AddrPortFrom(netip.MustParseAddr(host), 0)
	for range 1000 {
		fd, err := newSocket(addr, false)
		if err != nil {
			return -1, addr, err
		}
		at, err := procnet.Local(fd)
		unix.Close(fd)
		if err != nil {
			return -1, addr, err
		}
		free := netip.AddrPortFrom(addr.Addr(), at.Port())
		if fd, err = newSocket(free, false); err == unix.EADDRINUSE {
			continue // somebody was faster
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err == nil {
			err = Prepare(fd)
		}
		if err == nil {
			if err = unix.Listen(fd, 1024); err == unix.EADDRINUSE {
				unix.Close(fd)
				continue
			}
		}
		return fd, free, err
	}
	return -1, addr, unix.EADDRINUSE
}

// newGroup is a group of generation 1 on a loopback or wildcard address. The
// address that is returned can be connected to.
func newGroup(t *testing.T, host string, change ...func(*Options)) (*TCP, netip.AddrPort) {
	t.Helper()
	fd, addr, err := firstSocket(host)
	if err != nil {
		t.Fatal(err)
	}
	own := addr
	o := Options{Backlog: 1024, Open: func() (int, error) { return newSocket(own, true) }}
	for _, f := range change {
		f(&o)
	}
	g, err := NewTCP(fd, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	if addr.Addr() == netip.IPv4Unspecified() {
		addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	}
	if addr.Addr() == netip.IPv6Unspecified() {
		addr = netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	}
	return g, addr
}

// client is a connection's near end.
type client struct{ fd int }

// bindClient is one that is bound and does not connect yet.
func bindClient(to netip.AddrPort) (client, netip.AddrPort, error) {
	ip := netip.MustParseAddr("127.0.0.9") // not the other end's
	if to.Addr().Is6() {
		ip = netip.IPv6Loopback()
	}
	fd, err := newSocket(netip.AddrPortFrom(ip, 0), false)
	if err != nil {
		return client{-1}, netip.AddrPort{}, err
	}
	at, err := procnet.Local(fd)
	return client{fd}, at, err
}

func (c client) connect(to netip.AddrPort) error {
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
		return err
	}
	for {
		err := unix.Connect(c.fd, procnet.Sockaddr(to))
		if err != unix.EINTR && err != unix.EALREADY {
			if err == unix.EISCONN {
				err = nil
			}
			return err
		}
	}
}

func (c client) send(text string) error {
	_, err := unix.Write(c.fd, []byte(text))
	return err
}

func (c client) read(buffer []byte) int {
	n, _ := unix.Read(c.fd, buffer)
	return n
}

// close resets, so that nothing lingers.
func (c client) close() {
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(c.fd)
}

func dial(t *testing.T, to netip.AddrPort) client {
	t.Helper()
	c, _, err := bindClient(to)
	if err == nil {
		err = c.connect(to)
	}
	if err != nil {
		t.Fatalf("connect %v: %v", to, err)
	}
	return c
}

// accept waits for a connection in the queue of fd.
func accept(t *testing.T, fd int) client {
	t.Helper()
	got, conn, err := acceptAny(map[int]int{0: fd})
	if err != nil || got != 0 {
		t.Fatalf("accept: %v", err)
	}
	return client{conn}
}

// acceptAny waits for a connection in any of the queues.
func acceptAny(fds map[int]int) (key, conn int, err error) {
	var poll []unix.PollFd
	var keys []int
	for key, fd := range fds {
		poll = append(poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		keys = append(keys, key)
	}
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		if _, err := unix.Poll(poll, 1000); err != nil && err != unix.EINTR {
			return 0, -1, err
		}
		for i := range poll {
			if poll[i].Revents&unix.POLLIN != 0 {
				conn, _, err := unix.Accept4(int(poll[i].Fd), unix.SOCK_CLOEXEC)
				return keys[i], conn, err
			}
		}
	}
	return 0, -1, fmt.Errorf("no connection came")
}

// sockets are the descriptors of the generations.
func sockets(g *TCP) map[int]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	fds := map[int]int{}
	for n, m := range g.layout.holders {
		fds[n] = m.fd
	}
	return fds
}

// fdsOf are those of all members but the anchor.
func fdsOf(g *TCP) (fds []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.layout.all() {
		if m != g.anchor {
			fds = append(fds, m.fd)
		}
	}
	return fds
}

// whoGets connects and tells the generation that got it.
func whoGets(g *TCP, to netip.AddrPort) (int, error) {
	c, _, err := bindClient(to)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if err := c.connect(to); err != nil {
		return 0, err
	}
	n, conn, err := acceptAny(sockets(g))
	if err == nil {
		client{conn}.close()
	}
	return n, err
}

// expect checks that several connections all go to generation n.
func expect(t *testing.T, g *TCP, to netip.AddrPort, n int) {
	t.Helper()
	for range 20 {
		got, err := whoGets(g, to)
		if err != nil {
			t.Fatal(err)
		}
		if got != n {
			t.Fatalf("generation %d got a connection that was %d's", got, n)
		}
	}
}

// must fails the test at once.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add gives the generations sockets.
func add(t *testing.T, g *TCP, generations ...int) {
	t.Helper()
	for _, n := range generations {
		must(t, g.Add(n, false))
	}
}

func socketOf(t *testing.T, g *TCP, n int) int {
	t.Helper()
	fd, ok := sockets(g)[n]
	if !ok {
		t.Fatalf("generation %d has no socket", n)
	}
	return fd
}

func contains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s is %q, without %q", what, text, part)
	}
}
