//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
	"testing"
)

// dockerTally is what fixture load prints.
type dockerTally struct {
	Sent     int            `json:"sent"`
	OK       int            `json:"ok"`
	Failed   int            `json:"failed"`
	Failures map[string]int `json:"failures"`
	Answers  map[string]int `json:"answers"`
	Final    bool           `json:"final"`
}

func (total dockerTally) wantNoFailure(t *testing.T) {
	t.Helper()
	if total.Failed != 0 || total.OK != total.Sent {
		t.Errorf("%d of %d requests failed: %v", total.Sent-total.OK, total.Sent, total.Failures)
	}
}

// dockerLoader is a load generator in a container of its own, which shares the
// network of the container that it asks: the requests run over that
// container's loopback, with no proxy in between that would accept a
// connection which the server refuses.
type dockerLoader struct {
	t     *testing.T
	stdin io.WriteCloser
	done  chan struct{}

	mu   sync.Mutex
	last dockerTally
}

func dockerLoad(t *testing.T, c *dockerContainer, args ...string) *dockerLoader {
	t.Helper()
	return dockerLoadOn(t, "container:"+c.id, args...)
}

// dockerLoadOn is dockerLoad in any network, such as "host".
func dockerLoadOn(t *testing.T, network string, args ...string) *dockerLoader {
	t.Helper()
	image := dockerImage(t, "scratch")
	id := docker(t, append([]string{"create", "-i", "--label", "swapinit.test=1", "--label", dockerRunLabel, "--network", network,
		"--no-healthcheck", "--entrypoint", "/fixture", image, "load"}, args...)...)
	dockerAdopt(t, id)
	l := &dockerLoader{t: t, done: make(chan struct{})}
	cmd := exec.Command("docker", "start", "-a", "-i", id)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if l.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(l.done)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var tally dockerTally
			if err := json.Unmarshal(lines.Bytes(), &tally); err != nil {
				continue
			}
			l.mu.Lock()
			l.last = tally
			l.mu.Unlock()
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		l.stdin.Close()
		<-l.done
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("load: %s", stderr.Bytes())
		}
	})
	return l
}

func (l *dockerLoader) tally() dockerTally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// atLeast waits until n requests have been answered in all.
func (l *dockerLoader) atLeast(n int) {
	l.t.Helper()
	dockerEventually(l.t, "requests answered", func() bool {
		select {
		case <-l.done:
			l.t.Fatal("the load generator ended")
		default:
		}
		return l.tally().OK >= n
	})
}

// more waits until n more requests have been answered.
func (l *dockerLoader) more(n int) {
	l.t.Helper()
	l.atLeast(l.tally().OK + n)
}

// stop ends the load and returns the totals, once all requests are answered.
func (l *dockerLoader) stop() dockerTally {
	l.t.Helper()
	l.stdin.Close()
	<-l.done
	total := l.tally()
	if !total.Final {
		l.t.Fatal("the load generator ended without its totals")
	}
	return total
}
