package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A server with SO_REUSEPORT sockets of its own on an endpoint's port is in the
// group as well, and nobody knows at which place: its successor shares the
// socket that has the traffic, and the one after that is steered again.
func TestSteerForeignSockets(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_ADOPT=off"), "-reuseport", web) // else they are none of its own
	if n := c.sockets(8080, "0A"); n != 3 {
		t.Fatalf("%d sockets listen, want 3", n)
	}
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 50)
	c.Swap("--", binary(t, "server"))
	c.wantShared(0, "SO_REUSEPORT")
	c.awaitErr("SO_REUSEPORT")
	if got := c.status().shares(); !strings.Contains(got, "2:-") {
		t.Errorf("shares %q where nothing is steered", got)
	}
	c.awaitStates("2:active")
	c.wantOnly(2)
	// Its sockets are gone with it.
	c.Swap()
	if e := c.endpoint(0); !*e.Steered {
		t.Errorf("not steered: %s", e.Reason)
	}
	c.awaitStates("3:active")
	c.awaitShares("3:100")
	if n := c.sockets(8080, "0A"); n != 1 {
		t.Errorf("%d sockets listen, want 1", n)
	}
	noLoss(t, l)
}

// SWAPINIT_STEER=off: one socket for all generations, as ever.
func TestSteerOff(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(tempDir(t), "a.sock")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_STEER=off", "SWAPINIT_LISTEN=web=tcp://" + web + " unix://" + sock}})
	c.wantShared(0, "SWAPINIT_STEER")
	c.wantShared(1, "SWAPINIT_STEER")
	before := c.state().Fds[3]
	l := c.load()
	moreRequests(t, l, 50)
	c.Swap()
	c.awaitStates("2:active")
	c.wantServing(2)
	if after := c.state().Fds[3]; after != before || before == "" {
		t.Errorf("generation 2 has %q, generation 1 had %q: not the same socket", after, before)
	}
	if got := c.status().shares(); got != "2:-" {
		t.Errorf("shares %q where nothing is steered", got)
	}
	if n := c.sockets(8080, "0A"); n != 1 {
		t.Errorf("%d sockets listen, want 1", n)
	}
	noLoss(t, l)
	for _, verb := range []string{"rollback", "promote"} {
		if r := c.Verb(verb); r.Code != 1 {
			t.Errorf("%s: %v, want status 1", verb, r)
		}
	}
	if got := c.Stderr(); strings.Contains(got, "steer") {
		t.Errorf("it was asked for, and complained of: %s", got)
	}
}

// Steered, each generation has a socket of its own.
func TestSteerSocketOfItsOwn(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered())
	before := c.state().Fds[3]
	c.Swap()
	if after := c.state().Fds[3]; after == before || after == "" {
		t.Errorf("generation 2 has %q, generation 1 had %q", after, before)
	}
	for fd, target := range c.state().Fds {
		if target == before {
			t.Errorf("generation 2 has generation 1's socket as fd %d", fd)
		}
	}
}

// What makes no sense without steering is refused at start.
func TestSteerSettingsThatNeedIt(t *testing.T) {
	for _, env := range []string{"SWAPINIT_CANARY=5%/1s", "SWAPINIT_KEEP=1s", "SWAPINIT_CANARY_CHECK=true"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv("SWAPINIT_STEER=off", env), Args: []string{"echo", "started"}})
			c.wantStatus(125)
			name, _, _ := strings.Cut(env, "=")
			oneLine(t, c.Stderr(), name, "SWAPINIT_STEER")
			c.wantNever("started")
		})
	}
}

// Each setting's values, and what is none.
func TestSteerSettings(t *testing.T) {
	for _, tc := range []struct {
		name string
		good []string
		bad  []string
	}{
		{"SWAPINIT_STEER", []string{"auto", "off", "require", ""}, []string{"on", "1"}},
		{"SWAPINIT_DRAIN", []string{"idle", "gone", "off", ""}, []string{"none", "true"}},
		{"SWAPINIT_DRAIN_TIMEOUT", []string{"0", "1h", ""}, []string{"30", "-1s"}},
		{"SWAPINIT_IDLE_AFTER", []string{"1s", "10ms", ""}, []string{"1", "-1s"}},
		{"SWAPINIT_CANARY", []string{"1%/10s,25%/30s", "0.01%/1ms 99.99%/1h", "off", ""}, []string{"1%", "1/10s", "0%/1s", "100%/1s", "0.001%/1s", "5%/0", "-5%/1s", "x"}},
		{"SWAPINIT_CANARY_CHECK", []string{"true", "sh -c 'exit 0'", "http://127.0.0.1:9/x", "http://127.0.0.1:8080/", ""}, []string{"'open", "https://127.0.0.1/", "http://example.com/", "http://127.0.0.1:99999/"}},
		{"SWAPINIT_KEEP", []string{"0", "1m30s", ""}, []string{"5", "-1s", "for ever"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, value := range tc.good {
				c := start(t, opts{Env: webEnv(tc.name + "=" + value), Args: []string{"sh", "-c", "exit 7"}})
				c.wantStatus(7)
				if c.Stderr() != "" {
					t.Errorf("%s=%s: said %q", tc.name, value, c.Stderr())
				}
			}
			for _, value := range tc.bad {
				c := start(t, opts{Plain: true, Env: []string{tc.name + "=" + value}, Args: []string{"echo", "started"}})
				c.wantStatus(125)
				oneLine(t, c.Stderr(), "swapinit: ", tc.name, value)
				c.wantNever("started")
			}
		})
	}
}

// refusing is a container whose kernel refuses something, as a container's
// seccomp profile may.
func refusing(t *testing.T, what string, env ...string) opts {
	return opts{Program: binary(t, "server"), Args: []string{"deny", what, binary(t, "swapinit")}, Env: env}
}

// Where steering does not work the socket is shared, and status and the log say
// why; where it is required nothing starts.
func TestSteerWhereItIsRefused(t *testing.T) {
	const why = "SO_ATTACH_REUSEPORT_CBPF"
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		c := startWeb(t, refusing(t, "steering", "SWAPINIT_LOG=debug"))
		l := c.load()
		moreRequests(t, l, 30)
		c.Swap()
		c.wantShared(0, why)
		c.awaitStates("2:active")
		c.wantServing(2)
		noLoss(t, l)
		if r := c.Verb("swap", "--canary", "5%/1h"); r.Code != 1 {
			t.Errorf("swap --canary: %v, want status 1", r)
		}
	})
	for what, word := range map[string]string{"steering": why, "netlink": "counted"} {
		t.Run(what+", but required", func(t *testing.T) {
			t.Parallel()
			o := refusing(t, what, webEnv("SWAPINIT_STEER=require")...)
			o.Args = append(o.Args, "echo", "started")
			c := start(t, o)
			c.wantStatus(125)
			oneLine(t, c.Stderr(), "SWAPINIT_STEER", word)
			c.wantNever("started")
		})
	}
}

// Without inet_diag connections are steered, too. A drain sees the queue only, says so,
// and gives what may be on its way some time.
func TestSteerUnseen(t *testing.T) {
	t.Parallel()
	o := refusing(t, "netlink", "SWAPINIT_DRAIN_TIMEOUT=1h")
	c := startWeb(t, o, "-work", "200ms")
	unseen := func() {
		t.Helper()
		if e := c.endpoint(0); !*e.Steered || !strings.Contains(e.Reason, "connections cannot be counted") {
			t.Errorf("endpoint %+v", e)
		}
	}
	l := c.load()
	moreRequests(t, l, 30)
	gate := tempDir(t) + "/gate"
	c.Swap("--", binary(t, "server"), "-accept-gate", gate) // it leaves its queue alone
	c.awaitErr("endpoint web: connections cannot be counted")
	c.awaitStates("2:active")
	c.awaitOut("gen 1: got TERM")
	unseen()
	swap := c.later("swap", "--canary", "50%/100ms", "--", binary(t, "server"))
	if r := receive(t, "the canary", swap); r.Code != 0 {
		t.Errorf("swap --canary: %v", r)
	}
	c.awaitStates("2:draining 3:active")
	touch(t, gate)
	c.awaitOut("gen 2: got TERM")
	c.awaitErr("generation 2 stopping: nothing waits to be accepted, its connections cannot be counted")
	c.awaitStates("3:active")
	noLoss(t, l)
	unseen()
}

// A container without any TCP endpoint has nothing to require it for.
func TestSteerRequiredWithoutEndpoints(t *testing.T) {
	t.Parallel()
	o := refusing(t, "steering", "SWAPINIT_STEER=require")
	o.Args = append(o.Args, "echo", "started")
	c := start(t, o)
	c.wantStatus(0)
	c.awaitOut("started")
}

// UDP endpoints are shared, and status says so.
func TestSteerUDPIsShared(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_LISTEN=web=tcp://"+web+" dns=udp://127.0.0.1:5353"))
	c.wantShared(1, "TCP")
	c.Swap()
	c.awaitStates("2:active")
	c.awaitShares("2:100")
}
