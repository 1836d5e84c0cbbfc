package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// gate is a gate and its members. Its network is that of a container without swapinit, as
// the host's would be, so that it can be started again there.
type gate struct {
	*lap
	abrupt  bool // servers die at once when they are told to stop
	keep    bool // predecessors are kept
	adopted bool // servers bind for themselves
	lasting bool // this gate is never started again, so that what it holds can be compared

	host, box *box
	meters    map[*box]*meter
	socket    string
	members   []*member // that live, oldest first; the first one lives for the whole lap
	holder    *member   // who has to serve
	last      int       // number of the last member
	half      []net.Conn
}

// member is a container that has joined.
type member struct{ *box }

func newGate(l *lap, r *rand.Rand) *gate {
	g := &gate{lap: l, abrupt: r.IntN(2) == 0, keep: r.IntN(2) == 0, adopted: r.IntN(3) == 0, lasting: r.IntN(2) == 0,
		meters: map[*box]*meter{}, socket: filepath.Join(l.dir, "gate.sock")}
	if l.soak.breaks {
		g.abrupt, g.keep = true, false
	}
	l.about = fmt.Sprintf("abrupt %t, keep %t, adopted %t, lasting %t", g.abrupt, g.keep, g.adopted, g.lasting)
	return g
}

func (g *gate) begin() (err error) {
	if g.host, err = g.start("host", ns.Config{Path: "/bin/sleep", Args: []string{"infinity"}}); err != nil {
		return err
	}
	if err := g.open(); err != nil {
		return err
	}
	m, err := g.join(nil)
	if err != nil {
		return err
	}
	if err := g.has(m); err != nil {
		return err
	}
	g.lap.load = startLoad(g.host, g.abrupt && !g.soak.breaks)
	return g.lap.load.more(g.lap.ctx, 20)
}

// open starts the gate.
func (g *gate) open() (err error) {
	env := []string{"SWAPINIT_GATE=" + g.socket, "SWAPINIT_LISTEN=web=tcp://" + web}
	if g.box, err = g.start("gate", ns.Config{Env: env, Args: []string{"gate"}, Network: g.host.Container, Name: "gate"}); err != nil {
		return err
	}
	g.meters[g.box] = &meter{box: g.box, anon: moreAnonGate}
	return poll(g.lap.ctx, "the gate", func() (bool, error) {
		if g.box.ended() {
			return false, errors.New("the gate has ended")
		}
		r, err := g.box.asks("health", nil)
		return err == nil && r.OK, nil
	})
}

// join starts another member, with more settings and more flags of its server.
func (g *gate) join(env []string, flags ...string) (*member, error) {
	g.last++
	name := fmt.Sprintf("m%d", g.last)
	all := []string{"SWAPINIT_GATE=" + g.socket, "SWAPINIT_RELEASE=" + name, "SWAPINIT_SETTLE=0", "SWAPINIT_RETIRE_TIMEOUT=10m",
		"SWAPINIT_READY_TIMEOUT=5m", "SWAPINIT_MAX_GENERATIONS=100"}
	if g.keep {
		all = append(all, "SWAPINIT_KEEP=1h")
	} else {
		all = append(all, "SWAPINIT_KEEP=0")
	}
	args := []string{"--", g.soak.server, "-say", name, "-work", "5ms"}
	switch {
	case g.soak.breaks:
		all = append(all, "SWAPINIT_DRAIN=off")
		args = append(args, "-stop", "exit")
	case g.abrupt:
		all = append(all, "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_STOP_DRAIN=1h", "SWAPINIT_IDLE_AFTER=200ms")
		args = append(args, "-stop", "exit")
	default:
		all = append(all, "SWAPINIT_DRAIN_TIMEOUT=1s", "SWAPINIT_STOP_DRAIN=1s")
	}
	if g.adopted {
		args = append(args, "-from", "none", "-ready", "none", "-bind", "tcp4://"+web)
	}
	b, err := g.start(name, ns.Config{Env: append(all, env...), Args: append(args, flags...), Name: name})
	if err != nil {
		return nil, err
	}
	g.meters[b] = &meter{box: b, anon: moreAnon}
	m := &member{box: b}
	g.members = append(g.members, m)
	return m, nil
}

// leave forgets a member that has ended.
func (g *gate) leave(m *member) {
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	g.ended(m.box)
}

func (g *gate) ended(b *box) {
	b.Kill() // closes what is open here
	delete(g.meters, b)
	g.forget(b)
}

// has waits until a member has all the traffic and is settled.
func (g *gate) has(m *member) error {
	_, err := g.box.must("wait", swapArgs{Name: m.name, Timeout: int(patience.Milliseconds())})
	if err == nil {
		g.holder = m
		g.soak.totals.tookOver()
	}
	return err
}

// calm fails unless the holder is who it should be, and serves.
func (g *gate) calm() error {
	err := g.box.await("the holder "+g.holder.name, func(t *status) bool { return t.Ready && t.Gate.Holder == g.holder.name })
	if err != nil {
		return err
	}
	err = g.holder.await("few generations", func(t *status) bool { return t.Swap == nil && len(t.Generations) <= few })
	if err != nil {
		return err
	}
	t, err := g.holder.status()
	if err != nil {
		return err
	}
	n, err := t.active()
	if err != nil {
		return err
	}
	if err := g.host.servedBy(fmt.Sprintf("generation %d %s", n, g.holder.name)); err != nil {
		return err
	}
	return g.trim(most)
}

// most is how many members live on: an endpoint has 14 sockets.
const most = 4

// trim stops the oldest members but the first one and the holder, until there are n.
func (g *gate) trim(n int) error {
	for i := 1; len(g.members) > n && i < len(g.members); {
		if g.members[i] == g.holder {
			i++
			continue
		}
		if err := g.stop(g.members[i]); err != nil {
			return err
		}
	}
	return nil
}

// stop is what an engine does.
func (g *gate) stop(m *member) error {
	if err := m.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := m.exits(0); err != nil {
		return err
	}
	g.leave(m)
	return nil
}

// quiet has the first member serve, alone.
func (g *gate) quiet() error {
	g.hangUp()
	first := g.members[0]
	if err := g.swapIn(first); err != nil {
		return err
	}
	if g.keep { // there may be nothing to promote
		if _, err := g.box.asks("promote", nil); err != nil {
			return err
		}
		if _, err := first.asks("promote", nil); err != nil {
			return err
		}
	}
	for _, m := range g.members[1:] {
		if err := g.box.await(m.name+" to be retired", func(t *status) bool { return t.member(m.name) == "retired" || t.member(m.name) == "superseded" }); err != nil {
			return err
		}
	}
	if err := g.trim(1); err != nil {
		return err
	}
	if err := first.await("one generation", func(t *status) bool { return t.Swap == nil && len(t.Generations) == 1 }); err != nil {
		return err
	}
	return errors.Join(g.calm(), first.onlyServers(1), g.box.onlyServers(0), first.swaps(&g.soak.totals))
}

func (g *gate) spare() (bool, error) {
	for _, m := range g.meters {
		if more, err := m.spare(); more || err != nil {
			return more, err
		}
	}
	return false, nil
}

func (g *gate) measure() error {
	for _, m := range g.meters {
		if err := m.measure(&g.soak.totals); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) usages() (all []string) {
	for _, m := range g.meters {
		if m.warm {
			all = append(all, m.String())
		}
	}
	slices.Sort(all)
	return all
}

// end stops the member, then the gate.
func (g *gate) end() error {
	g.hangUp()
	g.lap.load.stop()
	if err := g.stop(g.members[0]); err != nil {
		return err
	}
	if err := g.box.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return errors.Join(g.lap.load.lost(), g.box.exits(0), g.host.kill())
}

func (g *gate) hangUp() {
	for _, c := range g.half {
		_ = c.Close()
	}
	g.half = nil
}

// swapIn is an operator's swap in a member: that has the traffic then.
func (g *gate) swapIn(m *member) error {
	if _, err := m.must("swap", nil); err != nil {
		return err
	}
	return g.has(m)
}

// other is a member that is not the holder; by chance, but the holder is known then.
func (g *gate) other(n int) *member {
	var all []*member
	for _, m := range g.members {
		if m != g.holder {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[n%len(all)]
}
