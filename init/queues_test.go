package pid1

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// A server that opens its listener anew has none for a moment: nobody is refused before
// nobody has had it for heldFor.
func TestClosedListener(t *testing.T) {
	if !alone(t) {
		return
	}
	i := reaping(t)
	w := start(t, i, []string{"PATH=" + os.Getenv("PATH")}, "exec sleep 1000") // has none
	defer func() { _ = w.proc.Signal(syscall.SIGKILL) }()
	spec := listen.Of(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), false)
	socket, err := listen.BindFirst(&spec, steer.Prepare)
	if err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	a := i.adoption
	a.begin(w.g)
	e, err := (&broker{adoption: a, w: w}).join(socket, spec, nil, w.g.number)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody else looks: no goroutine waits for this one.
	s := &a.queue
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s.file, s.all = os.NewFile(uintptr(s.epoll), "queues"), map[int32]*queue{}
	bound := func() { a.look(e, w.g, e.inode(w.g.number), 0) }
	bound()
	var q *queue
	for _, q = range s.all {
	}
	conn, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.(*unix.SockaddrInet4).Port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	looks := func(what string, want bool) {
		t.Helper()
		if a.waits(int32(q.fd)); procnet.Listens(q.fd) != want {
			t.Errorf("%s: it listens is %v, want %v", what, !want, want)
		}
	}
	looks("the first look", true)
	q.lost = q.lost.Add(-heldFor)
	bound()
	looks("closed, bound and closed", true)
	q.lost = q.lost.Add(-heldFor)
	looks("closed for long", false)
}
