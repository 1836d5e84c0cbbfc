package steer

import (
	"errors"
	"slices"
	"testing"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// listens counts the sockets of the group that do.
func listens(g *TCP) (n int) {
	for _, fd := range fdsOf(g) {
		if procnet.Listens(fd) {
			n++
		}
	}
	return n
}

// While an endpoint sleeps it refuses connections and lets go of those that wait, and
// nothing but Wake makes it listen. Generations come, get the traffic and go meanwhile.
func TestSleep(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			g, to := newGroup(t, host)
			add(t, g, 2)
			waits := dial(t, to)
			defer waits.close()
			g.Sleep()
			g.Sleep()
			if !g.Asleep() || listens(g) != 0 {
				t.Fatalf("asleep: %v, %d sockets listen", g.Asleep(), listens(g))
			}
			if _, err := unix.Read(waits.fd, make([]byte, 1)); err != unix.ECONNRESET {
				t.Errorf("what waits is not reset: %v", err)
			}
			c, _, err := bindClient(to)
			must(t, err)
			defer c.close()
			if err := c.connect(to); err != unix.ECONNREFUSED {
				t.Errorf("a connection is not refused: %v", err)
			}

			line, err := g.Mend()
			if line != "" || err != nil {
				t.Errorf("mended: %q, %v", line, err)
			}
			add(t, g, 3)
			must(t, g.Aim(3, 3, shares.Full, ""))
			g.Leave(1)
			fd, inode, err := g.Lend(3)
			must(t, err)
			if own, err := procnet.Inode(fd); err != nil || own != inode || inode == 0 {
				t.Errorf("lent: %d, %v, want %d", own, err, inode)
			}
			unix.Close(fd)
			if n := listens(g); n != 0 {
				t.Errorf("%d sockets listen", n)
			}

			must(t, g.Wake())
			must(t, g.Wake())
			if g.Asleep() || listens(g) == 0 {
				t.Errorf("asleep: %v, %d sockets listen", g.Asleep(), listens(g))
			}
			expect(t, g, to, 3)
			add(t, g, 4)
			must(t, g.Aim(4, 4, shares.Full, ""))
			expect(t, g, to, 4)
			must(t, g.Aim(2, 2, shares.Full, ""))
			expect(t, g, to, 2)
		})
	}
}

// Sockets that were told not to listen are watched by nobody: the guard would see harm
// in each of them.
func TestSleepIsNotWatched(t *testing.T) {
	watched := map[int]bool{}
	g, _ := newGroup(t, "127.0.0.1", func(o *Options) {
		o.Watch = func(fd int) error { watched[fd] = true; return nil }
		o.Unwatch = func(fd int) { delete(watched, fd) }
	})
	add(t, g, 2)
	must(t, g.Watch())
	g.Sleep()
	add(t, g, 3)
	must(t, g.Watch())
	if len(watched) != 0 {
		t.Errorf("%v are watched", watched)
	}
	must(t, g.Wake())
	for _, fd := range fdsOf(g) {
		if !watched[fd] {
			t.Errorf("%d of %v is not watched", fd, fdsOf(g))
		}
	}
}

func TestSleepAfterClose(t *testing.T) {
	g, _ := newGroup(t, "127.0.0.1")
	g.Sleep()
	g.Close()
	g.Sleep()
	if err := g.Wake(); err != nil {
		t.Error(err)
	}
	if err := g.Add(2, false); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestHolders(t *testing.T) {
	g, _ := newGroup(t, "127.0.0.1")
	got := []int{g.Holders()}
	add(t, g, 2, 3, 3)
	got = append(got, g.Holders())
	g.Leave(2)
	g.Leave(9)
	got = append(got, g.Holders())
	g.Close()
	if got = append(got, g.Holders()); !slices.Equal(got, []int{1, 3, 2, 0}) {
		t.Errorf("generations with a socket: %v", got)
	}
}
