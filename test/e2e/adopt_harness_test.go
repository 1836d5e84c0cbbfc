package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binding is the command line of a server that knows nothing of swapinit: it binds
// these addresses itself (see -bind), and says nowhere that it is ready.
func binding(t *testing.T, addresses []string, flags ...string) []string {
	t.Helper()
	args := []string{"-from", "none", "-ready", "none"}
	for _, a := range addresses {
		args = append(args, "-bind", a)
	}
	return server(t, append(args, flags...)...)
}

// bindWeb is the address of the endpoint web, for binding.
const bindWeb = "tcp4://" + web

// startBinding starts a container with such a server and waits until it is ready, as
// swapinit sees it.
func startBinding(t *testing.T, o opts, addresses []string, flags ...string) *container {
	t.Helper()
	c := startUnready(t, o, addresses, flags...)
	c.awaitHealthy()
	return c
}

// startUnready does not wait.
func startUnready(t *testing.T, o opts, addresses []string, flags ...string) *container {
	t.Helper()
	o.Env = webEnv(append([]string{"SWAPINIT_STEER=require", "SWAPINIT_IDLE_AFTER=1h", "SWAPINIT_DRAIN_TIMEOUT=1h"}, o.Env...)...)
	o.Args = append(o.Args, binding(t, addresses, flags...)...)
	return start(t, o)
}

func (c *container) awaitHealthy() {
	c.t.Helper()
	var r result
	if !poll(func() bool { r = c.Verb("health"); return r.Code == 0 || c.ended() }) || r.Code != 0 {
		c.t.Fatalf("health: %v", r)
	}
}

// adopted are the addresses of the endpoints that the server has bound for itself.
func (c *container) adopted() (addresses []string) {
	c.t.Helper()
	for _, text := range c.status().Endpoints {
		var e struct {
			Address string
			Adopted *bool
		}
		if err := json.Unmarshal(text, &e); err != nil || e.Adopted == nil {
			c.t.Fatalf("endpoint %s: %v, want address and adopted", text, err)
		}
		if *e.Adopted {
			addresses = append(addresses, strings.TrimPrefix(e.Address, "tcp://"))
		}
	}
	return addresses
}

// wantAdopted fails unless exactly so many of the endpoints are adopted.
func (c *container) wantAdopted(n int) {
	c.t.Helper()
	if got := c.adopted(); len(got) != n {
		c.t.Errorf("adopted endpoints %q, want %d", got, n)
	}
}

// boundAt is what the server has said of the sockets that it has bound at an address.
func (c *container) boundAt(generation int, address string) (sockets []string) {
	prefix := fmt.Sprintf("gen %d: bound %s ", generation, address)
	for line := range strings.Lines(c.Stdout()) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			sockets = append(sockets, strings.TrimSpace(rest))
		}
	}
	return sockets
}

// refusedAt reports whether nobody listens at an address. A connection that was made
// in time has to end: who hangs fails the test.
func (c *container) refusedAt(address string) bool {
	c.t.Helper()
	conn, err := c.box.Dial(c.t.Context(), "tcp", address)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("a connection to %s hangs", address)
	} else if err == nil {
		c.t.Fatalf("a connection to %s was answered", address)
	}
	return false
}

// filtered is "Seccomp NoNewPrivs" of a process.
func filtered(pid int) string { return procField(pid, "Seccomp") + " " + procField(pid, "NoNewPrivs") }

// failedSwap runs swap, which must not work, and must say why in one line with these
// words, and in the log.
func (c *container) failedSwap(args []string, words ...string) {
	c.t.Helper()
	r := c.Verb(append([]string{"swap"}, args...)...)
	if r.Code != 1 {
		c.t.Fatalf("swap: %v, want status 1", r)
	}
	oneLine(c.t, r.Stderr, words...)
}

// awaitLine waits until the words stand in one line on standard error.
func (c *container) awaitLine(words ...string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("a line with %q", words), func() bool { return len(linesWith(c.Stderr(), words...)) > 0 })
}

func linesWith(text string, words ...string) (found []string) {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	return found
}

var socketLink = regexp.MustCompile(`socket:\[\d+\]`)

// inodeIn is the socket in what boundAt has returned.
func inodeIn(text string) string { return socketLink.FindString(text) }
