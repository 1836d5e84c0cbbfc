package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A client whose handshake is not complete at the cut-over belongs to the
// predecessor, which is not told to stop before it has answered.
func TestSteerSlowHandshake(t *testing.T) {
	for _, tc := range []struct{ listen, address string }{
		{"tcp://" + web, web}, {"tcp://[::1]:8080", "[::1]:8080"}, {"tcp://:8080", web},
	} {
		t.Run(tc.listen+" by "+tc.address, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered("SWAPINIT_LISTEN=web="+tc.listen), "-stop", "exit", "-at-boot", "defer")
			slow := c.open("tcp", tc.address)
			await(t, "an incomplete handshake", func() bool { return c.sockets(8080, "03") == 1 })
			c.Swap("--", binary(t, "server"))
			c.steady(1, "draining")
			if got := c.ask1("tcp", tc.address); got != "generation 2\n" {
				t.Errorf("a new connection is answered by %q", got)
			}
			if n := c.sockets(8080, "03"); n != 1 {
				t.Fatalf("%d incomplete handshakes, want 1", n)
			}
			if got := slow.get("/"); got != "generation 1\n" {
				t.Errorf("the slow client is answered by %q", got)
			}
			_ = slow.conn.Close()
			c.awaitOut("gen 1: got TERM")
			c.awaitStates("2:active")
		})
	}
}

// A slow client that never completes its handshake delays the drain to its
// deadline, and no longer.
func TestSteerHandshakeThatNeverEnds(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_DRAIN_TIMEOUT=300ms"), "-stop", "exit", "-at-boot", "defer")
	c.open("tcp", web)
	await(t, "an incomplete handshake", func() bool { return c.sockets(8080, "03") == 1 })
	c.Swap("--", binary(t, "server"))
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	c.wantOnly(2)
}

// dialAll opens n connections at once, sends a request on each, and reports how
// many were refused while they were opened. A connection whose handshake meets a
// full queue is tried again by the kernel, a second later.
func (c *container) dialAll(n int, network, address string) (opened <-chan *kept, refused *atomic.Int32) {
	ch := make(chan *kept, n)
	refused = new(atomic.Int32)
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			conn, err := c.box.Dial(ctx, network, address)
			if err != nil {
				refused.Add(1)
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			k := &kept{t: c.t, conn: conn, in: bufio.NewReader(conn)}
			_ = k.send("/")
			ch <- k
		})
	}
	go func() { wait.Wait(); close(ch) }()
	return ch, refused
}

// More connections than the queue holds: the rest waits, none is refused, and
// all are answered, by whichever generation they came to.
func TestSteerFullQueue(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, steered("SWAPINIT_LISTEN=web=tcp://"+web+"?backlog=8"), "-stop", "exit", "-accept-gate", gate)
	const n = 40
	all, refused := c.dialAll(n, "tcp", web)
	c.awaitStatus("a full queue", func(s status) bool { return s.connections(1) == "9 0 9" })
	c.Swap("--", binary(t, "server"))
	c.steady(1, "draining")
	touch(t, gate)
	answers := map[string]int{}
	for k := range all {
		text, err := k.receive()
		if err != nil {
			t.Errorf("a connection that waited: %v", err)
		}
		answers[text]++
		k.conn.Close()
	}
	if refused.Load() > 0 {
		t.Errorf("%d of %d connections were refused", refused.Load(), n)
	}
	if answers["generation 1\n"] < 9 || answers["generation 1\n"]+answers["generation 2\n"] != n {
		t.Errorf("answers %v, want at least 9 by generation 1, which were in its queue", answers)
	}
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
}

// What waits in the queue of a predecessor that is gone is reset at once: a
// client must not wait for an answer that nobody will give.
func TestSteerQueueOfADeadPredecessor(t *testing.T) {
	sock := func(t *testing.T) string { return filepath.Join(tempDir(t), "a.sock") }
	strays := []string{"SWAPINIT_DRAIN_TIMEOUT=100ms", "SWAPINIT_LEFTOVER_TIMEOUT=1h"}
	daemon := []string{"-strays", "1", "-stray-holds", "-stray-stop", "never"}
	for _, tc := range []struct {
		name, network string
		env           []string
		flags         []string
	}{
		{"killed", "tcp", []string{"SWAPINIT_DRAIN_TIMEOUT=100ms", "SWAPINIT_RETIRE_SIGNAL=KILL"}, nil},
		{"exits", "tcp", []string{"SWAPINIT_DRAIN_TIMEOUT=100ms"}, []string{"-stop", "exit"}},
		{"not drained", "tcp", []string{"SWAPINIT_DRAIN=off"}, []string{"-stop", "exit"}},
		{"killed, unix", "unix", []string{"SWAPINIT_DRAIN_TIMEOUT=100ms", "SWAPINIT_RETIRE_SIGNAL=KILL"}, nil},
		{"exits, a daemon holds the socket", "tcp", strays, append([]string{"-stop", "exit"}, daemon...)},
		{"exits, a daemon holds the socket, unix", "unix", strays, append([]string{"-stop", "exit"}, daemon...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := web
			if tc.network == "unix" {
				address = sock(t)
				tc.env = append(slices.Clone(tc.env), "SWAPINIT_LISTEN=web=unix://"+address)
			}
			c := startWeb(t, steered(tc.env...), append(tc.flags, "-accept-gate", "/nonexistent/gate")...)
			var queue []*kept
			for range 20 {
				k := c.open(tc.network, address)
				if err := k.send("/"); err != nil {
					t.Fatal(err)
				}
				queue = append(queue, k)
			}
			c.awaitStatus("the queue", func(s status) bool { return s.connections(1) == "20 0 20" })
			c.Swap("--", binary(t, "server"))
			for i, k := range queue {
				if text, err := k.receive(); err == nil {
					t.Errorf("connection %d was answered: %q", i, text)
				} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Fatalf("connection %d hangs in the queue of a server that is gone", i)
				}
			}
			c.awaitDrained(1)
			if got := c.ask1(tc.network, address); got != "generation 2\n" {
				t.Errorf("a new connection is answered by %q", got)
			}
		})
	}
}

// A drain is not over while connections wait in the predecessor's queue.
func TestSteerDrainsTheQueue(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(tempDir(t), "gate")
	c := startWeb(t, steered(), "-stop", "exit", "-accept-gate", gate)
	var queue []*kept
	for range 20 {
		k := c.open("tcp", web)
		if err := k.send("/"); err != nil {
			t.Fatal(err)
		}
		queue = append(queue, k)
	}
	c.Swap("--", binary(t, "server"))
	c.steady(1, "draining")
	touch(t, gate)
	for i, k := range queue {
		if text, err := k.receive(); err != nil || text != "generation 1\n" {
			t.Errorf("connection %d: %q %v", i, text, err)
		}
		_ = k.conn.Close()
	}
	c.awaitOut("gen 1: got TERM")
}

// Ten thousand connections are open: a swap works, and the predecessor is told
// to stop when the last one that is busy has become idle.
func TestSteerTenThousandConnections(t *testing.T) {
	t.Parallel()
	const each = 500
	n := manyConnections(t, 10000)
	o := steered(soonIdle)
	o.NoFile = uint64(n + 1000)
	c := startWeb(t, o, "-stop", "exit")
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failure error
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range n / each {
		wait.Go(func() {
			err := c.box.InNetwork(func() error {
				for range each {
					conn, err := new(net.Dialer).Dial("tcp", web)
					if err != nil {
						return err
					}
					mu.Lock()
					conns = append(conns, conn)
					mu.Unlock()
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = err
			}
		})
	}
	wait.Wait()
	if failure != nil {
		t.Fatalf("cannot open %d connections: %v", n, failure)
	}
	// Each has asked for something, and been answered.
	for _, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1024)
	for _, conn := range conns {
		if _, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	busy := c.busy()
	want := fmt.Sprintf("%d %d 0", n+1, n)
	c.awaitStatus("all but one to be idle", func(s status) bool { return s.connections(1) == want })
	c.Swap("--", binary(t, "server"))
	c.wantOnly(2)
	c.steady(1, "draining")
	if got := c.status().connections(1); got != want {
		t.Errorf("connections %q, want %q", got, want)
	}
	busy.finish()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	c.wantOnly(2)
}

// manyConnections is how many connections this process may open: n, or fewer.
func manyConnections(t *testing.T, n int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(min(limit.Cur, 1<<20)) - 3000; room < n {
		n = max(room, 500) / 500 * 500
		t.Logf("only %d connections: this process may open %d files", n, limit.Cur)
	}
	return n
}
