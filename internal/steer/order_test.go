package steer

import (
	"errors"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// A new owner finds the order out, and nobody who waits in accept(2) notices, nor does
// what waits in a queue: not with a knock, and not with an error.
func TestRestoreIsNotNoticed(t *testing.T) {
	for _, host := range hosts {
		for aimed := 1; aimed <= 4; aimed++ {
			g, to := newGroup(t, host, guarded)
			at := g.at
			add(t, g, 2, 3, 4)
			var queued []client
			for n := 1; n <= 4; n++ {
				must(t, g.Aim(n, n, shares.Full, ""))
				queued = append(queued, dial(t, to))
			}
			must(t, g.Aim(aimed, aimed, shares.Full, ""))
			for n := 1; n <= 4; n++ { // each has one that it has accepted, so that it waits
				accept(t, socketOf(t, g, n)).close()
			}
			for _, c := range queued {
				c.close()
			}
			kept := keep(t, g)
			var servers sync.WaitGroup
			ends := make([]error, 5)
			got := make([]int, 5)
			for n := 1; n <= 4; n++ {
				must(t, unix.SetNonblock(kept[n], false))
				fd, err := unix.FcntlInt(uintptr(kept[n]), unix.F_DUPFD_CLOEXEC, 3)
				must(t, err)
				servers.Go(func() {
					for {
						conn, _, err := unix.Accept(fd)
						if errors.Is(err, unix.EINTR) {
							continue
						}
						if err != nil {
							ends[n] = err
							break
						}
						got[n]++
						_ = unix.Close(conn)
						if got[n] == 2 {
							break
						}
					}
					_ = unix.Close(fd)
				})
			}
			g.Close()
			g, err := RestoreTCP(kept, aimed, optionsFor(at))
			must(t, err)
			if reason := g.Reason(); reason != "" {
				t.Fatal(reason)
			}
			// Each has now what is sent to it, and had nothing else before.
			for n := 1; n <= 4; n++ {
				must(t, g.Aim(n, n, shares.Full, ""))
				for range 2 {
					dial(t, to).close()
				}
			}
			servers.Wait()
			for n := 1; n <= 4; n++ {
				if ends[n] != nil {
					t.Errorf("%s: generation %d stopped accepting: %v", host, n, ends[n])
				}
			}
			g.Close()
		}
	}
}

// What somebody whose own life has ended in the middle of it has left does no harm.
func TestRestoreAfterAnInterruption(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	at := g.at
	add(t, g, 2, 3)
	must(t, g.Aim(2, 2, shares.Full, ""))
	g.silence([]*member{g.holders[1], g.holders[3]})
	kept := keep(t, g)
	g.Close()
	g, err := RestoreTCP(kept, 2, optionsFor(at))
	must(t, err)
	defer g.Close()
	for n := 1; n <= 3; n++ {
		must(t, g.Aim(n, n, shares.Full, ""))
		expect(t, g, to, n)
	}
	orderIsTrue(t, g, to)
}
