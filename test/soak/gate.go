package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"time"

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
	g.meters[g.box] = &meter{box: g.box}
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
	g.meters[b] = &meter{box: b}
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
	return errors.Join(g.calm(), first.onlyServers(1), g.box.onlyServers(0))
}

func (g *gate) measure() error {
	for _, m := range g.meters {
		if m.box != g.host {
			if err := m.measure(&g.soak.totals); err != nil {
				return err
			}
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
	t, err := g.members[0].status()
	if err != nil {
		return err
	}
	g.soak.totals.swapped(t.Totals.SwapsOK, t.Totals.SwapsFailed)
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

// acts are the actions of a gate; see single's.
func (g *gate) acts() []act {
	if g.soak.breaks {
		return []act{{"takeover", 1, g.takeover}}
	}
	all := []act{
		{"takeover", 12, g.takeover},
		{"takeover by canary", 4, g.canary},
		{"swap in the holder", 5, g.swapHolder},
		{"swap in another member", 5, g.swapOther},
		{"newcomer that fails", 8, g.newcomer},
		{"newcomer killed", 3, g.killNewcomer},
		{"holder stopped, then another one", 3, g.recreate},
		{"holder killed, then another one", 2, g.killHolder},
		{"retired member stopped", 3, g.stopOther},
		{"gate stopped for a moment", 2, g.freezeGate},
		{"holder's init stopped for a moment", 2, g.freezeHolder},
		{"holder's server stopped for a moment", 2, g.freezeServer},
		{"garbage on the gate's socket", 3, g.garbage},
		{"half a line to the gate", 2, g.halfLine},
		{"orphans in the holder", 2, g.orphans},
		{"full log of gate and holder", 2, g.fullLog},
	}
	if g.keep {
		all = append(all, act{"rollback", 4, g.rollback}, act{"promote", 3, g.promote}, act{"kept member killed", 3, g.killOther})
	} else {
		all = append(all, act{"retired member killed", 3, g.killOther})
	}
	if !g.lasting {
		all = append(all, act{"gate started again", 4, g.again})
	}
	return all
}

// takeover: the newcomer holds.
func (g *gate) takeover(*rand.Rand) step {
	return step{do: func() error { return g.newHolder(nil) }}
}

func (g *gate) newHolder(env []string) error {
	m, err := g.join(env)
	if err != nil {
		return err
	}
	return g.has(m)
}

// canary is a takeover in stages.
func (g *gate) canary(r *rand.Rand) step {
	stages := oneOf(r, "10%/100ms", "1%/50ms,50%/100ms")
	return step{text: stages, do: func() error { return g.newHolder([]string{"SWAPINIT_CANARY=" + stages}) }}
}

func (g *gate) swapHolder(*rand.Rand) step {
	return step{do: func() error { return g.swapIn(g.holder) }}
}

// swapOther: whoever it is has the traffic again.
func (g *gate) swapOther(r *rand.Rand) step {
	n := r.IntN(most)
	return step{do: func() error {
		m := g.other(n)
		if m == nil {
			return g.newHolder(nil)
		}
		return g.swapIn(m)
	}}
}

// newcomer: it ends, and the holder has not noticed.
func (g *gate) newcomer(r *rand.Rand) step {
	bad := oneOf(r, struct {
		text  string
		env   []string
		flags []string
		exit  int
	}{"exits", nil, []string{"-die", "boot", "-die-status", "7"}, 7},
		struct {
			text  string
			env   []string
			flags []string
			exit  int
		}{"is never ready", []string{"SWAPINIT_READY_TIMEOUT=300ms"}, []string{"-gate", "/nonexistent/gate"}, 1},
		struct {
			text  string
			env   []string
			flags []string
			exit  int
		}{"does not know its flags", nil, []string{"-unknown"}, 2})
	return step{text: bad.text, do: func() error {
		m, err := g.join(bad.env, bad.flags...)
		if err != nil {
			return err
		}
		if err := m.exits(bad.exit); err != nil {
			return err
		}
		g.leave(m)
		return nil
	}}
}

// killNewcomer: it has no traffic yet.
func (g *gate) killNewcomer(r *rand.Rand) step {
	wait := upTo(r, 300*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		m, err := g.join(nil, "-gate", "/nonexistent/gate")
		if err != nil {
			return err
		}
		pause(g.lap.ctx, wait)
		return g.killed(m)
	}}
}

func (g *gate) killed(m *member) error {
	err := m.kill()
	g.leave(m)
	return err
}

// recreate: connections wait meanwhile, and the next member gets them.
func (g *gate) recreate(*rand.Rand) step {
	return step{do: func() error {
		if g.holder == g.members[0] { // that one lives on
			return g.newHolder(nil)
		}
		old := g.holder
		if err := old.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if err := g.newHolder(nil); err != nil {
			return err
		}
		if err := old.exits(0); err != nil {
			return err
		}
		g.leave(old)
		return nil
	}}
}

// killHolder: what it had is lost. Whoever serves meanwhile, the next member holds.
func (g *gate) killHolder(*rand.Rand) step {
	return step{lossy: true, do: func() error {
		if g.holder != g.members[0] {
			if err := g.killed(g.holder); err != nil {
				return err
			}
		}
		return g.newHolder(nil)
	}}
}

// stopOther: nobody notices.
func (g *gate) stopOther(r *rand.Rand) step {
	n := r.IntN(most)
	return step{do: func() error {
		m := g.other(n)
		if m == nil || m == g.members[0] {
			return nil
		}
		return g.stop(m)
	}}
}

// killOther: a member without traffic. One that is kept loses what it still has.
func (g *gate) killOther(r *rand.Rand) step {
	n := r.IntN(most)
	return step{lossy: g.keep, do: func() error {
		m := g.other(n)
		if m == nil || m == g.members[0] {
			return nil
		}
		if !g.keep {
			if err := g.box.await(m.name+" to be retired", func(t *status) bool { return t.member(m.name) == "retired" || t.member(m.name) == "superseded" }); err != nil {
				return err
			}
		}
		return g.killed(m)
	}}
}

// rollback: the newcomer's predecessor holds again, and the newcomer ends.
func (g *gate) rollback(r *rand.Rand) step {
	wait := upTo(r, 200*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		before := g.holder
		if err := g.newHolder(nil); err != nil {
			return err
		}
		newcomer := g.holder
		pause(g.lap.ctx, wait)
		a, err := g.box.must("rollback", nil)
		if err == nil && a.Container != before.name {
			err = fmt.Errorf("rollback to %s: %+v", before.name, a)
		}
		if err != nil {
			return err
		}
		g.holder = before
		if err := newcomer.exits(1); err != nil {
			return err
		}
		g.leave(newcomer)
		return nil
	}}
}

// promote: the kept predecessor retires.
func (g *gate) promote(*rand.Rand) step {
	return step{do: func() error {
		before := g.holder
		if err := g.newHolder(nil); err != nil {
			return err
		}
		if _, err := g.box.must("promote", nil); err != nil {
			return err
		}
		return g.box.await(before.name+" to be retired", func(t *status) bool { return t.member(before.name) == "retired" })
	}}
}

// again: members hand their sockets back.
func (g *gate) again(r *rand.Rand) step {
	kill, wait := r.IntN(2) == 0, upTo(r, 300*time.Millisecond)
	how := "after its end"
	if kill {
		how = "after a kill"
	}
	return step{text: how, do: func() error {
		old := g.box
		if kill {
			if err := old.kill(); err != nil {
				return err
			}
		} else if err := errors.Join(old.Signal(syscall.SIGTERM), old.exits(0)); err != nil {
			return err
		}
		g.ended(old)
		pause(g.lap.ctx, wait)
		if err := g.open(); err != nil {
			return err
		}
		return g.box.await("all members to be back", func(t *status) bool {
			for _, m := range g.members {
				if !slices.ContainsFunc(t.Gate.Members, func(o gateMember) bool { return o.Container == m.name && o.Connected }) {
					return false
				}
			}
			return true
		})
	}}
}

func (g *gate) freezeGate(r *rand.Rand) step {
	wait := upTo(r, 500*time.Millisecond)
	return step{text: wait.String(), do: func() error { return g.box.frozen(wait, g.lap.load) }}
}

func (g *gate) freezeHolder(r *rand.Rand) step {
	wait := upTo(r, 500*time.Millisecond)
	return step{text: wait.String(), do: func() error { return g.holder.frozen(wait, g.lap.load) }}
}

func (g *gate) freezeServer(r *rand.Rand) step {
	wait := upTo(r, 500*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		t, err := g.holder.status()
		if err != nil {
			return err
		}
		n, err := t.active()
		if err != nil {
			return err
		}
		pid := t.of(n).Pids[0]
		if err := g.holder.signal(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		pause(g.lap.ctx, wait)
		return g.holder.signal(pid, syscall.SIGCONT)
	}}
}

// garbage harms nobody.
func (g *gate) garbage(r *rand.Rand) step {
	var all []string
	for range 1 + r.IntN(10) {
		all = append(all, oneOf(r, noise(r), `{"v":1,"kind":"call","id":1,"op":"ask","generation":1,"share":10000}`+"\n",
			`{"v":1,"kind":"hello","min":7,"max":9,"container":"x","life":"1"}`+"\n", `{"v":1,"kind":"hello","fds":200}`+"\n"))
	}
	return step{text: fmt.Sprint(len(all), " times"), do: func() error {
		for _, text := range all {
			c, err := net.Dial("unix", g.socket)
			if err != nil {
				return err
			}
			rubbish(c, text)
		}
		return nil
	}}
}

// halfLine: one that never goes on.
func (g *gate) halfLine(*rand.Rand) step {
	return step{do: func() error {
		c, err := net.Dial("unix", g.socket)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c, `{"v":1,"kind":"hello"`)
		g.half = append(g.half, c)
		return err
	}}
}

func (g *gate) orphans(r *rand.Rand) step {
	n := 50 + r.IntN(100)
	return step{text: fmt.Sprint(n), do: func() error { return g.holder.shell(orphans(n, "0.01")) }}
}

// fullLog: nobody reads, which stops nothing.
func (g *gate) fullLog(r *rand.Rand) step {
	n := 3 + r.IntN(4)
	return step{text: fmt.Sprint(n, " takeovers"), do: func() error {
		defer g.box.log.hold()()
		defer g.holder.log.hold()()
		for range n {
			if err := errors.Join(g.swapIn(g.holder), g.calm()); err != nil {
				return err
			}
		}
		return nil
	}}
}
