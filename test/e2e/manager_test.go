package e2e

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// manager is a service manager that has given swapinit a NOTIFY_SOCKET.
type manager struct {
	t    *testing.T
	path string
	conn *net.UnixConn

	mu    sync.Mutex
	lines []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, path: filepath.Join(tempDir(t), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m.conn = conn
	t.Cleanup(func() { conn.Close() })
	return m
}

// listen reads what comes, from now on.
func (m *manager) listen() {
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := m.conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.lines = append(m.lines, strings.Split(string(buf[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
}

// heard is all that came but pings, in one line. The clock is left out.
func (m *manager) heard() (all string, pings int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.lines {
		key, _, _ := strings.Cut(line, "=")
		switch {
		case line == "WATCHDOG=1":
			pings++
		case key == "MONOTONIC_USEC":
			all += key + " "
		default:
			all += line + " "
		}
	}
	return all, pings
}

func (m *manager) await(want string) {
	m.t.Helper()
	last := ""
	if !poll(func() bool { last, _ = m.heard(); return last == want }) {
		m.t.Fatalf("heard %q, waited for %q", last, want)
	}
}

func (m *manager) env(more ...string) []string {
	return webEnv(append(more, "NOTIFY_SOCKET="+m.path)...)
}

// Whoever started the container hears of it as a whole.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.listen()
	gate := filepath.Join(tempDir(t), "gate")
	c := start(t, opts{Env: m.env("WATCHDOG_USEC=20000"), Args: server(t, "-ready", "notify", "-gate", gate)})
	c.awaitOut("gen 1: started")
	if r := c.Verb("health"); r.Code == 0 {
		t.Errorf("healthy: %v", r)
	}
	await(t, "pings", func() bool { _, n := m.heard(); return n > 2 })
	m.await("")
	touch(t, gate)
	const ready = "STATUS=serving READY=1 "
	m.await(ready)
	c.Swap()
	const swapped = ready + "RELOADING=1 MONOTONIC_USEC READY=1 "
	await(t, "the swap", func() bool { s, _ := m.heard(); return strings.Count(s, "READY=1") == 2 })
	// The successor has its own STATUS=, the same as before.
	if s, _ := m.heard(); s != swapped {
		t.Errorf("heard %q", s)
	}
	if r := c.Verb("swap", "--", "/nonexistent"); r.Code != 1 {
		t.Fatalf("swap to nothing: %v", r)
	}
	m.await(swapped + "RELOADING=1 MONOTONIC_USEC READY=1 ")
	if s := c.state(); slices.ContainsFunc(s.Env, func(kv string) bool { return strings.HasPrefix(kv, "WATCHDOG_") || strings.Contains(kv, m.path) }) {
		t.Errorf("the server sees what was said to swapinit: %q", s.Env)
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	m.await(swapped + "RELOADING=1 MONOTONIC_USEC READY=1 STOPPING=1 ")
}

// One that does not listen, or not any more, holds up nothing, and hears later what
// it has not heard.
func TestServiceManagerThatIsDeaf(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		m := newManager(t)
		gate := filepath.Join(tempDir(t), "gate")
		c := start(t, opts{Env: m.env("WATCHDOG_USEC=2000", "WATCHDOG_PID=1"), Args: server(t, "-gate", gate)})
		c.awaitOut("gen 1: started")
		fill(t, m.path)
		touch(t, gate)
		c.awaitOut("gen 1: ready")
		c.Swap()
		c.awaitStates("2:active")
		m.listen()
		await(t, "what was said in the meantime", func() bool { s, _ := m.heard(); return strings.HasSuffix(s, "READY=1 ") })
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		m := newManager(t)
		c := start(t, opts{Env: m.env(), Args: server(t)})
		c.awaitOut("gen 1: ready")
		m.conn.Close()
		c.Swap()
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("never there", func(t *testing.T) {
		t.Parallel()
		c := start(t, opts{Env: []string{"NOTIFY_SOCKET=/nonexistent", "WATCHDOG_USEC=1", "SWAPINIT_LOG=debug"}, Args: []string{"true"}})
		c.wantStatus(0)
		if !strings.Contains(c.Stderr(), "NOTIFY_SOCKET=/nonexistent") {
			t.Errorf("debug says nothing: %q", c.Stderr())
		}
	})
	for _, env := range []string{"WATCHDOG_USEC=1000 WATCHDOG_PID=77", "WATCHDOG_USEC=18446744073709551615"} {
		t.Run("no watchdog of ours: "+env, func(t *testing.T) {
			t.Parallel()
			m := newManager(t)
			m.listen()
			c := start(t, opts{Env: m.env(strings.Fields(env)...), Args: server(t)})
			c.awaitOut("gen 1: ready")
			c.Swap()
			c.Signal(syscall.SIGTERM)
			c.wantStatus(0)
			await(t, "the end", func() bool { s, _ := m.heard(); return strings.HasSuffix(s, "STOPPING=1 ") })
			if _, n := m.heard(); n != 0 {
				t.Errorf("%d pings", n)
			}
		})
	}
}

// fill sends until the queue is full.
func fill(t *testing.T, path string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for err == nil {
		err = syscall.Sendto(fd, []byte("full"), 0, &syscall.SockaddrUnix{Name: path})
	}
	if err != syscall.EAGAIN {
		t.Fatal(err)
	}
}
