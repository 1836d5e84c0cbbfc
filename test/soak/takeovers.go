package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

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
