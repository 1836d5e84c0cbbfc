package listen

import (
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// The twin of an endpoint is of the other family, and has its IPv4 connections.
func TestTwin(t *testing.T) {
	for item, want := range map[string]string{
		":8080":                 "tcp4://0.0.0.0:8080",
		"tcp://[::]:8080":       "tcp4://0.0.0.0:8080",
		"tcp4://:8080":          "tcp6://[::ffff:0.0.0.0]:8080",
		"tcp4://127.0.0.1:8080": "tcp6://[::ffff:127.0.0.1]:8080",
		"127.0.0.1:8080":        "tcp6://[::ffff:127.0.0.1]:8080",
		"tcp6://[::]:8080":      "",
		"tcp://[::1]:8080":      "",
		"udp://:8080":           "",
		"udp4://127.0.0.1:53":   "",
		"unix:///run/a.sock":    "",
	} {
		specs, err := Parse(item + "?backlog=7")
		if strings.HasPrefix(item, "udp") {
			specs, err = Parse(item)
		}
		must(t, err)
		was := specs[0]
		twin, ok := specs[0].Twin()
		if specs[0] != was {
			t.Errorf("%s has changed", item)
		}
		if ok != (want != "") || ok && (twin.address() != want || twin.Backlog != 7 || twin.Name != was.Name) {
			t.Errorf("the twin of %s is %s (%+v), %v; want %s", item, twin.address(), twin, ok, want)
		}
	}
}

// The twin can be bound beside the endpoint, and takes over the IPv4 connections from
// all addresses.
func TestBindTwin(t *testing.T) {
	specs, err := Parse("tcp://:" + port(t))
	must(t, err)
	first, err := BindFirst(&specs[0], func(int) error { return nil })
	must(t, err)
	defer unix.Close(first)
	if specs[0].Addr.Addr().Is4() {
		t.Skip("no IPv6 on this system")
	}
	must(t, unix.Listen(first, 8))
	twin, ok := specs[0].Twin()
	if !ok {
		t.Fatal("there is none")
	}
	second, err := Bind(&twin)
	must(t, err)
	defer unix.Close(second)
	if procnet.Listens(second) {
		t.Error("it listens already")
	}
	must(t, unix.Listen(second, 8))
	third, err := Bind(&twin)
	must(t, err)
	unix.Close(third)
	at, err := procnet.Local(second)
	must(t, err)
	if want := netip.AddrPortFrom(netip.IPv4Unspecified(), specs[0].Addr.Port()); at != want {
		t.Errorf("bound to %v, want %v", at, want)
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(c)
	must(t, unix.Connect(c, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(at.Port())}))
	p := []unix.PollFd{{Fd: int32(first), Events: unix.POLLIN}, {Fd: int32(second), Events: unix.POLLIN}}
	until(t, "a connection", func() bool { n, _ := unix.Poll(p, 0); return n > 0 })
	if p[0].Revents != 0 {
		t.Error("the endpoint of all addresses has got it")
	}
}

// BindFirst is for whoever has the address alone.
func TestBindFirst(t *testing.T) {
	specs, err := Parse("tcp4://127.0.0.1:" + port(t))
	must(t, err)
	prepared := 0
	first, err := BindFirst(&specs[0], func(int) error { prepared++; return nil })
	must(t, err)
	defer unix.Close(first)
	must(t, unix.Listen(first, 8))
	before := openFDs(t)
	second, err := BindFirst(&specs[0], func(int) error { prepared++; return nil })
	if err == nil {
		err = unix.Listen(second, 8)
		unix.Close(second)
	}
	if err == nil {
		t.Error("a second one listens beside the first")
	}
	if _, err := BindFirst(&Spec{Network: "tcp4", Addr: netip.MustParseAddrPort("127.0.0.1:0")}, func(int) error { return unix.EIO }); err != unix.EIO {
		t.Errorf("not prepared: %v", err)
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d fds, then %d", before, after)
	}
}

// An endpoint that has joined is watched and mended as the others, but no generation is
// given it.
func TestJoin(t *testing.T) {
	set := mustPrepare(t, func(int) error { return nil })
	lines := mustGuard(t, set)
	specs, err := Parse("tcp4://127.0.0.1:" + port(t))
	must(t, err)
	fd, err := Bind(&specs[0])
	must(t, err)
	must(t, unix.Listen(fd, 8))
	g := &fakeGroup{set: set, fds: []int{fd}, line: "mended"}
	e := set.Join(specs[0], g)
	if e.Address != "tcp4://"+specs[0].Addr.String() {
		t.Errorf("it is %+v", e)
	}
	must(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	until(t, "it listens again", func() bool { return procnet.Listens(fd) })
	until(t, "a line", func() bool { return lines.incidents() == 1 })
	if given := lent(t, set, 1); len(given.Files) != 1 || len(set.Endpoints()) != 1 {
		t.Errorf("given: %+v", given)
	}

	set.Part(g)
	set.Unwatch(fd)
	set.Close()
	if g.closed {
		t.Error("it was closed after Part")
	}
	if e := set.Join(specs[0], g); e.Address != "tcp4://"+specs[0].Addr.String() || g.closed {
		t.Errorf("joined after Close: %+v, closed: %v", e, g.closed)
	}
	g.Close()

	set = mustPrepare(t, func(int) error { return nil })
	g = &fakeGroup{set: set}
	set.Join(specs[0], g)
	set.Close()
	if !g.closed {
		t.Error("it was not closed")
	}
}

// A Set without an endpoint watches nothing, and takes no inotify instance for that, until
// one joins.
func TestJoinEmpty(t *testing.T) {
	set, err := Open(nil, nil, nil)
	must(t, err)
	defer set.Close()
	before := openFDs(t)
	lines := mustGuard(t, set)
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors, with a guard %d", before, after)
	}
	if err := set.Guard(func(string) {}); err == nil {
		t.Error("a second guard")
	}
	set.Check()

	specs, err := Parse("tcp4://127.0.0.1:" + port(t))
	must(t, err)
	fd, err := Bind(&specs[0])
	must(t, err)
	must(t, unix.Listen(fd, 8))
	set.Join(specs[0], &fakeGroup{set: set, fds: []int{fd}, line: "mended"})
	must(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	until(t, "it listens again", func() bool { return procnet.Listens(fd) })
	until(t, "a line", func() bool { return lines.incidents() == 1 })
}

// Another is for endpoints with one socket.
func TestAnotherDuplicate(t *testing.T) {
	set := mustOpen(t, "tcp4://127.0.0.1:PORT")
	fd, err := set.Another(0)
	must(t, err)
	defer unix.Close(fd)
	own, err := procnet.Inode(set.listeners[0].fd)
	must(t, err)
	if inode, err := procnet.Inode(fd); err != nil || inode != own || fd < 3 || fd == set.listeners[0].fd {
		t.Errorf("descriptor %d has inode %d, want %d", fd, inode, own)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: not close-on-exec", flags, err)
	}
	steered, _ := mustSteer(t)
	for name, f := range map[string]func() (int, error){
		"of a group": func() (int, error) { return steered.Another(0) },
		"negative":   func() (int, error) { return set.Another(-1) },
		"beyond":     func() (int, error) { return set.Another(1) },
	} {
		if fd, err := f(); err != unix.EBADF || fd != -1 {
			t.Errorf("%s: %d, %v", name, fd, err)
		}
	}
	set.Close()
	if fd, err := set.Another(0); err != unix.EBADF || fd != -1 {
		t.Errorf("closed: %d, %v", fd, err)
	}
}
