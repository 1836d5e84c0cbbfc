package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// refusedEarly fails unless a swap fails with these words before a successor was
// started, and everything is as before.
func (c *container) refusedEarly(words ...string) {
	c.t.Helper()
	c.failedSwap(nil, words...)
	for n := 2; n < 5; n++ {
		c.wantNever(fmt.Sprintf("gen %d: started", n))
	}
	c.awaitStates("1:active")
	c.wantNever("gen 1: got")
}

// What is not adopted works as without swapinit, and is told of at once if a successor
// cannot have it beside it. Then a swap fails early.
func TestAdoptPassed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		address string
		env     []string
		alone   bool
		words   []string // in the line that tells of it, if there is one
	}{
		{"UDP", "udp4://127.0.0.1:9000", nil, true, []string{"udp://127.0.0.1:9000", "UDP"}},
		{"UDP at the endpoint's port", "udp4://" + web, nil, true, []string{"udp://" + web, "UDP"}},
		{"UDP, shared", "udp4://127.0.0.1:9000?reuseport", nil, false, nil},
		{"UDP without a port", "udp4://127.0.0.1:0", nil, false, nil},
		{"another port", "tcp4://127.0.0.1:9001", nil, true, []string{"tcp://127.0.0.1:9001", "endpoint"}},
		{"another port, shared", "tcp4://127.0.0.1:9001?reuseport", nil, false, []string{"tcp://127.0.0.1:9001", "endpoint"}},
		{"port 0", "tcp4://127.0.0.1:0", nil, false, nil},
		{"an abstract name", "unix://@e2e-adopt", nil, true, []string{"@e2e-adopt"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startBinding(t, opts{Env: tc.env}, []string{bindWeb, tc.address})
			c.wantAdopted(1)
			c.wantOnly(1)
			if len(c.boundAt(1, tc.address)) != 1 {
				t.Fatalf("not bound: %s", c.Stdout())
			}
			if len(tc.words) > 0 {
				c.awaitLine(append(tc.words, "for itself")...)
			}
			if tc.alone {
				c.refusedEarly(tc.words[0], "SWAPINIT_STRATEGY=replace")
				r := c.Verb("swap", "--strategy", "replace")
				if r.Code != 0 {
					t.Fatalf("swap --strategy replace: %v", r)
				}
			} else {
				c.Swap()
			}
			last := c.status().LastSwap.Generation
			c.wantOnly(last)
			if len(c.boundAt(last, tc.address)) != 1 {
				t.Errorf("the successor has not bound %s: %s", tc.address, c.Stdout())
			}
		})
	}
}

// A Unix path is not adopted: the successor unlinks it, as such servers do, or
// fails; that is said.
func TestAdoptPassesPaths(t *testing.T) {
	t.Parallel()
	sock := tempDir(t) + "/own.sock"
	c := startBinding(t, opts{}, []string{bindWeb, "unix://" + sock})
	c.awaitLine("unix://"+sock, "for itself")
	if got := c.ask1("unix", sock); got != "generation 1\n" {
		t.Errorf("answer %q", got)
	}
}

// Addresses of an endpoint that cannot be adopted: the server goes on as if adoption
// were not there, and somebody says why.
func TestAdoptCannot(t *testing.T) {
	t.Run("epoll before bind", func(t *testing.T) {
		t.Parallel()
		c := startUnready(t, opts{}, []string{bindWeb + "?epoll&try"}, "-side", "127.0.0.1:9002")
		c.awaitOut("gen 1: ready")
		c.awaitOut("address already in use") // swapinit has the port
		if got, err := c.getAt("127.0.0.1:9002"); got != "generation 1\n" {
			t.Errorf("%q, %v", got, err)
		}
		c.wantAdopted(0)
	})
	t.Run("another network namespace", func(t *testing.T) {
		t.Parallel()
		address := bindWeb + "?netns"
		c := startUnready(t, opts{}, []string{address})
		c.awaitOut("gen 1: ready")
		if len(c.boundAt(1, address)) != 1 {
			t.Errorf("not bound: %s", c.Stdout())
		}
		c.wantAdopted(0)
		c.awaitLine("network namespace")
	})
	t.Run("another network namespace, by unshare", func(t *testing.T) {
		t.Parallel()
		o := opts{Env: webEnv(), Args: append([]string{"unshare", "-n", "--"}, binding(t, []string{bindWeb})...)}
		c := start(t, o)
		c.awaitOut("gen 1: bound")
		c.wantAdopted(0)
		c.awaitLine("network namespace")
	})
	t.Run("MPTCP", func(t *testing.T) {
		t.Parallel()
		c := startBinding(t, opts{}, []string{"mptcp4://" + web})
		c.wantAdopted(1)
		if got := c.boundAt(1, "mptcp4://"+web); len(got) != 1 || strings.Contains(got[0], "mptcp") {
			t.Errorf("bound to %q, want TCP", got)
		}
		c.wantOnly(1)
		c.Swap()
		c.wantOnly(2)
	})
	for name, flags := range map[string][]string{"setuid without an exec": {"-setuid", "1234"}, "not dumpable": {"-hidden"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needUser(t, 1234)
			// As in a container, where root has no CAP_SYS_PTRACE.
			o := opts{Program: binary(t, "server"), Env: webEnv(),
				Args: append([]string{"without-ptrace", binary(t, "swapinit")}, binding(t, []string{bindWeb + "?try", "tcp4://127.0.0.1:9003"}, flags...)...)}
			c := start(t, o)
			c.awaitOut("gen 1: ready")
			c.awaitOut("address already in use")
			if got, err := c.getAt("127.0.0.1:9003"); got != "generation 1\n" {
				t.Errorf("%q, %v", got, err)
			}
			c.wantAdopted(0)
			c.awaitLine("cannot be looked into")
			c.refusedEarly("cannot be looked into")
		})
	}
}

// A swapinit in a swapinit: the inner one's server takes what it is given, and its log
// says that it cannot adopt.
func TestAdoptNested(t *testing.T) {
	t.Parallel()
	inner := []string{"env", "SWAPINIT_LISTEN=127.0.0.1:8090", "SWAPINIT_ADOPT=on", "SWAPINIT_LOG=debug", binary(t, "swapinit"), "--"}
	c := start(t, opts{Env: webEnv(), Args: append(inner, server(t, "-bind", "tcp4://127.0.0.1:8090?try")...)})
	c.awaitLine("EBUSY")
	c.awaitOut("gen 1: ready")
	c.awaitOut("address already in use")
	if got, err := c.getAt("127.0.0.1:8090"); got != "generation 1\n" {
		t.Errorf("%q, %v", got, err)
	}
}
