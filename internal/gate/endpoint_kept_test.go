package gate

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// reopened are the endpoints of a gate that comes after one that was closed.
func reopened(t *testing.T, specs []listen.Spec, holder int, members ...*member) *Endpoints {
	t.Helper()
	o := options(t)
	o.Holder = holder
	for _, m := range members {
		for name, fd := range m.fds {
			if Usable(fd, nil) == nil {
				o.Kept = append(o.Kept, Kept{name, m.slot, fd})
			}
		}
	}
	e, err := Open(specs, o)
	must(t, err)
	t.Cleanup(e.Close)
	return e
}

func specsOf(e *Endpoints) (specs []listen.Spec) {
	for _, one := range e.list() {
		if one.of == nil {
			specs = append(specs, one.Spec)
		}
	}
	return specs
}

func TestAGateAfterAnother(t *testing.T) {
	e := opened(t, "web=tcp://:PORT,other=tcp://127.0.0.1:PORT,unix=unix://DIR/s")
	name, err := e.Twin("web")
	must(t, err)
	one, two := join(t, e, 1, "web", "other", name), join(t, e, 2, "web", name)
	<-e.Aim(2, 1, shares.Full, "")
	two.gets(t, e)
	specs := specsOf(e)
	e.Close()
	if _, err := Open(specs, options(t)); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("members have sockets still: %v", err)
	}
	e = reopened(t, specs, 2, one, two)
	two.gets(t, e)
	three := join(t, e, 3, "web", "unix", name)
	<-e.Aim(3, 2, shares.Full, "")
	e.LeaveAll(1, 2)
	three.gets(t, e)

	// And of one that comes later.
	four := join(t, e, 4, "web")
	e.Close()
	e = reopened(t, specs, 3, three)
	if _, err := e.Add("web", 5, false); err == nil {
		t.Error("one more while not all are there")
	}
	must(t, e.Take(Kept{"web", 4, four.fds["web"]}))
	delete(three.fds, "unix") // a new socket is at its path
	three.gets(t, e)
	delete(four.fds, name)
	<-e.Aim(4, 4, shares.Full, "")
	before := four.waiting(t, "web") // of those by which the order was found out
	conn := dial(t, e, "web", "::1")
	defer conn.Close()
	until(t, "the connection", func() bool { return four.waiting(t, "web") == before+1 })
}

func TestWhatIsNotUsable(t *testing.T) {
	e := opened(t, "web=tcp://:PORT")
	one := join(t, e, 1, "web")
	cookies := e.Cookies("web")
	if err := Usable(one.fds["web"], cookies); err != nil || len(cookies) != 1 {
		t.Errorf("%v, %d cookies", err, len(cookies))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	must(t, err)
	defer file.Close()
	if err := Usable(int(file.Fd()), cookies); err == nil {
		t.Error("nobody has lent it")
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer udp.Close()
	datagrams, err := udp.(*net.UDPConn).File()
	must(t, err)
	defer datagrams.Close()
	if err := Usable(int(datagrams.Fd()), nil); err == nil || !strings.Contains(err.Error(), "no TCP") {
		t.Errorf("%v", err)
	}
	if err := Usable(-1, nil); err == nil {
		t.Error("no socket at all")
	}
}
