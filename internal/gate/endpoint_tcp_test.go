package gate

import (
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// What a member can do to the sockets that it was lent is repaired, by the guard or at
// the next look.
func TestAHostileMember(t *testing.T) {
	e := opened(t, "web=tcp://:PORT")
	one, two := join(t, e, 1, "web"), join(t, e, 2, "web")
	fd := two.fds["web"]
	for range 3 {
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0))
		if _, err := e.Look("web", 1, 0); err != nil {
			t.Error(err)
		}
		one.gets(t, e)
		must(t, unix.Listen(fd, 5))
		must(t, unix.Listen(one.fds["web"], 5))
		must(t, e.Counts("web", 0, func(int, steer.Look) {}))
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err != nil || info.Sacked <= 5 {
			t.Errorf("its queue has %d places, %v", info.Sacked, err)
		}
		for _, m := range []*member{one, two} {
			must(t, unix.Shutdown(m.fds["web"], unix.SHUT_RDWR))
			until(t, "it listens again", func() bool { return procnet.Listens(m.fds["web"]) })
			one.gets(t, e)
		}
	}
	program := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	for _, option := range []int{unix.SO_ATTACH_REUSEPORT_CBPF, unix.SO_ATTACH_FILTER} {
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, option, &unix.SockFprog{Len: 1, Filter: &program}); err != unix.EPERM {
			t.Errorf("it attaches a program: %v", err)
		}
	}
	<-e.Aim(2, 1, shares.Full, "")
	two.gets(t, e)
}

func TestProbe(t *testing.T) {
	e := opened(t, "web=tcp://:PORT")
	one, two := join(t, e, 1, "web"), join(t, e, 2, "web")
	one.gets(t, e)
	for _, host := range []string{"127.0.0.1", "::1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(host), e.list()[0].Addr.Port())
		fd, err := e.Probe("web", 2, to)
		must(t, err)
		from, err := procnet.Local(fd)
		must(t, err)
		if yes, err := e.Accepted("web", from); yes || err != nil {
			t.Errorf("%s: accepted: %v, %v", host, yes, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s: it blocks, %v", host, err)
		}
		if n := two.waiting(t, "web"); n != 1 {
			t.Errorf("%s: it has %d", host, n)
		}
		if yes, err := e.Accepted("web", from); !yes || err != nil {
			t.Errorf("%s: accepted: %v, %v", host, yes, err)
		}
		unix.Close(fd)
		one.gets(t, e)
		if _, err := e.Probe("web", 3, to); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("%s: of nobody: %v", host, err)
		}
	}
}

func TestTwin(t *testing.T) {
	e := opened(t, "web=tcp://:PORT")
	one := join(t, e, 1, "web")
	name, err := e.Twin("web")
	must(t, err)
	if again, err := e.Twin("web"); again != name || err != nil || len(e.list()) != 2 || e.list()[1].of.name != "web" {
		t.Errorf("%q, %v, %+v", again, err, e.list())
	}
	if _, err := e.Twin(name); err == nil {
		t.Error("a twin's twin")
	}
	four := join(t, e, 1, name)
	four.gets(t, e)
	one.gets(t, e) // of IPv6

	// It outlives its member while nobody serves, as the next one may want it.
	must(t, e.Wait())
	e.LeaveAll(1)
	conn := dial(t, e, name, "127.0.0.1")
	two := join(t, e, 2, "web")
	four = join(t, e, 2, name)
	if n := four.waiting(t, name); n != 1 {
		t.Errorf("%d of 1 that has waited", n)
	}
	conn.Close()
	<-e.Aim(2, 2, shares.Full, "")
	e.Leave(name, 2)
	if len(e.list()) != 1 {
		t.Error("it is open, and nobody has it")
	}
	two.gets(t, e) // of IPv4 too
	must(t, e.Wait())
	e.LeaveAll(2)
	_, err = e.Twin("web")
	must(t, err)
	join(t, e, 3, "web")
	if e.Tidy(); len(e.list()) != 1 {
		t.Error("it is open, and the one that serves does not want it")
	}
}

func TestSleep(t *testing.T) {
	e := opened(t, both)
	one := join(t, e, 1, "web")
	must(t, e.Sleep("web"))
	if conn, err := try(e, "web", "127.0.0.1"); err == nil || !e.Asleep("web") {
		t.Errorf("it answers: %v", conn)
	}
	two := join(t, e, 2, "web")
	must(t, e.Wake("web"))
	one.gets(t, e)
	<-e.Aim(2, 1, shares.Full, "")
	two.gets(t, e)
	if err := e.Sleep("unix"); err == nil {
		t.Error("a path sleeps")
	}
	if err := e.Sleep("none"); err != ErrNone {
		t.Error(err)
	}
}

// The path of a gate that has ended is taken over without a moment in which it leads
// nowhere, though members listen there.
func TestThePathOfAGateBefore(t *testing.T) {
	e := opened(t, "unix=unix://DIR/s")
	specs := specsOf(e)
	path := specs[0].Path
	m := join(t, e, 1, "unix") // whose socket outlives the gate
	for range 30 {
		// The gate is killed: its names stay.
		must(t, unix.Link(path, path+".kept"))
		e.Close()
		must(t, unix.Rename(path+".kept", path))
		must(t, unix.Link(path, filepath.Join(filepath.Dir(path), ".s.swapinit.1")))
		stop, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			defer close(failed)
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := net.Dial("unix", path)
				if err != nil {
					failed <- err
					return
				}
				conn.Close()
			}
		}()
		e = reopened(t, specs, 0)
		close(stop)
		if err := <-failed; err != nil {
			t.Error(err)
		}
		for m.waiting(t, "unix") > 0 { // of the gate before
		}
		next := join(t, e, 1, "unix")
		next.waiting(t, "unix")
		next.gets(t, e)
		if n := m.waiting(t, "unix"); n != 0 {
			t.Errorf("the one before has %d", n)
		}
		m = next
	}
}

// Looks count the connections of a slot, and see the end of them.
func TestLook(t *testing.T) {
	e := opened(t, both)
	join(t, e, 1, "web", "unix")
	for _, name := range []string{"web", "unix"} {
		conn := dial(t, e, name, "127.0.0.1")
		until(t, "1 of "+name, func() bool {
			l, err := e.Look(name, 1, time.Hour)
			return err == nil && l.Open == 1 && l.Queued == 1
		})
		reset(conn)
	}
	join(t, e, 2, "web", "unix")
	<-e.Aim(2, 2, shares.Full, "")
	e.LeaveAll(1)
	for _, name := range []string{"web", "unix"} {
		if l, err := e.Look(name, 1, 0); err != nil || !reflect.DeepEqual(l, steer.Look{}) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		dial(t, e, name, "127.0.0.1")
		seen := 0
		must(t, e.Counts(name, 0, func(slot int, l steer.Look) {
			if slot == 2 {
				seen = l.Open
			}
		}))
		if seen != 1 {
			t.Errorf("%s: %d counted", name, seen)
		}
	}
	if _, err := e.Look("none", 1, 0); err != ErrNone {
		t.Error(err)
	}
}
