//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var (
	chaosTime = flag.Duration("gate.time", 45*time.Second, "how long TestDockerGateChaos goes on")
	chaosSeed = flag.Uint64("gate.seed", uint64(time.Now().UnixNano()), "what its choices come from")
)

// gateChaos does to a gate and its members what chance says.
type gateChaos struct {
	*gateBox
	t       *testing.T
	rng     *rand.Rand
	load    *dockerLoader
	members []*chaosMember // that exist, oldest first
	last    int            // number of the last release
	done    map[string]int // counts of what was done
	killed  map[string]bool
	story   []string
}

type chaosMember struct {
	*dockerContainer
	name string
}

// Under load releases come and go, fail, are killed, paused, restarted, swapped and rolled
// back, and so is the gate. No connection is refused, whatever a server that was not
// killed has begun it ends, and when there is quiet somebody serves.
func TestDockerGateChaos(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *chaosSeed)
	c := &gateChaos{gateBox: dockerGateHost(t), t: t, rng: rand.New(rand.NewPCG(*chaosSeed, 0)), done: map[string]int{}, killed: map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was done:\n%s", strings.Join(c.story, "\n"))
		}
	})
	c.release("")
	c.gate.await("the first release", func(s *dockerGateStatus) bool { return s.holder() != "" })
	c.load = c.gateBox.load("-rate", "100", "-slow", "/slow?ms=900", "-path", "/slow?ms=30", "-timeout", "5m")
	c.load.atLeast(30)
	for end := time.Now().Add(*chaosTime); time.Now().Before(end) && !t.Failed(); {
		c.act()
		<-time.After(time.Duration(c.rng.IntN(300)) * time.Millisecond)
	}

	// Quiet: whoever has no server may be all that there is.
	c.say("quiet")
	if s := c.status(); s.holder() == "" {
		c.release("")
	}
	c.gate.await("somebody to serve", func(s *dockerGateStatus) bool { return s.holder() != "" })
	c.load.more(100)
	total := c.load.stop()
	for failure, n := range total.Failures {
		name, _, lost := strings.Cut(strings.TrimPrefix(failure, "lost by "), ":")
		switch {
		case strings.HasPrefix(failure, "lost by ") && lost && c.killed[name]:
		case failure == "read: connection reset by peer" || failure == "read: unexpected EOF":
			// In a queue that nobody was to serve any more, or by who was killed before
			// it had read the request.
		default:
			t.Errorf("%d of %d requests: %s", n, total.Sent, failure)
		}
	}
	if total.OK+total.Failed != total.Sent {
		t.Errorf("%d of %d requests have no end", total.Sent-total.OK-total.Failed, total.Sent)
	}
	t.Logf("%d requests, %d answered by %d releases, %d failed: %v; done: %v", total.Sent, total.OK, len(total.Answers), total.Failed, total.Failures, c.done)
}

func (c *gateChaos) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	c.done[strings.Fields(line)[0]]++
	c.story = append(c.story, time.Now().Format("15:04:05.000 ")+line)
}

func (c *gateChaos) pick(choices ...string) string { return choices[c.rng.IntN(len(choices))] }

// try runs docker for half a minute at most, and does not mind if that fails: what is to
// be done may make no sense now.
func (c *gateChaos) try(args ...string) {
	cmd := exec.Command("docker", args...)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
}

func (c *gateChaos) status() dockerGateStatus {
	c.t.Helper()
	return c.gate.await("the gate's status", func(*dockerGateStatus) bool { return true })
}

// release starts a new one.
func (c *gateChaos) release(flags string) {
	c.last++
	name := fmt.Sprintf("r%d", c.last)
	c.say("release %s %s", name, flags)
	env := []string{"-e", "SERVER_FLAGS=-early " + flags, "-e", "SWAPINIT_KEEP=" + c.pick("0", "2s", "1m"), "-e", "SWAPINIT_READY_TIMEOUT=10s"}
	if c.rng.IntN(4) == 0 {
		env = append(env, "-e", "SWAPINIT_CANARY="+c.pick("10%/500ms", "1%/200ms,50%/500ms"))
	}
	m := &chaosMember{c.member(name, env...), name}
	c.members = append(c.members, m)
	if strings.Contains(flags, "-crash") {
		c.killed[name] = true
	}
	for len(c.members) > 5 { // the oldest one that has not the traffic goes
		holder := c.status().Gate.Holder
		i := 0
		if c.members[0].id == holder {
			i = 1
		}
		c.say("remove %s", c.members[i].name)
		docker(c.t, "stop", "-t", "120", c.members[i].id)
		docker(c.t, "rm", c.members[i].id)
		c.members = append(c.members[:i:i], c.members[i+1:]...)
	}
}

// act does one thing.
func (c *gateChaos) act() {
	m := c.members[c.rng.IntN(len(c.members))]
	switch n := c.rng.IntN(20); {
	case n < 4:
		c.release("")
	case n < 6:
		c.release(c.pick("-fail 3", "-crash 500ms", "-crash 3s", "-ready never -deaf"))
	case n < 9:
		c.say("swap %s", m.name)
		c.try("exec", m.id, "/gate/swapinit", "swap")
	case n < 10:
		verb := c.pick("rollback", "promote")
		c.say("%s", verb)
		c.try("exec", c.gate.id, "/swapinit", verb)
	case n < 12:
		c.say("kill %s", m.name)
		c.killed[m.name] = true
		c.try("kill", m.id)
	case n < 14:
		c.say("start %s", m.name)
		c.try("start", m.id)
	case n < 15:
		c.say("stop %s", m.name)
		docker(c.t, "stop", "-t", "120", m.id)
	case n < 16:
		c.say("restart %s", m.name)
		docker(c.t, "restart", "-t", "120", m.id)
	case n < 18:
		c.say("pause %s", m.name)
		c.paused(m.id)
	case n < 19:
		c.say("pause the gate")
		c.paused(c.gate.id)
	default:
		c.upsetGate()
	}
}

// paused has the container stand still while something else happens.
func (c *gateChaos) paused(id string) {
	c.try("pause", id)
	switch other := c.members[c.rng.IntN(len(c.members))]; {
	case other.id == id:
	case c.rng.IntN(2) == 0:
		c.say("kill %s meanwhile", other.name)
		c.killed[other.name] = true
		c.try("kill", other.id)
	default:
		c.say("start %s meanwhile", other.name)
		c.try("start", other.id)
	}
	<-time.After(time.Duration(c.rng.IntN(2000)) * time.Millisecond)
	c.try("unpause", id)
}

// upsetGate ends the gate and starts it, while the holder keeps the endpoints open.
func (c *gateChaos) upsetGate() {
	if s := c.status(); s.holder() == "" {
		return
	}
	how := c.pick("restart", "kill")
	c.say("gate: %s", how)
	if how == "kill" {
		c.try("kill", c.gate.id)
		c.try("start", c.gate.id)
	} else {
		c.try("restart", c.gate.id)
	}
	c.gate.await("the gate", func(s *dockerGateStatus) bool { return s.Ready })
}
