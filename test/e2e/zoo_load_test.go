//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// The load of the servers that know nothing: clients with a new connection for each
// request, counted by themselves, and some that keep theirs.
const (
	zooFresh = 4
	zooKept  = 2
	zooPace  = 20 * time.Millisecond // 200 a second are enough to meet each moment of a swap; several tests share the CPUs
	// A client that keeps its connection rests in between, for much longer than five times
	// SWAPINIT_IDLE_AFTER: where question and answer are in one tick of the kernel's
	// clock, a drain waits for that long.
	zooThink = 1100 * time.Millisecond
)

// zooOptions say how a server runs, and how it is swapped.
type zooOptions struct {
	prefix []string // before its command, such as /swapinit --; its first word is the verbs' program
	verbs  string   // the verbs' program, if it is another one
	env    []string // settings
	run    []string // more for docker run
	swap   []string // more for swap
	swaps  int      // how many; 0 = 3
	onHost bool     // load from this machine, to the container's address; else over its loopback
}

// zooEnv are the settings under which a server is swapped that knows nothing. Its
// predecessors get the signal, KILL where that is "".
func zooEnv(signal string, more ...string) []string {
	return append([]string{"SWAPINIT_LISTEN=:8080", "SWAPINIT_SETTLE=0", "SWAPINIT_IDLE_AFTER=200ms",
		"SWAPINIT_RETIRE_SIGNAL=" + cmp.Or(signal, "KILL")}, more...)
}

// zooCounts is what became of the requests, and of the swaps.
type zooCounts struct {
	fresh, kept load.Count
	swaps       []dockerResult // of swapinit swap
	c           *dockerContainer
}

func (n zooCounts) String() string {
	failed := 0
	for _, r := range n.swaps {
		if r.Code != 0 {
			failed++
		}
	}
	return fmt.Sprintf("%d swaps, %d failed; new connections: %v; kept: %v", len(n.swaps), failed, n.fresh, n.kept)
}

// wantNoFailure fails unless every swap has succeeded and every request was answered.
func (n zooCounts) wantNoFailure(t *testing.T) {
	t.Helper()
	t.Log(n)
	for _, r := range n.swaps {
		if r.Code != 0 {
			t.Errorf("swap: %v", r)
		}
	}
	if n.fresh.Failed != 0 || n.kept.Failed != 0 || n.fresh.Requests == 0 {
		t.Errorf("%v", n)
	}
}

// zooSwaps swaps a server under load, and counts. It fails the test where nothing can
// be counted: the server never answers, or no longer. The container is left running.
func zooSwaps(t *testing.T, s zooServer, o zooOptions) zooCounts {
	t.Helper()
	run := append([]string{}, o.run...)
	for _, e := range o.env {
		run = append(run, "-e", e)
	}
	c := zooRun(t, s, o.prefix, run...)
	c.program = cmp.Or(o.verbs, o.prefix[0])
	swaps := cmp.Or(o.swaps, 3)
	c.zooAnswers(s)
	c.awaitStatus("ready", func(s dockerStatus) bool { return s.Ready })

	l := zooLoad(t, c, s, o.onHost)
	n := zooCounts{c: c}
	for range swaps {
		l.more()
		r := c.try(append([]string{c.program, "swap"}, o.swap...)...)
		n.swaps = append(n.swaps, r)
		// By default the fourth generation would have the oldest one killed.
		c.awaitStatus("the predecessor is gone", func(s dockerStatus) bool { return len(s.Generations) == 1 })
	}
	l.more()
	total := l.stop()
	n.fresh, n.kept = total.Fresh, total.Kept
	return n
}

// zooLoader is a running load.
type zooLoader struct {
	t     *testing.T
	count func() zooTally
	stop  func() zooTally // once all requests are answered
	ended <-chan struct{} // it ended by itself; nil if it cannot
}

// more waits until many more requests on new connections have good answers, and whoever
// keeps a connection has asked again: on one to the active generation, if it can.
func (l *zooLoader) more() {
	l.t.Helper()
	const many = 40
	before := l.count()
	dockerEventually(l.t, "requests answered", func() bool {
		select {
		case <-l.ended:
			l.t.Fatal("the load generator ended")
		default:
		}
		now := l.count()
		return now.Fresh.Requests-now.Fresh.Failed >= before.Fresh.Requests-before.Fresh.Failed+many &&
			now.Kept.Requests >= before.Kept.Requests+zooKept
	})
}

func zooLoad(t *testing.T, c *dockerContainer, s zooServer, onHost bool) *zooLoader {
	t.Helper()
	if onHost {
		return zooLoadOnHost(t, c, s)
	}
	return zooLoadInside(t, c, dockerImage(t, "scratch"), "-protocol", s.protocol)
}

// zooLoadOnHost asks from this machine, over the bridge.
func zooLoadOnHost(t *testing.T, c *dockerContainer, s zooServer) *zooLoader {
	t.Helper()
	ask, err := load.Protocol(s.protocol)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(c.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"), "8080")
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
	fresh := load.Start(load.Options{Dial: dial, Ask: ask, Fresh: zooFresh, Pace: zooPace})
	kept := load.Start(load.Options{Dial: dial, Ask: ask, Kept: zooKept, Pace: zooThink, Again: true})
	stop := sync.OnceValue(func() zooTally { return zooTally{Fresh: fresh.Stop(), Kept: kept.Stop(), Final: true} })
	t.Cleanup(func() { stop() })
	return &zooLoader{
		t:     t,
		count: func() zooTally { return zooTally{Fresh: fresh.Count(), Kept: kept.Count()} },
		stop:  stop,
	}
}

// zooLoadInside asks over the container's loopback, from a container beside it; flags are
// more for fixture clients.
func zooLoadInside(t *testing.T, c *dockerContainer, image string, flags ...string) *zooLoader {
	t.Helper()
	id := docker(t, append([]string{"create", "-i", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--network", "container:" + c.id,
		"--entrypoint", "/fixture", image, "clients",
		"-fresh", fmt.Sprint(zooFresh), "-kept", fmt.Sprint(zooKept), "-pace", zooPace.String(), "-think", zooThink.String()}, flags...)...)
	dockerAdopt(t, id)
	cmd := exec.Command("docker", "start", "-a", "-i", id)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var last zooTally
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadBytes('\n')
			var tally zooTally
			if json.Unmarshal(line, &tally) == nil {
				mu.Lock()
				last = tally
				mu.Unlock()
			}
			if err != nil {
				break
			}
		}
		cmd.Wait()
	}()
	tally := func() zooTally {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
	t.Cleanup(func() {
		stdin.Close()
		<-done
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("clients: %s", stderr.Bytes())
		}
	})
	return &zooLoader{
		t:     t,
		ended: done,
		count: tally,
		stop: func() zooTally {
			stdin.Close()
			<-done
			if !tally().Final {
				t.Fatalf("the load generator ended without its totals: %s", stderr.Bytes())
			}
			return tally()
		},
	}
}

// zooTally is what fixture clients prints.
type zooTally struct {
	Fresh, Kept, Slow load.Count
	Final             bool
}

// zooInherits takes its socket from swapinit, which is no news; it shows that what the
// others are measured with counts right.
func zooInherits(flags ...string) zooServer {
	return zooServer{name: "inherits", command: append([]string{"/fixture", "http", "-inherit"}, flags...), protocol: "http"}
}

// A server whose swaps lose nothing has no failure, wherever the load comes from.
func TestZooLoadCountsNone(t *testing.T) {
	t.Parallel()
	for name, onHost := range map[string]bool{"inside": false, "on the host": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := zooSwaps(t, zooInherits(), zooOptions{
				prefix: []string{"/swapinit", "--"},
				env:    zooEnv("TERM"),
				onHost: onHost,
			})
			t.Log(n)
			for _, r := range n.swaps {
				if r.Code != 0 {
					t.Errorf("swap: %v", r)
				}
			}
			if n.fresh.Failed != 0 || n.kept.Failed != 0 {
				t.Errorf("%v", n)
			}
			if len(n.fresh.Bodies) < len(n.swaps)+1 {
				t.Errorf("answers from %d generations, want %d", len(n.fresh.Bodies), len(n.swaps)+1)
			}
		})
	}
}

// One that drops what it has accepted, told to stop without a drain, has some.
func TestZooLoadCounts(t *testing.T) {
	t.Parallel()
	n := zooSwaps(t, zooInherits("-abrupt", "-work", "20ms"), zooOptions{
		prefix: []string{"/swapinit", "--"},
		env:    zooEnv("TERM", "SWAPINIT_DRAIN=off"),
	})
	t.Log(n)
	if n.fresh.Failed == 0 {
		t.Error("none failed")
	}
}
