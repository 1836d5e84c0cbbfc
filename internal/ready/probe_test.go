package ready

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

func TestPoll(t *testing.T) {
	var failures []error
	tries, dones := 0, 0
	Poll(t.Context().Done(), time.Millisecond, func(<-chan struct{}) error {
		if tries++; tries < 4 {
			return fmt.Errorf("try %d", tries/2)
		}
		return nil
	}, func(err error) { failures = append(failures, err) }, func() { dones++ })
	if tries != 4 || dones != 1 || len(failures) != 2 || failures[1].Error() != "try 1" { // the second and the third were the same
		t.Errorf("%d tries, %d dones, failures %v", tries, dones, failures)
	}
}

// The first try does not wait for the interval.
func TestPollAtOnce(t *testing.T) {
	done := make(chan struct{})
	go Poll(t.Context().Done(), 24*time.Hour, func(<-chan struct{}) error { return nil }, nil, func() { close(done) })
	receive(t, done, "success")
}

func TestPollCancel(t *testing.T) {
	// Between two tries.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Poll(ctx.Done(), 24*time.Hour, func(<-chan struct{}) error { return errors.New("not yet") }, func(error) { cancel() }, func() { t.Error("done") })
	}()
	receive(t, ended, "end of Poll")

	// In a try: neither its success nor its failure counts any more.
	for _, outcome := range []error{nil, errors.New("too late")} {
		ctx, cancel = context.WithCancel(t.Context())
		Poll(ctx.Done(), 0, func(<-chan struct{}) error { cancel(); return outcome },
			func(err error) { t.Errorf("reported %v", err) }, func() { t.Error("done") })
	}
	// Before the first.
	Poll(ctx.Done(), 0, func(<-chan struct{}) error { t.Error("probed"); return nil }, nil, nil)
}

// fakeWorker is a Worker that listens nowhere, which nobody can see.
type fakeWorker struct {
	accepted      error
	listens, sure bool
	port          uint16 // that was asked for last
	ran           []string
	err           error // of what is run
	dial          Dial
}

func (w *fakeWorker) Listens(port uint16) (yes, sure bool) {
	w.port = port
	return w.listens, w.sure
}

func (w *fakeWorker) Run(command []string, _ <-chan struct{}) error {
	w.ran = command
	return w.err
}

func (w *fakeWorker) Patience() time.Duration { return TryTime }

func (w *fakeWorker) Dial() Dial { return w.dial }

// aimed is a Dial that tells aim first from where it comes.
func aimed(aim func(from netip.AddrPort) (func(), error)) Dial {
	return func(to netip.AddrPort) (*os.File, error) {
		fd, end, err := procnet.Connect(to, aim)
		if err != nil {
			return nil, err
		}
		end()
		return os.NewFile(uintptr(fd), "probe"), nil
	}
}

func (w *fakeWorker) Accepted(*os.File) error { return w.accepted }

// probe is the one that the setting asks for, of a worker without more to it.
func probe(t *testing.T, s string) func(stop <-chan struct{}) error {
	return probeOf(t, s, &fakeWorker{})
}

func probeOf(t *testing.T, s string, w Worker) func(stop <-chan struct{}) error {
	t.Helper()
	m, err := Parse(s, words)
	if err != nil {
		t.Fatal(err)
	}
	return func(stop <-chan struct{}) error { return m.Probe(w, stop) }
}

// It is the worker itself that is to listen.
func TestListens(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	aim := func(netip.AddrPort) (func(), error) { return func() {}, nil }
	for _, c := range []struct {
		setting string
		w       fakeWorker
		want    string
	}{
		{"listen", fakeWorker{listens: true, sure: true}, ""},
		{"listen", fakeWorker{sure: true}, "no listening socket of its own"},
		{"listen", fakeWorker{}, "not swapinit's to read"},
		{"tcp://" + l.Addr().String(), fakeWorker{listens: true, sure: true}, ""},
		{"tcp://" + l.Addr().String(), fakeWorker{sure: true}, "not this generation that listens there"},
		{"tcp://" + l.Addr().String(), fakeWorker{}, ""},
		{"tcp://" + l.Addr().String(), fakeWorker{sure: true, dial: aimed(aim)}, ""},
		{"tcp://127.0.0.1:1", fakeWorker{listens: true, sure: true}, "connection refused"},
		{"exec:false", fakeWorker{err: errors.New("status 1")}, "status 1"},
	} {
		err := probeOf(t, c.setting, &c.w)(t.Context().Done())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %+v: %v, want %q", c.setting, c.w, err, c.want)
		}
		if c.w.port != 0 && c.w.port != port {
			t.Errorf("%s: asked about port %d", c.setting, c.w.port)
		}
	}
}

func TestDelay(t *testing.T) {
	if err := probe(t, "delay:1ms")(t.Context().Done()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := probe(t, "delay:24h")(ctx.Done()); !errors.Is(err, errStopped) {
		t.Errorf("cancelled: %v", err)
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil && strings.HasPrefix(address, "[") {
		t.Skipf("no IPv6: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTCP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			l := listen(t, address)
			probe := probe(t, "tcp://"+l.Addr().String())
			if err := probe(t.Context().Done()); err != nil {
				t.Errorf("with a listener: %v", err)
			}
			l.Close()
			err := probe(t.Context().Done())
			if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), l.Addr().String()+": connection refused") {
				t.Errorf("without a listener: %v", err)
			}
		})
	}
}

// deaf returns an address whose listener's queue is full: the kernel drops
// every further connect silently.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err = unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := name.(*unix.SockaddrInet4)
	for range 4 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err = unix.Connect(c, to); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", to.Port)
}

func TestTCPTimeout(t *testing.T) {
	probe := probe(t, "tcp://"+deaf(t))
	if err := probe(t.Context().Done()); err == nil || !strings.Contains(err.Error(), "no answer from 127.0.0.1:") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() { outcome <- probe(ctx.Done()) }()
	cancel()
	if err := receive(t, outcome, "end of the probe"); !errors.Is(err, errStopped) {
		t.Errorf("cancelled: %v", err)
	}
}

// A probe must not take the other end of its own socket for a server.
func TestConnectedToItself(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		ip := netip.MustParseAddr(address)
		var loop unix.Sockaddr = &unix.SockaddrInet6{Addr: ip.As16()}
		family := unix.AF_INET6
		if ip.Is4() {
			family, loop = unix.AF_INET, &unix.SockaddrInet4{Addr: ip.As4()}
		}
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skip(err)
		}
		defer unix.Close(fd)
		if err = unix.Bind(fd, loop); err != nil {
			t.Skip(err)
		}
		self, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if connectedToItself(fd) {
			t.Errorf("%s: not connected at all", address)
		}
		if err = unix.Connect(fd, self); err != nil {
			t.Fatal(err)
		}
		if !connectedToItself(fd) {
			t.Errorf("%s: not noticed", address)
		}
	}
}

func TestProbeLeaks(t *testing.T) {
	live := probe(t, "tcp://"+listen(t, "127.0.0.1:0").Addr().String())
	gone := listen(t, "127.0.0.1:0")
	gone.Close()
	dead := probe(t, "tcp://"+gone.Addr().String())
	before := openFDs(t)
	for range 50 {
		if err := live(t.Context().Done()); err != nil {
			t.Fatal(err)
		}
		if dead(t.Context().Done()) == nil {
			t.Fatal("a connection to a closed listener")
		}
	}
	if after := openFDs(t); len(after) != len(before) {
		t.Errorf("fds before: %v\nafter: %v", before, after)
	}
}
