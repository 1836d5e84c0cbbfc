package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

const web = "127.0.0.1:8080"

// webEnv are the settings of most tests: one endpoint, no settle time, and no
// long wait for clients that never rest. What a predecessor is still at, when a test
// wants to see that, it may finish on any machine.
func webEnv(more ...string) []string {
	return append([]string{"SWAPINIT_LISTEN=web=tcp://" + web, "SWAPINIT_SETTLE=0", "SWAPINIT_DRAIN_TIMEOUT=1s", "SWAPINIT_RETIRE_TIMEOUT=10m"}, more...)
}

// manyGenerations is for tests that swap under load faster than predecessors
// drain: by default the oldest of more than three is killed.
const manyGenerations = "SWAPINIT_MAX_GENERATIONS=100"

// server is the command line of the test server.
func server(t *testing.T, flags ...string) []string {
	t.Helper()
	return append([]string{binary(t, "server")}, flags...)
}

// startWeb starts a container with the test server and waits until it serves.
func startWeb(t *testing.T, o opts, flags ...string) *container {
	t.Helper()
	o.Env = webEnv(o.Env...)
	o.Args = append(o.Args, server(t, flags...)...)
	c := start(t, o)
	c.awaitOut("gen 1: ready")
	return c
}

// client is an HTTP client inside the container's network. It uses each
// connection once.
func (c *container) client() *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return c.box.Dial(ctx, network, web)
			},
		},
	}
}

// get fetches a path from the server and fails the test if it cannot.
func (c *container) get(path string) string {
	c.t.Helper()
	text, err := c.tryGet(path)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c *container) tryGet(path string) (string, error) {
	answer, err := c.client().Get("http://server" + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return string(text), err
}

// do makes the active server misbehave. Acts that end the server have no
// answer.
func (c *container) do(act, arg string) {
	c.t.Helper()
	path := "/do?act=" + act + "&arg=" + url.QueryEscape(arg)
	if _, err := c.tryGet(path); err != nil && act != "exit" && act != "kill" {
		c.t.Fatal(err)
	}
}

// wantServing fails unless new connections are answered by generation n. On a
// shared socket a predecessor accepts until it has handled its stop signal.
func (c *container) wantServing(n int) {
	c.t.Helper()
	c.wantAnswer("generation " + strconv.Itoa(n) + "\n")
}

// wantAnswer is wantServing for any text.
func (c *container) wantAnswer(want string) {
	c.t.Helper()
	got := ""
	if !poll(func() bool { got = c.get("/"); return strings.Contains(got, want) }) {
		c.t.Fatalf("answer %q, want %q", got, want)
	}
}

// processState is what /state and "server state" print.
type processState struct {
	Pid, PPid, Pgrp, Sid int
	Dir                  string
	Args, Env            []string
	SigBlk, SigIgn       string
	Fds                  map[int]string
}

func (c *container) state() processState {
	c.t.Helper()
	return parseState(c.t, c.get("/state"))
}

func parseState(t *testing.T, text string) processState {
	t.Helper()
	var s processState
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return s
}

// env is the value of a variable, and whether it is set.
func (s processState) env(name string) (string, bool) {
	for _, kv := range s.Env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// status is status --json, as docs/control.md promises it.
type status struct {
	V           int  `json:"v"`
	Pid         int  `json:"pid"`
	Ready       bool `json:"ready"`
	Generations []struct {
		Generation int      `json:"generation"`
		State      string   `json:"state"`
		Pid        int      `json:"pid"`
		Pids       []int    `json:"pids"`
		UptimeMS   *int64   `json:"uptime_ms"`
		ReadyMS    *int64   `json:"ready_ms"`
		Command    []string `json:"command"`
		Dir        string   `json:"dir"`
		Status     string   `json:"status"`
		Share      *float64 `json:"share"`
		Open       *int     `json:"open"`
		Idle       *int     `json:"idle"`
		Queued     *int     `json:"queued"`
		SinceMS    *int64   `json:"since_ms"`
		LeftMS     *int64   `json:"left_ms"`
		Kept       bool     `json:"kept"`
		Busy       []busy   `json:"busy"`
		BusyMore   int      `json:"busy_more"`
	} `json:"generations"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Sides     []sideStatus      `json:"sides"`
	Swap      *struct {
		Generation int     `json:"generation"`
		Stage      string  `json:"stage"`
		SinceMS    *int64  `json:"since_ms"`
		LeftMS     *int64  `json:"left_ms"`
		Share      float64 `json:"share"`
	} `json:"swap"`
	LastSwap   *lastSwap `json:"last_swap"`
	CanaryBy   string    `json:"canary_by"`
	OneAddress string    `json:"one_address"`
	Joined     *struct {
		Gate   string `json:"gate"`
		Role   string `json:"role"`
		AwayMS *int64 `json:"away_ms"`
	} `json:"joined"`
}

func (c *container) status() status {
	c.t.Helper()
	s, err := c.tryStatus()
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *container) tryStatus() (status, error) {
	r, err := c.tryExec(c.env, binary(c.t, "swapinit"), "status", "--json")
	if err != nil {
		return status{}, err
	}
	if r.Code != 0 {
		return status{}, fmt.Errorf("status --json: %v", r)
	}
	var s status
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		return status{}, fmt.Errorf("%w in %q", err, r.Stdout)
	}
	return s, nil
}

// states is "1:draining 2:active". Whether a predecessor that has its stop
// signal is called draining or stopping is not what the tests are about.
func (s status) states() string {
	var all []string
	for _, g := range s.Generations {
		state := g.State
		if state == "stopping" {
			state = "draining"
		}
		all = append(all, fmt.Sprintf("%d:%s", g.Generation, state))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// pidOf is the pid of a generation, 0 when it is gone.
func (s status) pidOf(generation int) int {
	for _, g := range s.Generations {
		if g.Generation == generation {
			return g.Pid
		}
	}
	return 0
}

// awaitStates waits until status shows exactly these generations.
func (c *container) awaitStates(want string) {
	c.t.Helper()
	last := ""
	if !poll(func() bool { last = c.status().states(); return last == want }) {
		c.t.Fatalf("states are %q, waited for %q", last, want)
	}
}

// load sends requests to the endpoint, on new connections and on kept ones,
// until the test stops it.
func (c *container) load() *load.Load {
	return load.Start(load.Options{
		Dial:  func(ctx context.Context) (net.Conn, error) { return c.box.Dial(ctx, "tcp", web) },
		Fresh: 4, Kept: 4, Pace: 4 * time.Millisecond,
	})
}

// noLoss stops the load and fails unless every request was answered.
func noLoss(t *testing.T, l *load.Load) load.Count {
	t.Helper()
	count := l.Stop()
	if count.Failed > 0 || count.Requests == 0 {
		t.Errorf("%v", count)
	}
	return count
}

// moreRequests waits until the load had n more answers.
func moreRequests(t *testing.T, l *load.Load, n int) {
	t.Helper()
	from := l.Count().Requests
	await(t, "requests", func() bool { return l.Count().Requests >= from+n })
}

// touch creates an empty file: it opens a server's gate.
func touch(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
