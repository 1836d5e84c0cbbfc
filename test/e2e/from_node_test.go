package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// needNode skips the test where Node is not installed, unless tiers of tests
// are required.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err == nil {
		return
	}
	if os.Getenv("SWAPINIT_TEST_REQUIRE") != "" {
		t.Fatal("node is not installed, and SWAPINIT_TEST_REQUIRE wants all that the tests need")
	}
	skip(t, "node", "it is not installed")
}

// nodeProgram is the command line of one of node/*.js.
func nodeProgram(t *testing.T, name string) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("node", name))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"node", path}
}

// startNode starts a container with so many of them, and waits for all.
func startNode(t *testing.T, workers int, env ...string) *container {
	t.Helper()
	needNode(t)
	o := opts{Env: webEnv(append([]string{"SWAPINIT_NODE_IPC=true", "SWAPINIT_WORKERS=" + itoa(workers)}, env...)...), Args: nodeProgram(t, "http.js")}
	c := start(t, o)
	c.awaitWorkers(1, workers)
	return c
}

// A Node server says that it is ready with process.send, and hears messages
// with process.on('message').
func TestNodeServer(t *testing.T) {
	t.Parallel()
	c := startNode(t, 1)
	c.wantAnswer("generation 1 worker 0")
	// Not kept ones: server.close() of Node cuts those that are idle.
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 50)
	c.Swap()
	c.awaitStates("2:active")
	c.wantOrder("gen 2 worker 0: ready", "gen 1 worker 0: got TERM", "gen 1 worker 0: done")
	moreRequests(t, l, 50)
	noLoss(t, l)
	for arg, want := range map[string]string{`{"reload": true}`: `{"reload":true}`, "hello": `"hello"`, "7": "7"} {
		if r := c.Verb("message", arg); r.Code != 0 || r.Stdout != "delivered to 1 worker\n" {
			t.Fatalf("message %q: %v", arg, r)
		}
		c.awaitOut("gen 2 worker 0: message " + want + "\n")
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}

// Two workers without cluster: each listens on the socket that it was given, and
// they are replaced one after the other.
func TestNodeWorkers(t *testing.T) {
	t.Parallel()
	c := startNode(t, 2, "SWAPINIT_BATCH=1")
	l := c.loadOn("tcp", web)
	await(t, "both to answer", func() bool { return len(l.Count().Bodies) == 2 })
	c.Swap()
	c.awaitStates("2:active")
	from := l.Count().Bodies
	await(t, "both new ones to answer", func() bool {
		now := l.Count().Bodies
		return now["generation 2 worker 0"] > from["generation 2 worker 0"] && now["generation 2 worker 1"] > from["generation 2 worker 1"]
	})
	noLoss(t, l)
	wantRoll(t, c.Stdout(), 2, 1)
	// A crash of one is nothing to the other.
	c.kill(c.workers(2)[0].Pid, syscall.SIGKILL)
	await(t, "it to be back", func() bool { all := c.workers(2); return all[0].Restarts == 1 && all[0].Ready })
	if r := c.Verb("message", "hello"); r.Stdout != "delivered to 2 workers\n" {
		t.Errorf("message: %v", r)
	}
}

// bigSum is the checksum of what http.js serves as /big.
func bigSum() string {
	sum := sha256.New()
	for n := range 100 {
		text := []byte(fmt.Sprintf("block %d\n", n))
		sum.Write(bytes.Repeat(text, 1<<20/len(text)+1)[:1<<20])
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// A file that is being downloaded is not disrupted: 100 MB that begin before a
// swap and end after it, and are what they should be.
func TestNodeDownloadSpansASwap(t *testing.T) {
	for _, steer := range []string{"require", "off"} {
		t.Run("steer "+steer, func(t *testing.T) {
			t.Parallel()
			c := startNode(t, 1, "SWAPINIT_STEER="+steer, "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_RETIRE_TIMEOUT=1h")
			conn, err := c.box.Dial(context.Background(), "tcp", web)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET /big HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			read := func(n int64) {
				t.Helper()
				if got, err := io.CopyN(sum, answer.Body, n); err != nil {
					t.Fatalf("after %d bytes: %v", got, err)
				}
			}
			read(1 << 20)
			c.Swap()
			c.wantAnswer("generation 2")
			// What is left is far more than sockets and the server hold.
			for range 3 {
				read(10 << 20)
				if got := c.status().states(); got != "1:draining 2:active" {
					t.Fatalf("states are %q", got)
				}
			}
			if strings.Contains(c.Stdout(), "gen 1 worker 0: done") {
				t.Error("it has ended in the middle of the download")
			}
			if steer == "require" {
				c.wantNever("gen 1 worker 0: got TERM")
			}
			read(69 << 20)
			if n, err := io.Copy(sum, answer.Body); n != 0 || err != nil {
				t.Errorf("%d more bytes, %v", n, err)
			}
			if got := fmt.Sprintf("%x", sum.Sum(nil)); got != bigSum() {
				t.Errorf("the checksum is %s", got)
			}
			conn.Close()
			c.awaitStates("2:active")
			c.awaitOut("gen 1 worker 0: done")
		})
	}
}

// Two Node servers that bind for themselves hand two ports over.
func TestNodeHandover(t *testing.T) {
	t.Parallel()
	needNode(t)
	o := handover("SWAPINIT_NODE_IPC=true", "SWAPINIT_READY=auto")
	o.Args = nodeProgram(t, "hand.js")
	c := start(t, o)
	await(t, "readiness", func() bool { return c.Verb("health").Code == 0 })
	for n := 1; n <= 3; n++ {
		c.awaitStates(itoa(n) + ":active")
		c.wantAt(handA, n)
		c.wantAt(handB, n)
		if n == 3 {
			break
		}
		c.Swap()
		for _, resource := range []string{":9001", ":9002"} {
			c.wantOrder(fmt.Sprintf("gen %d: takedown %s", n, resource), fmt.Sprintf("gen %d: go %s", n+1, resource), fmt.Sprintf("gen %d: bound %s", n+1, resource))
		}
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
}
