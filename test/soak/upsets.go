package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"syscall"
	"time"
)

// newcomer: it ends, and the holder has not noticed.
func (g *gate) newcomer(r *rand.Rand) step {
	type newcomer struct {
		text  string
		env   []string
		flags []string
		exit  []int
	}
	bad := oneOf(r, newcomer{"exits", nil, []string{"-die", "boot", "-die-status", "7"}, []int{7}},
		// The gate has to be reached in that time, too: 125.
		newcomer{"is never ready", []string{"SWAPINIT_READY_TIMEOUT=1s"}, []string{"-gate", "/nonexistent/gate"}, []int{1, 125}},
		newcomer{"does not know its flags", nil, []string{"-unknown"}, []int{2}})
	return step{text: bad.text, do: func() error {
		m, err := g.join(bad.env, bad.flags...)
		if err != nil {
			return err
		}
		if err := m.exits(bad.exit...); err != nil {
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

// onlyThoseWhoServe waits until no generation is on its way out. When a gate is killed the
// kernel may lead new connections to any socket that is still there; they are lost if it is
// that of a generation that has ended, and whose socket the gate was yet to take away.
func (g *gate) onlyThoseWhoServe() error {
	for _, m := range g.members {
		err := m.await("the end of all drains", func(t *status) bool {
			return !slices.ContainsFunc(t.Generations, func(o generation) bool { return o.State != "active" && !o.Kept })
		})
		if err != nil {
			return err
		}
	}
	// The gate has answered all that members said before.
	return g.box.await("members without a server to be retired", func(t *status) bool {
		return !slices.ContainsFunc(t.Gate.Members, func(o gateMember) bool { return o.State == "draining" })
	})
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
			if err := g.onlyThoseWhoServe(); err != nil {
				return err
			}
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
