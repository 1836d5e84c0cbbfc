package steer

import (
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// server is a server of the rudest kind: it answers one request a connection,
// and when it is killed everything that it accepted is reset.
type server struct {
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]bool
	dead     bool
	served   int
	all      sync.WaitGroup
}

func serve(t *testing.T, fd int) *server {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	file := os.NewFile(uintptr(dup), "listener")
	defer file.Close()
	l, err := net.FileListener(file)
	must(t, err)
	s := &server{listener: l, conns: map[net.Conn]bool{}}
	s.all.Add(1)
	go func() {
		defer s.all.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.dead {
				reset(conn)
			} else {
				s.conns[conn] = true
				s.served++
				s.all.Add(1)
				go s.handle(conn)
			}
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *server) handle(conn net.Conn) {
	defer s.all.Done()
	var buffer [1]byte
	if _, err := conn.Read(buffer[:]); err == nil {
		_, _ = conn.Write([]byte("."))
		_, _ = conn.Read(buffer[:]) // until the client has gone
	}
	conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

func (s *server) kill() int {
	s.mu.Lock()
	s.dead = true
	for conn := range s.conns {
		reset(conn)
	}
	s.mu.Unlock()
	s.listener.Close()
	s.all.Wait()
	return s.served
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// load is clients that make one request a connection, again and again.
type load struct {
	stop   atomic.Bool
	failed atomic.Int64
	done   atomic.Int64
	first  atomic.Pointer[error]
	all    sync.WaitGroup
}

func startLoad(to netip.AddrPort, clients int) *load {
	l := &load{}
	for range clients {
		l.all.Go(func() {
			for !l.stop.Load() {
				if err := request(to); err != nil {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, &err)
				} else {
					l.done.Add(1)
				}
			}
		})
	}
	return l
}

func request(to netip.AddrPort) error {
	conn, err := net.DialTimeout("tcp", to.String(), patience)
	if err != nil {
		return err
	}
	defer reset(conn) // so that nothing lingers
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err = conn.Write([]byte("?")); err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	return err
}

// more waits until n further requests are done.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.done.Load() + n
	eventually(t, strconv.Itoa(int(n))+" further requests", func() bool { return l.done.Load() >= want || l.failed.Load() > 0 })
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop.Store(true)
	l.all.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", n, n+l.done.Load(), *l.first.Load())
	}
}

// Servers that die at once, whatever they are doing, cost nothing when they are
// drained first.
func TestSwapsUnderLoad(t *testing.T) { inBoth(t, swapsUnderLoad) }

func swapsUnderLoad(t *testing.T, kind ...func(*Options)) {
	swaps := 300
	if testing.Short() {
		swaps = 30
	}
	g, to := newGroup(t, "127.0.0.1", kind...)
	now := serve(t, socketOf(t, g, 1))
	l := startLoad(to, 4)
	served := 0
	for n := 2; n < 2+swaps && l.failed.Load() == 0; n++ {
		add(t, g, n)
		next := serve(t, socketOf(t, g, n))
		must(t, g.Aim(n, n-1, shares.Full, ""))
		if !(Drain{Looks: looks{g.Observe(n - 1)}, Gone: true}).Run(nil) {
			t.Fatal("stopped")
		}
		served += now.kill()
		g.Leave(n - 1)
		if members := len(fdsOf(g)); members != 1 {
			t.Fatalf("%d members", members)
		}
		now = next
	}
	l.end(t)
	served += now.kill()
	if int64(served) < l.done.Load() {
		t.Errorf("%d served of %d", served, l.done.Load())
	}
	if reason := g.Reason(); reason != "" {
		t.Error(reason)
	}
}

// Whichever member leaves, and wherever the one with the traffic stands, not
// one connection goes wrong: to the leaver, where it would be reset, or to
// one that nobody accepts from, where it would hang.
func TestNothingGoesToTheWrongOneWhenOneLeaves(t *testing.T) {
	inBoth(t, nothingGoesToTheWrongOneWhenOneLeaves)
}

func nothingGoesToTheWrongOneWhenOneLeaves(t *testing.T, kind ...func(*Options)) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	g, to := newGroup(t, "127.0.0.1", kind...)
	now, last := 1, 1
	s := serve(t, socketOf(t, g, now))
	l := startLoad(to, 4)
	for range rounds {
		for size := 2; size <= 4; size++ {
			for aimed := range size {
				for leaver := range size - 1 {
					// The group is one member here. Others around it, at chosen places:
					var others []int
					for range size - 1 {
						last++
						add(t, g, last)
						others = append(others, last)
					}
					if aimed > 0 { // the traffic to another one
						to := others[aimed-1]
						next := serve(t, socketOf(t, g, to))
						must(t, g.Aim(to, now, shares.Full, ""))
						if !(Drain{Looks: looks{g.Observe(now)}, Gone: true}).Run(nil) {
							t.Fatal("stopped")
						}
						s.kill()
						others[aimed-1] = now
						now, s = to, next
					}
					g.Leave(others[leaver])
					l.more(t, 20)
					others = append(others[:leaver], others[leaver+1:]...)
					for _, n := range others {
						if queued, err := Queue(socketOf(t, g, n)); queued != 0 || err != nil {
							t.Fatalf("%d connections hang in one of %d members (%d aimed at, %d left), %v", queued, size, aimed, leaver, err)
						}
					}
					for _, n := range others {
						g.Leave(n)
					}
					if l.failed.Load() > 0 {
						l.end(t)
						t.Fatalf("%d members, %d aimed at, %d left", size, aimed, leaver)
					}
				}
			}
		}
	}
	l.end(t)
	s.kill()
	if members := len(fdsOf(g)); members > 5 {
		t.Errorf("%d members", members)
	}
}

// A canary and its end, under load: both serve, and nobody else gets anything.
func TestCanaryUnderLoad(t *testing.T) { inBoth(t, canaryUnderLoad) }

func canaryUnderLoad(t *testing.T, kind ...func(*Options)) {
	g, to := newGroup(t, "::", kind...)
	old := serve(t, socketOf(t, g, 1))
	l := startLoad(to, 4)
	for n := 2; n < 12; n++ {
		add(t, g, n, 100+n)
		next := serve(t, socketOf(t, g, n))
		for _, share := range []int{100, 2500, 7500} {
			must(t, g.Aim(n, 1, share, ""))
			l.more(t, 50)
		}
		if queued, err := Queue(socketOf(t, g, 100+n)); queued != 0 || err != nil {
			t.Errorf("%d connections for nobody, %v", queued, err)
		}
		g.Leave(100 + n)
		l.more(t, 50)
		must(t, g.Aim(1, n, shares.Full, "")) // rollback
		if !(Drain{Looks: looks{g.Observe(n)}, Gone: true}).Run(nil) {
			t.Fatal("stopped")
		}
		if next.kill() == 0 {
			t.Error("the canary got nothing")
		}
		g.Leave(n)
	}
	l.end(t)
	old.kill()
}
