package gate

import (
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/shares"
)

// waits begins the verb wait.
func (g *testGate) waits(name string, timeout time.Duration, rollback bool) chan *control.Reply {
	done := make(chan *control.Reply, 1)
	go func() {
		r, err := control.Do(g.set.Control, control.Request{Verb: control.VerbWait, Wait: control.WaitArgs{Name: name, TimeoutMS: timeout.Milliseconds(), Rollback: rollback}}, nil)
		if err != nil {
			r = &control.Reply{Error: err.Error()}
		}
		done <- r
	}()
	return done
}

func (g *testGate) wants(done chan *control.Reply, ok bool, part string) {
	g.t.Helper()
	select {
	case r := <-done:
		if r.OK != ok || !strings.Contains(r.Error, part) || strings.Contains(r.Error, "\n") {
			g.t.Errorf("wait: %v, %q, want %v, %q", r.OK, r.Error, ok, part)
		}
	case <-time.After(patience):
		g.t.Errorf("wait does not end, want %q", part)
	}
}

const long = time.Hour

// wait ends well when the member has all the traffic and has settled, not before.
func TestWait(t *testing.T) {
	g := start(t, settings(t))
	g.do(control.Request{Verb: control.VerbHealth})
	byRelease, byID, byPart := g.waits("release-aaaaaaaaaaaaaaaa", long, false), g.waits("aaaaaaaaaaaaaaaa", long, false), g.waits("aaaaaaaaaaaa", long, true)
	a, _ := joinGate(t, g, "aaaaaaaaaaaaaaaa")
	a.serve(1)
	a.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	g.wants(g.waits(a.name, 50*time.Millisecond, false), false, "release-aaaaaaaaaaaaaaaa (aaaaaaaaaaaa) has the traffic but has not settled in time")
	for _, w := range []chan *control.Reply{byRelease, byID, byPart} {
		select {
		case r := <-w:
			t.Errorf("answered before it has settled: %+v", r)
		default:
		}
	}
	a.must(gatewire.Message{Op: gatewire.OpSettled})
	for _, w := range []chan *control.Reply{byRelease, byID, byPart, g.waits(a.name, long, false)} {
		g.wants(w, true, "")
	}
	g.wants(g.waits("nobody", time.Millisecond, true), false, `no container "nobody" has joined`)
	g.wants(g.waits("aaaaaaaaaaa", time.Millisecond, true), false, "has joined") // too short for an id
}

// wait says why it did not come to that, and where to look.
func TestWaitInVain(t *testing.T) {
	g, a := holding(t)
	left := g.waits("release-bbbbbbbbbbbbbbbb", long, false)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	b.must(gatewire.Message{Op: gatewire.OpLeaving, Died: true, Reason: "exited with status 3"})
	b.leave()
	g.wants(left, false, "release-bbbbbbbbbbbbbbbb (bbbbbbbbbbbb) has left before it had the traffic: exited with status 3; its log: docker logs bbbbbbbbbbbb")
	g.asksOnly(a.name)

	c, _ := joinGate(t, g, "cccccccccccccccc")
	d, _ := joinGate(t, g, "dddddddddddddddd")
	c.serve(1)
	d.hold(1)
	superseded := g.waits(c.name, long, true)
	c.begin(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full})
	g.wants(superseded, false, "release-cccccccccccccccc (cccccccccccc) was superseded by release-dddddddddddddddd (dddddddddddd)")
}

// How long a container is what it is grows while nothing happens.
func TestStatusSince(t *testing.T) {
	g, _ := holding(t)
	since := func() int64 { return g.do(control.Request{Verb: control.VerbStatus}).Status.Gate.Members[0].SinceMS }
	first, asked := since(), time.Now()
	const pause = 300 * time.Millisecond
	until(t, "some time to pass", func() bool { return time.Since(asked) > pause })
	if grown := since() - first; grown < pause.Milliseconds()-1 {
		t.Errorf("it has grown by %d ms in %v", grown, pause)
	}
}

// The first one has the traffic as it joins, before it has a server: one that ends before
// it has settled has failed, however often it is started again.
func TestWaitForTheFirst(t *testing.T) {
	g := start(t, settings(t))
	g.do(control.Request{Verb: control.VerbHealth})
	ended := g.waits("release-aaaaaaaaaaaaaaaa", long, true)
	fails := func() {
		a, _ := joinGate(t, g, "aaaaaaaaaaaaaaaa")
		a.must(gatewire.Message{Op: gatewire.OpLeaving, Died: true, Reason: "exited with status 127"})
		a.leave()
	}
	fails()
	const why = "release-aaaaaaaaaaaaaaaa (aaaaaaaaaaaa) has left before it had settled: exited with status 127; its log: docker logs aaaaaaaaaaaa"
	g.wants(ended, false, why)
	until(t, "it is away", func() bool { return g.state("aaaaaaaaaaaaaaaa") == "away" })
	g.wants(g.waits("aaaaaaaaaaaaaaaa", long, false), false, why)
	fails()

	// One that has settled is waited for: it is restarted.
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.hold(1)
	b.must(gatewire.Message{Op: gatewire.OpLeaving, Reason: "told to stop"})
	again := g.waits(b.name, long, false)
	b.leave()
	until(t, "it is away", func() bool { return g.state(b.name) == "away" })
	g.do(control.Request{Verb: control.VerbHealth})
	select {
	case r := <-again:
		t.Errorf("answered while the holder is restarted: %+v", r)
	default:
	}
	b, _ = joinGate(t, g, b.name)
	b.hold(2)
	g.wants(again, true, "")
}

// With --or-rollback the traffic is back where it was before the answer comes.
func TestWaitOrRollback(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full}) // and never settles
	g.asksOnly(b.name)
	a.takesBack()
	g.wants(g.waits(b.name, 50*time.Millisecond, true), false, "has not settled in time; its log: docker logs bbbbbbbbbbbb; the traffic went back to release-aaaaaaaaaaaaaaaa (aaaaaaaaaaaa)")
	g.asksOnly(a.name)
	if lost := b.next(gatewire.Lost); !lost.RolledBack {
		t.Errorf("told %+v", lost)
	}
	g.wants(g.waits(b.name, long, true), false, "has failed")
}

// What a gate answers to the verbs.
func TestVerbs(t *testing.T) {
	g, a := holding(t)
	for _, v := range []string{control.VerbSwap, control.VerbRestart} {
		if r := g.do(control.Request{Verb: v}); r.OK || !strings.Contains(r.Error, "this is a gate, which has no server: "+v+" in a container that has joined it") {
			t.Errorf("%s: %+v", v, r)
		}
	}
	if r := g.do(control.Request{Verb: control.VerbMessage, Data: "1"}); r.OK {
		t.Errorf("message: %+v", r)
	}
	if r := g.do(control.Request{Verb: control.VerbVersion}); r.Version != "test" {
		t.Errorf("version: %+v", r)
	}
	if r := g.do(control.Request{Verb: control.VerbRollback}); r.OK || !strings.Contains(r.Error, "nothing to go back to") {
		t.Errorf("rollback: %+v", r)
	}
	if r := g.do(control.Request{Verb: control.VerbPromote}); r.OK || !strings.Contains(r.Error, "nothing to promote") {
		t.Errorf("promote: %+v", r)
	}
	if r := g.do(control.Request{Verb: control.VerbHealth}); !r.OK {
		t.Errorf("health: %+v", r)
	}
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.hold(1)
	a.takesBack()
	r := g.do(control.Request{Verb: control.VerbRollback})
	if !r.OK || r.Container != a.name || r.Release != "release-"+a.name {
		t.Errorf("rollback: %+v", r)
	}
	g.asksOnly(a.name)
	// Whatever becomes of its connection, that is why it has failed.
	b.leave()
	until(t, "it is away", func() bool { return g.state(b.name) == "away" })
	const why = "release-bbbbbbbbbbbbbbbb (bbbbbbbbbbbb) has failed: rolled back by request; its log: docker logs bbbbbbbbbbbb"
	g.wants(g.waits(b.name, time.Minute, false), false, why)
	b, _ = joinGate(t, g, b.name)
	g.wants(g.waits(b.name, time.Minute, false), false, why)
	if r := g.do(control.Request{Verb: control.VerbStop}); !r.OK {
		t.Errorf("stop: %+v", r)
	}
	if status := <-g.status; status != 0 {
		t.Errorf("status %d", status)
	}
	g.status <- 0
}

// status tells who has what.
func TestStatus(t *testing.T) {
	g, a := holding(t)
	b, _ := joinGate(t, g, "bbbbbbbbbbbbbbbb")
	b.serve(1)
	b.must(gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full / 4})
	s := g.do(control.Request{Verb: control.VerbStatus}).Status
	if !s.Ready || s.Gate == nil || s.Gate.Holder != a.name || len(s.Gate.Members) != 2 || len(s.Endpoints) != 1 || !s.Endpoints[0].Steered || s.Gate.LastTakeover == nil {
		t.Fatalf("%s", s.JSON())
	}
	newer, older := s.Gate.Members[0], s.Gate.Members[1]
	if newer.Container != b.name || newer.State != "canary" || *newer.Share != shares.Full/4 || newer.Settled || !newer.Connected {
		t.Errorf("the newer one: %s", s.JSON())
	}
	if older.Container != a.name || older.State != "holder" || *older.Share != 3*shares.Full/4 || !older.Settled || older.Open == nil || older.Queued == nil {
		t.Errorf("the older one: %s", s.JSON())
	}
	for range 3 {
		a.leave()
	}
	until(t, "it is away", func() bool { return g.state(a.name) == "away" })
}

// check names what would go wrong.
func TestCheck(t *testing.T) {
	var got []string
	add := func(what, why, set string) { got = append(got, what+": "+why+"; "+set) }
	specs, err := listen.Parse(":80 :8080?backlog=9000")
	must(t, err)
	root := t.TempDir()
	write(t, root+"/core/somaxconn", "128\n")
	write(t, root+"/ipv4/tcp_migrate_req", "1\n")
	checkSystem(root, specs, add)
	if len(got) != 2 || !strings.Contains(got[0], "of 9000") || !strings.HasPrefix(got[1], "net.ipv4.tcp_migrate_req: ") {
		t.Errorf("%q", got)
	}
	got = nil
	write(t, root+"/core/somaxconn", "9000\n")
	write(t, root+"/ipv4/tcp_migrate_req", "0\n")
	if checkSystem(root, specs, add); got != nil {
		t.Errorf("%q", got)
	}
}
