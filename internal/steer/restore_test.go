package steer

import (
	"net"
	"os"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// keep duplicates what generations have, as members do.
func keep(t *testing.T, g *TCP) map[int]int {
	t.Helper()
	fds := map[int]int{}
	for n, fd := range sockets(g) {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		must(t, err)
		fds[n] = own
	}
	return fds
}

func optionsFor(to netip.AddrPort) Options {
	return Options{Backlog: 1024, Open: func() (int, error) { return newSocket(to, true) }}
}

// echo answers each connection of a listening socket with its generation, until the
// func that it returns is called.
func echo(t *testing.T, fd, n int) (end func()) {
	t.Helper()
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	file := os.NewFile(uintptr(own), "")
	l, err := net.FileListener(file)
	must(t, err)
	file.Close()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				var buffer [1]byte
				if _, err := conn.Read(buffer[:]); err == nil {
					_, _ = conn.Write([]byte{byte('0' + n)})
					_, _ = conn.Read(buffer[:])
				}
				conn.Close()
			})
		}
	})
	return func() { l.Close(); all.Wait() }
}

// Whatever the order is in the kernel, no connection is lost while a new owner finds it
// out, and then they go where they should.
func TestRestore(t *testing.T) {
	for _, host := range hosts {
		for size := 1; size <= 4; size++ {
			for aimed := 1; aimed <= size; aimed++ {
				for gone := 0; gone <= size; gone++ {
					if gone == aimed {
						continue
					}
					g, to := newGroup(t, host, guarded)
					own := g.at
					for n := 2; n <= size; n++ {
						add(t, g, n)
					}
					must(t, g.Aim(aimed, 1, shares.Full, ""))
					g.Leave(gone)
					kept := keep(t, g)
					tags := map[int]uint8{}
					for n, m := range g.holders {
						tags[n] = m.tag
					}
					g.Close()
					g, err := RestoreTCP(kept, aimed, optionsFor(own))
					must(t, err)
					if reason := g.Reason(); reason != "" {
						t.Fatal(reason)
					}
					expect(t, g, to, aimed)
					orderIsTrue(t, g, to)
					for n, m := range g.holders {
						if m.tag != tags[n] {
							t.Errorf("generation %d has tag %d, it was %d", n, m.tag, tags[n])
						}
					}
					add(t, g, 9)
					expect(t, g, to, aimed)
					must(t, g.Aim(9, 9, shares.Full, ""))
					g.Leave(aimed)
					expect(t, g, to, 9)
					orderIsTrue(t, g, to)
					g.Close()
				}
			}
		}
	}
}

// The one that has the traffic never stops listening.
func TestRestoreUnderLoad(t *testing.T) {
	for round := range 12 {
		g, to := newGroup(t, hosts[round%len(hosts)], guarded)
		own := g.at
		add(t, g, 2, 3)
		aimed := round%3 + 1
		must(t, g.Aim(aimed, 1, shares.Full, ""))
		var ends []func()
		kept := keep(t, g)
		for n, fd := range kept {
			if n == aimed {
				ends = append(ends, echo(t, fd, n))
			}
		}
		l := startLoad(to, 4)
		l.more(t, 20)
		for range 5 {
			held := map[int]int{}
			for n, fd := range kept {
				held[n], _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			}
			g.Close()
			l.more(t, 20)
			var err error
			g, err = RestoreTCP(held, aimed, optionsFor(own))
			must(t, err)
			l.more(t, 20)
			for n, fd := range kept {
				if !procnet.Listens(fd) {
					t.Errorf("generation %d does not listen", n)
				}
			}
		}
		l.end(t)
		for _, end := range ends {
			end()
		}
		g.Close()
		for _, fd := range kept {
			unix.Close(fd)
		}
	}
}

// A process may come later, and the one that had the traffic not at all.
func TestRestoreStepByStep(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	add(t, g, 2, 3)
	must(t, g.Aim(2, 1, shares.Full, ""))
	kept := keep(t, g)
	g.Close()
	g, err := RestoreTCP(map[int]int{2: kept[2]}, 2, optionsFor(to))
	must(t, err)
	defer g.Close()
	contains(t, "the reason", g.Reason(), "not known")
	expect(t, g, to, 2)
	if err := g.Add(4, false); err == nil {
		t.Error("one more where nothing is known")
	}
	must(t, g.Take(1, kept[1]))
	expect(t, g, to, 2)
	must(t, g.Take(3, kept[3]))
	if reason := g.Reason(); reason != "" {
		t.Error(reason)
	}
	expect(t, g, to, 2)
	orderIsTrue(t, g, to)
	must(t, g.Aim(3, 1, 5000, ""))
	must(t, g.Aim(1, 1, shares.Full, ""))
	expect(t, g, to, 1)

	kept = keep(t, g)
	g.Close()
	g, err = RestoreTCP(map[int]int{2: kept[2], 3: kept[3], 1: kept[1]}, 7, optionsFor(to))
	must(t, err)
	defer g.Close()
	if !g.Unserved() {
		t.Error("somebody has the traffic")
	}
	var waiting []client
	for range 5 {
		waiting = append(waiting, dial(t, to))
	}
	add(t, g, 8)
	for range waiting {
		accept(t, socketOf(t, g, 8)).close()
	}
	for _, c := range waiting {
		c.close()
	}
	expect(t, g, to, 8)
}

func TestRestoreRefuses(t *testing.T) {
	g, to := newGroup(t, "127.0.0.1", guarded)
	_, other := newGroup(t, "127.0.0.1", guarded)
	if _, err := RestoreTCP(nil, 1, optionsFor(to)); err == nil {
		t.Error("a group without a socket")
	}
	pipe := [2]int{}
	must(t, unix.Pipe(pipe[:]))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	strange, _ := newSocket(other, true)
	defer unix.Close(strange)
	kept := keep(t, g)
	for _, fd := range []int{pipe[0], strange} {
		if _, err := RestoreTCP(map[int]int{1: kept[1], 2: fd}, 1, optionsFor(to)); err == nil {
			t.Error("a group with what is no socket of its")
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Error("it has closed what is the caller's")
		}
		if err := g.Take(2, fd); err == nil {
			t.Error("it takes what is no socket of its")
		}
	}
	expect(t, g, to, 1)
	unix.Close(kept[1])
}

// The moment in which the order is found out, stretched: wherever a SYN is sent, it waits
// for the one with the traffic, and is not lost in another one.
func TestTheMomentInWhichTheOrderIsFoundOut(t *testing.T) {
	for _, host := range hosts {
		g, to := newGroup(t, host, guarded)
		add(t, g, 2, 3)
		must(t, g.Aim(2, 2, shares.Full, ""))
		others := []*member{g.holders[1], g.holders[3]}
		g.silence(others)
		var all []client
		for i := range g.order {
			var p program
			p.answer(i)
			must(t, g.put(&p))
			c, _, err := bindClient(to)
			must(t, err)
			must(t, unix.SetNonblock(c.fd, true))
			if err := unix.Connect(c.fd, procnet.Sockaddr(to)); err != nil && err != unix.EINPROGRESS {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		for _, m := range others {
			if n, err := Queue(m.fd); n != 0 || err != nil {
				t.Errorf("%s: %d wait in one that is to leave, %v", host, n, err)
			}
		}
		g.trouble = disorder
		_, err := g.Mend()
		must(t, err)
		for range all {
			accept(t, socketOf(t, g, 2)).close()
		}
		for _, c := range all {
			c.close()
		}
		expect(t, g, to, 2)
		must(t, g.Aim(3, 3, shares.Full, ""))
		expect(t, g, to, 3)
		orderIsTrue(t, g, to)
		g.Close()
	}
}
