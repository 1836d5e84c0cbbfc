package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
)

// tally makes n new connections and counts them by the generation that
// answered.
func (c *container) tally(n int) map[string]int {
	c.t.Helper()
	const clients = 8
	var mu sync.Mutex
	var wait sync.WaitGroup
	got := map[string]int{}
	for range clients {
		wait.Go(func() {
			for range n / clients {
				text := c.ask1("tcp", web)
				mu.Lock()
				got[strings.TrimSpace(text)]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return got
}

// wantShare fails unless generation 2 gets a share of new connections, within
// what chance allows (five sigma), and generation 1 the rest.
func (c *container) wantShare(share float64) {
	c.t.Helper()
	const n = 4000
	got := c.tally(n)
	mean, sigma := n*share, math.Sqrt(n*share*(1-share))
	if off := math.Abs(float64(got["generation 2"]) - mean); off > 5*sigma || got["generation 1"]+got["generation 2"] != n {
		c.t.Errorf("%d connections at %g %%: answers %v, want %.0f +- %.0f", n, 100*share, got, mean, 5*sigma)
	}
	c.t.Logf("%g %% of %d connections: %v", 100*share, n, got)
}

func TestSteerCanaryShares(t *testing.T) {
	for _, tc := range []struct{ listen, share string }{
		{"tcp://" + web, "25"}, {"tcp://:8080", "1.5"},
	} {
		t.Run(tc.share+" % of "+tc.listen, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered("SWAPINIT_LISTEN=web="+tc.listen, "SWAPINIT_CANARY="+tc.share+"%/1h"))
			swap := c.later("swap")
			c.awaitStatus("the share", func(s status) bool { return strings.HasSuffix(s.shares(), "2:"+tc.share) })
			var share float64
			if _, err := fmt.Sscan(tc.share, &share); err != nil {
				t.Fatal(err)
			}
			c.wantShare(share / 100)
			c.wantNever("gen 1: got")
			r := c.Verb("promote")
			if r.Code != 0 {
				t.Fatalf("promote: %v", r)
			}
			oneLine(t, r.Stdout, "generation 2")
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			c.wantOnly(2)
			c.awaitStates("2:active")
			c.awaitShares("2:100")
		})
	}
}

// stage is one line of a swap's progress on the control socket.
type stage struct {
	Event      string   `json:"event"`
	Generation int      `json:"generation"`
	Share      *float64 `json:"share"`
	OK         *bool    `json:"ok"`
}

func TestSteerCanaryStages(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=1%/50ms,25%/50ms 0.5%/50ms"), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	k := c.connect()
	k.send("{\"v\":1,\"verb\":\"swap\"}\n")
	var got []string
	for {
		line, err := k.in.ReadString('\n')
		if err != nil {
			t.Fatalf("no reply: %v", err)
		}
		var s stage
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if s.OK != nil {
			if !*s.OK {
				t.Fatalf("the swap failed: %s", line)
			}
			break
		}
		if s.Share != nil {
			s.Event += fmt.Sprintf(" %g", *s.Share)
		}
		got = append(got, s.Event)
	}
	inOrder(t, strings.Join(got, ","), "started", "ready", "settled", "canary 1,", "canary 25,", "canary 0.5,", "cutover")
	c.wantOnly(2)
	c.awaitStates("2:active")
	noLoss(t, l)
}

// The share of one swap can be given with it.
func TestSteerCanaryOfOneSwap(t *testing.T) {
	for name, env := range map[string][]string{"without a setting": nil, "against the setting": {"SWAPINIT_CANARY=50%/1h"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered(env...))
			swap := c.later("swap", "--canary", "12.25%/1h")
			c.awaitShares("1:87.75 2:12.25")
			if r := c.Verb("promote"); r.Code != 0 {
				t.Fatalf("promote: %v", r)
			}
			if r := receive(t, "the swap", swap); r.Code != 0 {
				t.Fatalf("swap: %v", r)
			}
			c.wantOnly(2)
		})
	}
	t.Run("that makes no sense", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered())
		for _, bad := range []string{"12", "0%/1s", "100%/1s", "5%/0", "5%", "5%/x"} {
			if r := c.Verb("swap", "--canary", bad); r.Code != 2 {
				t.Errorf("swap --canary %s: %v, want status 2", bad, r)
			}
		}
	})
}

func TestSteerCanaryCheck(t *testing.T) {
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h", "SWAPINIT_CANARY_CHECK=false"), "-stop", "exit", "-work", "5ms")
		l := c.loadOn("tcp", web)
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		oneLine(t, r.Stderr, "canary check", "false")
		c.wantOnly(1)
		c.awaitStates("1:active")
		c.awaitShares("1:100")
		c.wantNever("gen 1: got")
		noLoss(t, l)
	})
	t.Run("cannot be run", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h", "SWAPINIT_CANARY_CHECK=/nonexistent/check"))
		r := c.Verb("swap")
		if r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		oneLine(t, r.Stderr, "/nonexistent/check")
		c.wantOnly(1)
	})
	t.Run("fails later", func(t *testing.T) {
		t.Parallel()
		good := tempDir(t) + "/good"
		touch(t, good)
		c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h", "SWAPINIT_CANARY_CHECK=sh -c 'test -e "+good+" && echo good >>"+good+"'"))
		swap := c.later("swap")
		await(t, "a check that passes", func() bool { return strings.Contains(read(good), "good") })
		c.awaitShares("1:50 2:50")
		if r := c.Exec("rm", good); r.Code != 0 {
			t.Fatal(r)
		}
		if r := receive(t, "the swap", swap); r.Code != 1 {
			t.Fatalf("swap: %v, want status 1", r)
		}
		c.wantOnly(1)
		c.awaitStates("1:active")
	})
	t.Run("passes", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, steered("SWAPINIT_CANARY=50%/100ms", "SWAPINIT_CANARY_CHECK=true"))
		c.Swap()
		c.wantOnly(2)
	})
}

// rollback ends a canary: the swap has failed, and nothing is lost.
func TestSteerRollbackOfACanary(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_CANARY=50%/1h"), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	swap := c.later("swap")
	c.awaitShares("1:50 2:50")
	moreRequests(t, l, 50)
	r := c.Verb("rollback")
	if r.Code != 0 {
		t.Fatalf("rollback: %v", r)
	}
	oneLine(t, r.Stdout, "generation 1")
	c.wantOnly(1)
	r = receive(t, "the swap", swap)
	if r.Code != 1 {
		t.Errorf("swap: %v, want status 1", r)
	}
	oneLine(t, lastLines(r.Stderr, 1), "rolled back")
	c.awaitStates("1:active")
	c.wantNever("gen 1: got")
	// The next one may be as good as any.
	if r := c.Verb("swap", "--canary", "99.99%/50ms"); r.Code != 0 {
		t.Errorf("swap: %v", r)
	}
	c.wantOnly(3)
	noLoss(t, l)
}
