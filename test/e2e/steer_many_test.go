package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// One generation too many: the oldest that drains is killed, the others keep
// their connections.
func TestSteerMaxGenerations(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_MAX_GENERATIONS=4"), "-stop", "exit")
	var requests []upload
	for n := 1; n <= 3; n++ {
		requests = append(requests, c.busy())
		c.Swap()
		c.wantOnly(n + 1)
	}
	c.awaitStates("1:draining 2:draining 3:draining 4:active")
	c.awaitShares("1:0 2:0 3:0 4:100")
	c.Swap()
	c.wantOnly(5)
	c.awaitStates("2:draining 3:draining 5:active") // nobody was left at generation 4
	requests[0].wantCut()
	requests[2].finish()
	c.awaitOut("gen 3: got TERM")
	requests[1].finish()
	c.awaitOut("gen 2: got TERM")
	c.awaitStates("5:active")
	c.wantListeners(1)
}

// More live generations than a group can have sockets: the next one shares that
// with the traffic, and says so; when there is room again each has its own.
func TestSteerMoreGenerationsThanSockets(t *testing.T) {
	t.Parallel()
	const sockets = 14
	c := startWeb(t, steered("SWAPINIT_DRAIN=gone", "SWAPINIT_MAX_GENERATIONS=1000"))
	first := c.keep()
	for n := 2; n <= sockets; n++ {
		c.Swap()
		c.wantOnly(n)
		c.keep()
	}
	c.wantListeners(sockets)
	if e := c.endpoint(0); !*e.Steered {
		t.Fatalf("not steered: %s", e.Reason)
	}
	c.Swap()
	c.wantShared(0, "all 14 sockets")
	c.awaitErr("generations share a socket: live generations have all 14 sockets")
	c.wantServing(sockets + 1)
	c.wantListeners(sockets)
	first.conn.Close()
	c.awaitStatus("the end of generation 1", func(s status) bool { return s.stateOf(1) == "" })
	c.Swap()
	if e := c.endpoint(0); !*e.Steered {
		t.Fatalf("there is room, and it is not steered: %s", e.Reason)
	}
	c.wantOnly(sockets + 2)
	c.awaitErr("each generation has its own socket again")
}

// A predecessor that still drains takes the traffic back, however many are in
// between.
func TestSteerCrashWithSeveralDraining(t *testing.T) {
	t.Parallel()
	trigger := tempDir(t) + "/die"
	c := startWeb(t, steered(manyGenerations), "-stop", "exit", "-status", "11")
	first := c.busy()
	c.Swap("--", binary(t, "server"), "-stop", "exit", "-status", "22")
	second := c.busy()
	c.Swap("--", binary(t, "server"), "-die", "FILE="+trigger)
	c.awaitStates("1:draining 2:draining 3:active")
	touch(t, trigger)
	c.awaitStates("1:draining 2:active")
	c.wantOnly(2)
	first.finish()
	second.finish()
	c.awaitOut("gen 1: got TERM")
	c.awaitStates("2:active")
	c.wantNever("gen 2: got")
	c.wantOnly(2)
}

// A server that shuts its own listener down, while it drains or while it is
// active, disturbs nobody else's connections.
func TestSteerShutdownOfAListener(t *testing.T) {
	t.Run("while it drains", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered("SWAPINIT_DRAIN=gone", manyGenerations), "-stop", "exit")
		first := c.keep()
		c.Swap()
		second := c.keep()
		c.Swap()
		c.awaitStates("1:draining 2:draining 3:active")
		l := c.loadOn("tcp", web)
		moreRequests(t, l, 20)
		first.do("shutdown", "")
		moreRequests(t, l, 50)
		second.do("shutdown", "")
		moreRequests(t, l, 50)
		c.Swap()
		c.wantOnly(4)
		first.conn.Close()
		second.conn.Close()
		c.awaitDrained(1)
		c.awaitDrained(2)
		c.wantOnly(4)
		c.Swap()
		c.wantOnly(5)
		// Until swapinit has seen it the kernel may pick a predecessor, which
		// answers.
		noLoss(t, l)
		c.awaitStatus("generation 5 alone", func(s status) bool { return s.states() == "5:active" })
		c.wantListeners(1)
	})
	t.Run("while it is active", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered("SWAPINIT_KEEP=1h"), "-stop", "exit")
		c.Swap()
		active := c.keep()
		active.do("shutdown", "")
		c.awaitErr("swapinit: ")
		await(t, "the endpoint to accept again", func() bool {
			conn, err := c.box.Dial(t.Context(), "tcp", web)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		c.Swap()
		c.wantOnly(3)
		c.awaitShares("2:0 3:100")
		c.wantListeners(2)
		c.Swap()
		c.wantOnly(4)
	})
}

// A daemon that a predecessor left behind holds its socket: nobody's connection
// goes there, however long the daemon takes.
func TestSteerStrayHoldsTheListener(t *testing.T) {
	t.Parallel()
	o := steered("SWAPINIT_LEFTOVER_TIMEOUT=1h", manyGenerations)
	c := startWeb(t, o, "-stop", "exit", "-strays", "1", "-stray-holds", "-stray-stop", "never")
	l := c.loadOn("tcp", web)
	for n := 2; n <= 4; n++ {
		moreRequests(t, l, 20)
		c.Swap("--", binary(t, "server"), "-stop", "exit")
		c.wantOnly(n)
		c.awaitDrained(n - 1)
	}
	c.awaitOut("gen 1: stray got TERM")
	moreRequests(t, l, 50)
	c.wantOnly(4)
	noLoss(t, l)
	if !strings.Contains(fmt.Sprint(c.Procs()), "stray") {
		t.Error("the daemon is gone")
	}
}

// The active one crashes while its successor boots: connections wait, none is
// refused, and the successor has all the traffic when it is ready.
func TestSteerActiveDiesInMidSwap(t *testing.T) {
	t.Parallel()
	gate := tempDir(t) + "/gate"
	c := startWeb(t, steered(), "-stop", "exit")
	swap := c.later(append([]string{"swap", "--"}, server(t, "-gate", gate, "-status", "22")...)...)
	c.awaitStates("1:active 2:starting")
	c.do("exit", "21")
	await(t, "the end of the first", func() bool { return c.status().stateOf(1) == "" })
	waiting := c.open("tcp", web)
	if err := waiting.send("/"); err != nil {
		t.Fatal(err)
	}
	touch(t, gate)
	if r := receive(t, "the swap", swap); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	c.wantOnly(2)
	c.awaitShares("2:100")
	if text, err := waiting.receive(); err != nil || text != "generation 2\n" {
		t.Errorf("a connection that waited: %q %v", text, err)
	}
	c.Swap()
	c.wantOnly(3)
	c.wantListeners(1)
}

// NoLeaks of steered swaps under load, of canaries, rollbacks and crashes.
func TestSteerNoLeaks(t *testing.T) {
	t.Parallel()
	swaps := 200
	if testing.Short() {
		swaps = 40
	}
	sock := tempDir(t) + "/a.sock"
	c := startWeb(t, steered("SWAPINIT_LISTEN=web=tcp://"+web+" unix://"+sock, "SWAPINIT_LOG=error", manyGenerations), "-stop", "exit", "-work", "1ms")
	l := load.Start(load.Options{
		Dial:  func(ctx context.Context) (net.Conn, error) { return c.box.Dial(ctx, "tcp", web) },
		Fresh: 4, Pace: 4 * time.Millisecond,
	})
	address := c.controlAddress()
	ask := func(ok bool, request string) {
		t.Helper()
		k := c.connectTo(address)
		defer k.conn.Close()
		k.send(request + "\n")
		k.wantReply(ok)
	}
	one := func(n int) {
		switch n % 10 {
		case 3:
			ask(false, `{"v":1,"verb":"swap","args":{"command":["false"]}}`)
		case 5:
			ask(true, `{"v":1,"verb":"swap","args":{"canary":"50%/1ms"}}`)
		case 7:
			k := c.connectTo(address)
			defer k.conn.Close()
			k.send(`{"v":1,"verb":"swap","args":{"canary":"50%/1h"}}` + "\n")
			c.awaitStatus("the canary", func(s status) bool { return strings.Contains(s.shares(), ":50") })
			ask(true, `{"v":1,"verb":"rollback"}`)
			k.wantReply(false)
		default:
			ask(true, `{"v":1,"verb":"swap"}`)
		}
	}
	settle := func() usage {
		t.Helper()
		c.awaitStatus("the drains to end", func(s status) bool { return len(s.Generations) == 1 })
		ask(true, `{"v":1,"verb":"swap"}`) // after which there are no spare sockets
		c.awaitStatus("the drains to end", func(s status) bool { return len(s.Generations) == 1 })
		await(t, "zombies to be reaped", func() bool { return len(c.Procs()) == 2 })
		return usageOf(t, c.box.Pid())
	}
	for n := range 10 {
		one(n)
	}
	before := settle()
	for n := range swaps {
		one(n)
	}
	after := settle()
	if !poll(func() bool {
		after = usageOf(t, c.box.Pid())
		return fmt.Sprint(after.fds) == fmt.Sprint(before.fds)
	}) {
		t.Errorf("open fds: %d %v, before %d %v", len(after.fds), after.fds, len(before.fds), before.fds)
	}
	if after.threads > before.threads+4 {
		t.Errorf("%d threads, before %d", after.threads, before.threads)
	}
	if after.rss > before.rss+before.rss/2+2048 {
		t.Errorf("RSS is %d KiB, before %d KiB", after.rss, before.rss)
	}
	if n := c.sockets(8080, "0A"); n != 1 {
		t.Errorf("%d sockets listen, want 1", n)
	}
	if n := c.sockets(8080, "02") + c.sockets(8080, "03"); n != 0 {
		t.Errorf("%d handshakes are left", n)
	}
	count := noLoss(t, l)
	t.Logf("%d swaps: %d fds, threads %d -> %d, RSS %d -> %d KiB; %d requests, %d failed", swaps, len(after.fds), before.threads, after.threads, before.rss, after.rss, count.Requests, count.Failed)
}
