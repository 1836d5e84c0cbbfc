//go:build linux

package e2e

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// docker exec with each verb, in an image that holds nothing but swapinit and
// a static server.
func TestDockerVerbs(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"), "/fixture", "serve", "-ready", "notify")
	c.awaitReady()

	if r := c.try("/swapinit", "health"); r.Code != 0 {
		t.Errorf("health of a ready container: %v", r)
	}
	s := c.status()
	if s.V != 1 || s.Pid != 1 || !s.only(1) || s.LastSwap != nil {
		t.Errorf("status before any swap: %+v", s)
	}
	g := s.Generations[0]
	if want := []string{"/fixture", "serve", "-ready", "notify"}; !reflect.DeepEqual(g.Command, want) {
		t.Errorf("command %q, want %q", g.Command, want)
	}
	if g.Status != "fixture serves" || g.Dir != "/" || len(g.Pids) != 1 || g.Pids[0] != g.Pid {
		t.Errorf("status of the generation: %+v", g)
	}

	c.swap()
	s = c.status()
	if !s.only(2) || s.LastSwap == nil || s.LastSwap.Generation != 2 || !s.LastSwap.OK || s.LastSwap.Reason != "" {
		t.Errorf("status after a swap: %+v, last swap %+v", s, s.LastSwap)
	}
	if got := c.get("8080", "/"); got != "2" {
		t.Errorf("generation %s answers, want 2", got)
	}
	table := c.exec("/swapinit", "status")
	for _, want := range []string{"2", "active", "/fixture", "fixture serves"} {
		if !strings.Contains(table, want) {
			t.Errorf("the status table lacks %q:\n%s", want, table)
		}
	}

	c.swap("--", "/fixture", "serve", "-exit", "9")
	s = c.status()
	if want := []string{"/fixture", "serve", "-exit", "9"}; !s.only(3) || !reflect.DeepEqual(s.Generations[0].Command, want) {
		t.Errorf("after a swap to another command: %+v", s)
	}
	docker(t, "stop", "-t", "60", c.id)
	if code := c.wait(); code != 9 {
		t.Errorf("exit status %d, want the successor's own 9", code)
	}
}

// A swap that fails says why, in one line, and costs nothing.
func TestDockerSwapFails(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	_, pid := c.status().active()
	for _, f := range []struct {
		name string
		args []string
		want string // in the reason
	}{
		{"no such command", []string{"--", "/nonexistent"}, "/nonexistent"},
		{"not executable", []string{"--", "/etc/hostname"}, "/etc/hostname"},
		{"exits", []string{"--", "/fixture", "serve", "-fail", "4"}, "4"},
		{"never ready", []string{"--timeout", "300ms", "--", "/fixture", "serve", "-ready", "never"}, "300ms"},
	} {
		r := c.try(append([]string{"/swapinit", "swap"}, f.args...)...)
		if r.Code != 1 {
			t.Errorf("%s: %v, want status 1", f.name, r)
		}
		reason := strings.TrimSuffix(r.Stderr, "\n")
		lines := strings.Split(reason, "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, f.want) {
			t.Errorf("%s: the reason %q does not tell %q", f.name, last, f.want)
		}
		s := c.status()
		if active, now := s.active(); active != 1 || now != pid || len(s.Generations) != 1 || !s.Ready {
			t.Errorf("%s: the predecessor did not stay as it was: %+v", f.name, s)
		}
		if s.LastSwap == nil || s.LastSwap.OK || s.LastSwap.Reason == "" {
			t.Errorf("%s: last swap %+v, want a failure with its reason", f.name, s.LastSwap)
		}
		if got := c.get("8080", "/"); got != "1" {
			t.Errorf("%s: generation %s answers, want 1", f.name, got)
		}
	}
	if r := c.try("/swapinit", "swap", "--bogus"); r.Code != 2 {
		t.Errorf("swap --bogus: %v, want status 2", r)
	}
	c.swap() // and it still can
}

// Only root and swapinit's own uid are let in.
func TestDockerVerbsOfAnotherUser(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	for _, verb := range []string{"swap", "status", "health"} {
		r := dockerTry(t, "exec", "--user", "1000", c.id, "/swapinit", verb)
		if r.Code != 125 || r.Stderr == "" {
			t.Errorf("%s as another user: %v, want status 125 and a reason", verb, r)
		}
	}
	if s := c.status(); !s.only(1) || s.LastSwap != nil {
		t.Errorf("another user had an effect: %+v", s)
	}

	// root may always, also when swapinit has a uid of its own.
	d := dockerRun(t, "--user", "1000", dockerImage(t, "scratch"))
	d.awaitReady()
	if r := dockerTry(t, "exec", "--user", "0", d.id, "/swapinit", "swap"); r.Code != 0 {
		t.Errorf("swap as root of a container of uid 1000: %v", r)
	}
}

// No connection fails while the fixture, which finishes whatever it accepted,
// is swapped ten times under load, three of them in vain.
func TestDockerSwapUnderLoad(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"))
	c.awaitReady()
	load := dockerLoad(t, c, "-port", "8080", "-rate", "200", "-slow", "/slow?ms=900")
	load.atLeast(50)
	for i := range 10 {
		if i%3 == 1 {
			if r := c.try("/swapinit", "swap", "--", "/fixture", "serve", "-fail", "1"); r.Code != 1 {
				t.Errorf("swap to a command that fails: %v", r)
			}
			continue
		}
		c.swap()
		load.more(50)
	}
	total := load.stop()
	total.wantNoFailure(t)
	if len(total.Answers) < 8 {
		t.Errorf("answers came from %d generations, want 8: %v", len(total.Answers), total.Answers)
	}
}

// HEALTHCHECK CMD ["/swapinit", "health"], where no shell is.
func TestDockerHealthcheck(t *testing.T) {
	t.Parallel()
	c := dockerRun(t, dockerImage(t, "scratch"), "/fixture", "serve", "-ready", "USR1")
	type check struct{ ExitCode int }
	checks := func() (all []check) {
		if err := json.Unmarshal([]byte(c.inspect("{{json .State.Health.Log}}")), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	dockerEventually(t, "a health check before it is ready", func() bool { return len(checks()) > 0 })
	for _, one := range checks() {
		if one.ExitCode != 1 {
			t.Errorf("health of a container that is not ready: status %d, want 1", one.ExitCode)
		}
	}
	if got := c.inspect("{{.State.Health.Status}}"); got != "starting" {
		t.Errorf("health %q before it is ready, want starting", got)
	}
	// The handler is there once the server says that it serves.
	c.awaitLog("fixture: serving")
	docker(t, "kill", "-s", "USR1", c.id)
	dockerEventually(t, "healthy", func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" })
	// A swap, even one that fails, is no illness.
	if r := c.try("/swapinit", "swap", "--timeout", "2500ms", "--", "/fixture", "serve", "-ready", "never"); r.Code != 1 {
		t.Errorf("swap to a server that is never ready: %v", r)
	}
	for _, one := range checks()[len(checks())-1:] {
		if one.ExitCode != 0 {
			t.Errorf("health after a failed swap: status %d, want 0", one.ExitCode)
		}
	}
}
