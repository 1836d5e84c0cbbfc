package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A server that does everything wrong harms itself at most: swapinit answers, its memory
// is bounded, it holds what it held before, and it still swaps.
func TestAdoptHostile(t *testing.T) {
	for _, act := range []string{"flood 20000", "options 5000", "race 20000", "fork 1000", "die 200", "exec 50"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=web=tcp://" + web + " tcp://127.0.0.1:8081"}},
				[]string{bindWeb + "?reuseport", "tcp4://127.0.0.1:8081"}, "-stop", "exit")
			c.Swap()
			c.awaitStates("2:active")
			before, peak := usageOf(t, c.box.Pid()), peakOf(t, c.box.Pid())
			k := c.open("tcp", "127.0.0.1:8081")
			what, _, _ := strings.Cut(act, " ")
			if err := k.send("/do?act=hostile&arg=" + strings.ReplaceAll(act, " ", "+")); err != nil {
				t.Fatal(err)
			}
			done := make(chan string, 1)
			go func() {
				text, err := k.receive()
				done <- fmt.Sprintf("%s%v", text, err)
			}()
			asked, got := 0, ""
			await(t, "the end of it", func() bool {
				if s := c.status(); s.states() != "2:active" { // it answers meanwhile
					t.Fatalf("states are %s", s.states())
				}
				asked++
				select {
				case got = <-done:
					return true
				default:
					return false
				}
			})
			if got != "ok\n<nil>" {
				t.Errorf("%s: %s", what, got)
			}
			_ = k.conn.Close()
			after := usageOf(t, c.box.Pid())
			if !poll(func() bool { after = usageOf(t, c.box.Pid()); return len(after.fds) <= len(before.fds) }) {
				t.Errorf("open fds: %d %v, before %d %v", len(after.fds), after.fds, len(before.fds), before.fds)
			}
			grown := peakOf(t, c.box.Pid()) - peak
			if grown > peakGrowth {
				t.Errorf("memory has grown by %d KiB, to %d KiB", grown, peak+grown)
			}
			if after.threads > before.threads+4 {
				t.Errorf("%d threads, before %d", after.threads, before.threads)
			}
			c.wantOnly(2)
			l := c.loadOn("tcp", web)
			moreRequests(t, l, 20)
			c.Swap()
			c.awaitDrained(2)
			c.wantOnly(3)
			noLoss(t, l)
			t.Logf("asked for the status %d times; peak %d -> %d KiB, RSS %d -> %d KiB, %d fds, %d lines of log", asked, peak, peak+grown, before.rss, after.rss, len(after.fds), strings.Count(c.Stderr(), "\n"))
		})
	}
}

// The log of a server that is not adopted again and again is bounded.
func TestAdoptLogIsBounded(t *testing.T) {
	t.Parallel()
	c := startBinding(t, opts{}, []string{bindWeb})
	k := c.keep()
	for n := range 100 {
		if got := k.bindIn(fmt.Sprintf("tcp4://127.0.0.1:%d", 10000+n)); got != "ok" {
			t.Fatal(got)
		}
	}
	if n := strings.Count(c.Stderr(), "\n"); n > 30 {
		t.Errorf("%d lines of log:\n%s", n, c.Stderr())
	}
}

// NoLeaks, for a server that binds for itself.
func TestAdoptNoLeaks(t *testing.T) {
	t.Parallel()
	swaps := 50
	c := startBinding(t, opts{Env: []string{"SWAPINIT_LISTEN=:8080", "SWAPINIT_LOG=error"}}, []string{"tcp4://0.0.0.0:8080?reuseport&sockets=2"}, "-stop", "exit")
	settle := func() usage {
		t.Helper()
		c.Swap()
		await(t, "the drains to end", func() bool { return len(c.status().Generations) == 1 })
		await(t, "zombies to be reaped", func() bool { return len(c.Procs()) == 2 })
		return usageOf(t, c.box.Pid())
	}
	for range 10 {
		c.Swap()
	}
	before := settle()
	for n := range swaps {
		if n%5 == 4 {
			c.failedSwap([]string{"--", "false"})
		} else {
			c.Swap()
		}
	}
	c.holdsNoMore(before, settle(), itoa(swaps)+" swaps")
}
