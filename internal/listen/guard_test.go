package listen

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// Race 3: a predecessor calls shutdown() on the listener that it shares. A
// duplicate of the descriptor stands for it: it is the same open file.
func TestAlwaysAcceptingThroughShutdown(t *testing.T) {
	for _, list := range []string{"tcp4://127.0.0.1:PORT", "tcp6://[::1]:PORT"} {
		t.Run(list[:4], func(t *testing.T) {
			if strings.HasPrefix(list, "tcp6") {
				if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
					t.Skip("no IPv6 loopback here: ", err)
				} else {
					l.Close()
				}
			}
			set := mustOpen(t, list)
			lines := mustGuard(t, set)
			fd := lent(t, set, 1).Files[0]
			// Without an accepting server, but with room for all.
			predecessor, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(predecessor)
			crowd := newCrowd(t, "tcp", set.Endpoints()[0].Addr.String())
			for i := range 30 {
				if err := unix.Shutdown(predecessor, []int{unix.SHUT_RD, unix.SHUT_RDWR}[i%2]); err != nil {
					t.Fatal(err)
				}
				until(t, "the listener listens again", func() bool { return procnet.Listens(int(fd)) })
				crowd.calmly(t)
			}
			if text := lines.text(); !strings.Contains(text, set.Endpoints()[0].Address+"): a process shut it down, it listens again") {
				t.Errorf("lines: %s", text)
			}
		})
	}
}

// Race 14: a server removes the path, or puts its own socket there.
func TestAlwaysAcceptingThroughUnlink(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/a.sock"
	set := mustOpen(t, "unix://"+name)
	lines := mustGuard(t, set)
	drained(t, lent(t, set, 1).Files[0])
	crowd := newCrowd(t, "unix", name)
	file := &set.listeners[0].unix.file
	for i := range 40 {
		switch i % 4 {
		case 0:
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		case 1: // a socket that nobody listens on, so that connects tell which one they reach
			fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
			if err != nil {
				t.Fatal(err)
			}
			other := fmt.Sprintf("%s/other%d", dir, i)
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: other}); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(other, name); err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		case 2:
			if err := os.Rename(name, dir+"/away"); err != nil {
				t.Fatal(err)
			}
		case 3: // the spare is made again too
			if err := os.Remove(file.spare); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "path and spare restored", func() bool { return file.leads(name) && file.leads(file.spare) })
		crowd.calmly(t)
	}
	if text := lines.text(); !strings.Contains(text, "endpoint a.sock (unix://"+name+"): a process removed or replaced its path, restored") {
		t.Errorf("lines: %s", text)
	}
}

// A unix socket that was shut down cannot be revived: a new one takes its
// place at the path and under the fd number.
func TestGuardRenewsUnix(t *testing.T) {
	for _, how := range []int{unix.SHUT_RD, unix.SHUT_RDWR} {
		name := t.TempDir() + "/a"
		set := mustOpen(t, "unix://"+name+"?mode=0606")
		lines := mustGuard(t, set)
		before := lent(t, set, 1)
		predecessor, err := unix.FcntlInt(before.Files[0], unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(predecessor)
		for range 3 { // the renewed one is guarded like the first
			old := lent(t, set, 1)
			if err := unix.Shutdown(int(old.Files[0]), how); err != nil {
				t.Fatal(err)
			}
			until(t, "a new socket", func() bool { return set.Endpoints()[0].Inode != old.Endpoints[0].Inode })
			if !connects(t, name) {
				t.Error("connect fails")
			}
		}
		after := lent(t, set, 2)
		info, err := os.Lstat(name)
		if err != nil || info.Mode().Perm() != 0o606 {
			t.Errorf("%v, %v", info, err)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(int(after.Files[0]), &stat); err != nil || stat.Ino != after.Endpoints[0].Inode {
			t.Errorf("inode %d, %v, want %d", stat.Ino, err, after.Endpoints[0].Inode)
		}
		conn, _, err := unix.Accept4(int(after.Files[0]), unix.SOCK_CLOEXEC)
		if err != nil {
			t.Error(err)
		}
		unix.Close(conn)
		// And its path is still guarded.
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		until(t, "the path", func() bool { return connects(t, name) })
		if !strings.Contains(lines.text(), "made a new socket, which only the next generation gets") {
			t.Errorf("lines: %s", lines.text())
		}
	}
}

// With the directory wiped no link is left to restore; as soon as there is a
// directory there is an endpoint again.
func TestGuardSurvivesWipedDirectory(t *testing.T) {
	dir := t.TempDir() + "/run"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	set := mustOpen(t, "unix://"+dir+"/a")
	lines := mustGuard(t, set)
	until(t, "the directory is gone", func() bool { return os.RemoveAll(dir) == nil })
	until(t, "a line", func() bool { return strings.Contains(lines.text(), "does not exist") })
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, "a new socket", func() bool { return connects(t, dir+"/a") })
}

// What is not a socket is never replaced; once it is gone the path is ours.
func TestGuardSparesFiles(t *testing.T) {
	name := t.TempDir() + "/a"
	set := mustOpen(t, "unix://"+name)
	lines := mustGuard(t, set)
	if err := os.WriteFile(name+".new", []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	until(t, "a line", func() bool { return strings.Contains(lines.text(), "is a regular file, not a socket") })
	set.Check()
	if data, err := os.ReadFile(name); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	until(t, "the path", func() bool { return connects(t, name) })
}

// A server that shuts the listener down in a loop costs bounded work and few
// lines, which still tell of every incident.
func TestGuardStorm(t *testing.T) {
	set := mustOpen(t, "tcp4://127.0.0.1:PORT")
	begin := clock.Now()
	lines := mustGuard(t, set)
	fd := int(lent(t, set, 1).Files[0])
	const storm = 2 * repairBurst
	for range storm {
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		until(t, "listening again", func() bool { return procnet.Listens(fd) })
	}
	until(t, "all incidents told", func() bool { return lines.incidents() == storm })
	if n, most := len(strings.Split(lines.text(), "\n")), int(clock.Since(begin)/reportEvery)+1; n > most {
		t.Errorf("%d lines, at most %d are allowed in this time", n, most)
	}
}

// A rival that took the port in the moment of the shutdown is told, and the
// endpoint comes back when it leaves.
func TestGuardRival(t *testing.T) {
	set := mustOpen(t, "tcp4://127.0.0.1:PORT")
	endpoint := set.Endpoints()[0]
	fd := int(lent(t, set, 1).Files[0])
	if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	rival, err := net.Listen("tcp4", endpoint.Addr.String()) // sets SO_REUSEADDR as well
	if err != nil {
		t.Fatal(err)
	}
	lines := mustGuard(t, set)
	until(t, "a line", func() bool { return strings.Contains(lines.text(), "cannot listen again: address already in use") })
	rival.Close()
	until(t, "listening again", func() bool { return procnet.Listens(fd) })
}

// Check does without a guard what the guard does.
func TestCheck(t *testing.T) {
	name := t.TempDir() + "/a"
	set := mustOpen(t, "web=tcp4://127.0.0.1:PORT unix://"+name)
	if err := unix.Shutdown(int(lent(t, set, 1).Files[0]), unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	set.Check()
	if !procnet.Listens(int(lent(t, set, 1).Files[0])) || !connects(t, name) {
		t.Error("not repaired")
	}
}

// Clients do not wake the guard; harm does, once. Without the goroutine the
// epoll descriptor shows what would.
func TestGuardSleepsThroughConnects(t *testing.T) {
	name := t.TempDir() + "/a"
	set := mustOpen(t, "web=tcp4://127.0.0.1:PORT unix://"+name)
	g, err := newGuard()
	if err != nil {
		t.Fatal(err)
	}
	set.guard.Store(g)
	defer func() { set.guard.Store(nil); close(g.done); g.stop() }()
	for _, l := range set.listeners {
		if err := l.watch(set); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		conn, err := net.Dial("tcp", set.Endpoints()[0].Addr.String())
		if err != nil || !connects(t, name) {
			t.Fatal(err)
		}
		conn.Close()
	}
	if g.drain(g.epoll) {
		t.Error("connects woke the guard")
	}
	for i, harm := range []func() error{
		func() error { return unix.Shutdown(set.listeners[0].fd, unix.SHUT_RD) },
		func() error { return os.Rename(name, name+".away") },
		func() error { return os.Remove(name + ".away") },
		func() error { return unix.Shutdown(set.listeners[1].unix.fd, unix.SHUT_RD) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if !g.drain(g.epoll) {
			t.Errorf("harm %d did not wake the guard", i)
		}
		if g.drain(g.epoll) {
			t.Errorf("harm %d wakes it again and again", i)
		}
	}
}
