package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// stoppingServers are all that a server may do when it is told to stop.
var stoppingServers = []struct {
	name       string
	flags, env []string
}{
	{"graceful", []string{"-stop", "shutdown"}, nil},
	{"dies at once", []string{"-stop", "exit"}, nil},
	{"has no handler", []string{"-stop", "default"}, nil},
	{"is killed", nil, []string{"SWAPINIT_RETIRE_SIGNAL=KILL"}},
}

// The promise of steering: whatever a server does when it is told to stop, and
// wherever it listens, no new connection fails.
func TestSteerLosesNothing(t *testing.T) {
	networks := []struct {
		name, listen string
		addresses    []string
	}{
		{"IPv4", "tcp://" + web, []string{web}},
		{"IPv6", "tcp://[::1]:8080", []string{"[::1]:8080"}},
		{"dual-stack", "tcp://:8080", []string{web, "[::1]:8080"}},
		{"unix", "", nil},
	}
	for _, server := range stoppingServers {
		for _, network := range networks {
			t.Run(server.name+" on "+network.name, func(t *testing.T) {
				t.Parallel()
				kind, listen, addresses := "tcp", network.listen, network.addresses
				if listen == "" {
					sock := filepath.Join(tempDir(t), "a.sock")
					kind, listen, addresses = "unix", "unix://"+sock, []string{sock}
				}
				o := steered(append(server.env, "SWAPINIT_LISTEN=web="+listen, manyGenerations)...)
				c := startWeb(t, o, append(server.flags, "-work", "5ms")...)
				var loads []*load.Load
				for _, address := range addresses {
					loads = append(loads, c.loadOn(kind, address))
				}
				const last = 5
				for n := 2; n <= last; n++ {
					for _, l := range loads {
						moreRequests(t, l, 40)
					}
					c.Swap()
					for _, address := range addresses {
						if got, want := c.ask1(kind, address), fmt.Sprintf("generation %d\n", n); got != want {
							t.Errorf("after the cut-over %s is answered by %q, want %q", address, got, want)
						}
					}
					c.awaitDrained(n - 1)
				}
				for i, l := range loads {
					count := noLoss(t, l)
					if len(count.Bodies) != last {
						t.Errorf("%s: answers from %d generations, want %d: %v", addresses[i], len(count.Bodies), last, count.Bodies)
					}
					t.Logf("%s: %d requests, %d failed, %d swaps", addresses[i], count.Requests, count.Failed, last-1)
				}
				if e := c.endpoint(0); !*e.Steered {
					t.Errorf("not steered: %s", e.Reason)
				}
			})
		}
	}
}

// Connections that are kept belong to the predecessor until they are idle. One
// that its server then closes under a request is an ordinary thing in HTTP: the
// request works on a new one.
func TestSteerKeptConnections(t *testing.T) {
	for _, server := range stoppingServers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, steered(append(server.env, "SWAPINIT_IDLE_AFTER=400ms", manyGenerations)...), append(server.flags, "-work", "5ms")...)
			l := load.Start(load.Options{
				Dial: func(ctx context.Context) (net.Conn, error) { return c.box.Dial(ctx, "tcp", web) },
				Kept: 6, Think: 1500 * time.Millisecond, Again: true,
			})
			moreRequests(t, l, 6)
			for n := 2; n <= 3; n++ {
				c.Swap()
				c.wantOnly(n)
				c.awaitDrained(n - 1)
				await(t, "everyone at the successor", func() bool {
					return l.Count().Bodies[fmt.Sprintf("generation %d", n)] >= 6
				})
			}
			count := noLoss(t, l)
			t.Logf("%v", count)
		})
	}
}

// Many quick swaps, each before the one before it has drained.
func TestSteerSwapsWhileDraining(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(manyGenerations), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	for n := 2; n <= 12; n++ {
		c.Swap()
		c.wantOnly(n)
	}
	c.awaitStates("12:active")
	noLoss(t, l)
	c.wantListeners(1)
}
