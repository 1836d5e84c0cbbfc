package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

// bindIn has the server that k is connected to bind an address, and returns its answer:
// "ok", or the error.
func (k *kept) bindIn(address string) string {
	k.t.Helper()
	return strings.TrimSpace(k.get("/do?act=bind&arg=" + url.QueryEscape(address)))
}

// A second bind to the same address fails while the first is open, as without swapinit,
// and works when it is closed.
func TestAdoptBindAgain(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{}, []string{bindWeb})
	k := c.keep()
	for range 3 {
		if got := k.bindIn(bindWeb); !strings.Contains(got, "address already in use") {
			t.Fatalf("second bind: %q", got)
		}
	}
	if got := k.bindIn(bindWeb + "?reuseport"); !strings.Contains(got, "address already in use") {
		t.Fatalf("second bind, with SO_REUSEPORT that the first does not have: %q", got)
	}
	for range 3 {
		k.do("drop", "")
		if got := k.bindIn(bindWeb); got != "ok" {
			t.Fatalf("bind after close: %q", got)
		}
		c.wantOnly(1)
	}
	all := c.boundAt(1, bindWeb)
	for _, one := range all {
		if inodeIn(one) != inodeIn(all[0]) {
			t.Errorf("sockets %q, want the same", all)
		}
	}
	_ = k.conn.Close()
	c.Swap()
	c.wantOnly(2)
}

// bind is called again on a socket that is bound already, as after EINTR.
func TestAdoptBindTwice(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{}, []string{bindWeb + "?twice"})
	c.wantOnly(1)
	c.Swap()
	c.wantOnly(2)
}

// A server that has closed its listener no longer has it: who comes is refused, nobody
// hangs, until it binds again.
func TestAdoptClosedListener(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{}, []string{bindWeb})
	k := c.keep()
	k.do("drop", "")
	await(t, "connections to be refused", func() bool { return c.refusedAt(web) })
	if got := k.bindIn(bindWeb); got != "ok" {
		t.Fatalf("bind: %q", got)
	}
	c.wantOnly(1)
	_ = k.conn.Close()
	c.Swap()
	c.wantOnly(2)
}

// The options that matter are as the server had set them.
func TestAdoptDescriptor(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{twoEndpoints}}, []string{bindWeb, "tcp4://127.0.0.1:8081?inherit&block"})
	for address, want := range map[string]string{bindWeb: "inet nonblock cloexec", "tcp4://127.0.0.1:8081?inherit&block": "inet"} {
		if got := c.boundAt(1, address); len(got) != 1 || !strings.HasSuffix(got[0], "] "+want) {
			t.Errorf("%s is bound to %q, want %q", address, got, want)
		}
	}
}

// With SO_REUSEPORT all sockets of a generation are the same one.
func TestAdoptReusePort(t *testing.T) {
	t.Parallel()
	address := bindWeb + "?reuseport&sockets=4"
	c := startBinding(t, opts{Env: []string{manyGenerations}}, []string{address}, "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	seen := map[string]int{}
	for n := 1; n <= 3; n++ {
		if n > 1 {
			moreRequests(t, l, 20)
			c.Swap()
			c.awaitDrained(n - 1)
		}
		all := c.boundAt(n, address)
		if len(all) != 4 {
			t.Fatalf("generation %d has bound %q", n, all)
		}
		for _, one := range all {
			seen[inodeIn(one)]++
		}
		if len(seen) != n {
			t.Errorf("after generation %d sockets %v, want one for each", n, seen)
		}
		c.wantListeners(1)
	}
	noLoss(t, l)
}

// Workers with SO_REUSEPORT sockets of their own: when one of them dies no connection
// waits in a queue that is nobody's.
func TestAdoptReusePortWorkerDies(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{manyGenerations}}, []string{bindWeb + "?reuseport"}, "-prefork", "4", "-stop", "exit", "-work", "5ms")
	awaitWorkers := func(generation, n int) {
		t.Helper()
		await(t, "the workers", func() bool { return len(c.boundAt(generation, bindWeb+"?reuseport")) >= n })
	}
	awaitWorkers(1, 4)
	for dead := 1; dead <= 3; dead++ {
		c.killOneWorker()
		for range 60 {
			if got := c.ask1("tcp", web); got != "generation 1\n" {
				t.Fatalf("with %d workers dead: %q", dead, got)
			}
		}
	}
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 20)
	c.Swap()
	awaitWorkers(2, 4)
	c.wantOnly(2)
	c.awaitDrained(1)
	noLoss(t, l)
}

// killOneWorker kills one of the processes that a master has started.
func (c *container) killOneWorker() {
	c.t.Helper()
	main := c.hostPid(c.status().pidOf(1))
	for _, p := range c.Procs() {
		if p.PPid == main && p.State != "Z" {
			if err := syscall.Kill(p.Host, syscall.SIGKILL); err != nil {
				c.t.Fatal(err)
			}
			await(c.t, "its end", func() bool {
				for _, q := range c.Procs() {
					if q.Host == p.Host && q.State != "Z" {
						return false
					}
				}
				return true
			})
			return
		}
	}
	c.t.Fatal("no worker")
}

// Workers that are children of a master: each binds, or the master binds for all.
func TestAdoptPrefork(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{Env: []string{manyGenerations}}, []string{bindWeb + "?reuseport"}, "-prefork", "3", "-stop", "shutdown", "-work", "5ms")
	l := c.loadOn("tcp", web)
	for n := 2; n <= 4; n++ {
		moreRequests(t, l, 30)
		c.Swap()
		c.awaitDrained(n - 1)
		c.awaitOut(fmt.Sprintf("gen %d: has forked", n))
		c.wantOnly(n)
	}
	noLoss(t, l)
	c.wantAdopted(1)
}
