package steer

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

func TestProbe(t *testing.T) {
	before := openFDs(t)
	for range 50 {
		must(t, Probe())
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func TestProbeOverIPv6(t *testing.T) {
	must(t, probe(netip.MustParseAddrPort("[::1]:0")))
}

func TestProbeTellsTheReason(t *testing.T) {
	err := probe(netip.MustParseAddrPort("192.0.2.1:0")) // TEST-NET: no interface has it
	if !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Fatalf("%v", err)
	}
	contains(t, "the reason", err.Error(), "bind: ")
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		if err := Probe(); err != nil {
			b.Fatal(err)
		}
	}
}

// A server's user without any privilege, as in most containers.
func TestUnprivileged(t *testing.T) {
	var credential *syscall.Credential
	if os.Getuid() == 0 {
		credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	runHelper(t, "unprivileged", &syscall.SysProcAttr{Credential: credential})
}

func helperUnprivileged() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return errors.New("it still has privileges")
	}
	if err := Probe(); err != nil {
		return err
	}
	fd, addr, err := firstSocket("127.0.0.1")
	if err != nil {
		return err
	}
	g, err := NewTCP(fd, 1, Options{Backlog: 16, Open: func() (int, error) { return newSocket(addr, true) }})
	if err != nil {
		return err
	}
	for n := 2; n < 40; n++ {
		if err := g.Add(n, false); err != nil {
			return err
		}
		if reason := g.Reason(); reason != "" {
			return errors.New(reason)
		}
		if err := g.Aim(n, n-1, shares.Full, ""); err != nil {
			return err
		}
		look := g.Observe(n - 1)
		if _, err := look(0); err != nil {
			return err
		}
		g.Leave(n - 1)
		for range 5 {
			if got, err := whoGets(g, addr); err != nil || got != n {
				return fmt.Errorf("generation %d got a connection of %d: %v", got, n, err)
			}
		}
	}
	return nil
}

func openFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}
