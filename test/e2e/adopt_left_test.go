package e2e

import (
	"os"
	"strings"
	"testing"
)

// A server that takes fd 3 works under SWAPINIT_ADOPT=auto as ever, and is no adopted
// one.
func TestAdoptLeavesFd3(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered("SWAPINIT_ADOPT=auto", manyGenerations), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	for n := 2; n <= 4; n++ {
		moreRequests(t, l, 30)
		c.Swap()
		c.wantOnly(n)
		c.awaitDrained(n - 1)
		c.wantAdopted(0)
	}
	noLoss(t, l)
	if got := c.Stderr(); strings.Contains(got, "adopt") || strings.Contains(got, "itself") {
		t.Errorf("it is spoken of: %s", got)
	}
}

// One that takes its socket may become one that binds, and the other way round.
func TestAdoptBetweenFd3AndBind(t *testing.T) {
	t.Parallel()
	c := startWeb(t, steered(manyGenerations), "-stop", "exit", "-work", "5ms")
	l := c.loadOn("tcp", web)
	moreRequests(t, l, 30)
	c.Swap(append([]string{"--"}, binding(t, []string{bindWeb}, "-stop", "exit")...)...)
	c.wantOnly(2)
	c.awaitDrained(1)
	c.awaitStatus("generation 1 to be gone", func(s status) bool { return s.states() == "2:active" })
	c.wantAdopted(1)
	moreRequests(t, l, 30)
	c.Swap(append([]string{"--"}, server(t, "-stop", "exit")...)...)
	c.wantOnly(3)
	c.awaitStatus("generation 2 to be gone", func(s status) bool { return s.states() == "3:active" })
	c.wantAdopted(0)
	noLoss(t, l)
}

// The filter is there only where there is something to adopt: a plain init stays
// transparent.
func TestAdoptFilter(t *testing.T) {
	// What the tests run under may be filtered itself.
	own := filtered(os.Getpid())
	var filters, unprivileged string
	for _, f := range []struct {
		name string
		to   *string
	}{{"Seccomp_filters", &filters}, {"NoNewPrivs", &unprivileged}} {
		*f.to = procField(os.Getpid(), f.name)
	}
	for _, tc := range []struct {
		name string
		env  []string
		on   bool
	}{
		{"without endpoints", nil, false},
		{"off", webEnv("SWAPINIT_ADOPT=off"), false},
		{"a Unix endpoint alone", []string{"SWAPINIT_LISTEN=unix:///run/a.sock"}, false},
		{"a UDP endpoint alone", []string{"SWAPINIT_LISTEN=udp://127.0.0.1:9000"}, false},
		{"auto", webEnv(), true},
		{"on", []string{"SWAPINIT_ADOPT=on"}, true},
		{"ports", []string{"SWAPINIT_ADOPT=8080,8081"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: tc.env, Args: binding(t, []string{"tcp4://127.0.0.1:7070"})})
			c.awaitOut("gen 1: ready")
			p := procNamed(c, "server")
			if p == nil {
				t.Fatal("no server")
			}
			// As root with CAP_SYS_ADMIN it needs no no_new_privs.
			if got := filtered(p.Host); (got == own) == tc.on {
				t.Errorf("the server has Seccomp and NoNewPrivs %q, swapinit %q", got, own)
			}
			if got := procField(p.Host, "NoNewPrivs"); got != unprivileged {
				t.Errorf("NoNewPrivs is %s, was %s", got, unprivileged)
			}
			if got := procField(c.box.Pid(), "Seccomp_filters"); got != filters {
				t.Errorf("swapinit itself has %s filters, want %s", got, filters)
			}
		})
	}
}
