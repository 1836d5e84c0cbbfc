package swap

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// told looks at what the machine says about itself and its deadlines.
func (c *checker) told(m account) error {
	at, armed := m.Deadline()
	over := m.Phase() == Over
	check := func(what string, since, by time.Duration) error {
		if since > c.now {
			return fmt.Errorf("%s since %v, and it is %v", what, since, c.now)
		}
		if !over && by < Unlimited && (!armed || at > by) {
			return fmt.Errorf("%s until %v, and no deadline is armed", what, by)
		}
		return nil
	}
	for _, v := range m.Views() {
		if err := check(fmt.Sprintf("generation %d is %v", v.Number, v.State), v.Since, v.By); err != nil {
			return err
		}
		if v.Kept && v.State != Draining || v.Watched != c.watched[v.Number] {
			return fmt.Errorf("a false %+v", v)
		}
	}
	v, runs := m.Swap()
	if runs != m.Swapping() {
		return fmt.Errorf("does a swap run? %+v", v)
	}
	if !runs {
		return nil
	}
	if !slices.ContainsFunc(SwapStages[:], func(s struct{ Stage, Means string }) bool { return s.Stage == v.Stage }) || v.Generation <= 0 || v.Generation == m.Active() {
		return fmt.Errorf("a swap that is %+v", v)
	}
	return check("a swap is "+v.Stage, v.Since, v.By)
}

// Where a swap stands, since when, and until when, from its beginning to the end of its
// predecessor.
func TestSwapIsTold(t *testing.T) {
	cfg := Config{Settle: time.Second, ReadyTimeout: time.Minute, RetireTimeout: 30 * time.Second, MaxGenerations: 3, Prepare: true, PrepareTimeout: 20 * time.Second,
		Drain: true, DrainTimeout: 10 * time.Second, Keep: time.Hour, Canary: []Canary{{Share: 100, For: 10 * time.Second}, {Share: 2500, For: 40 * time.Second}}}
	m := New(cfg, nil)
	m.Step(0, &ContainerEvent{Kind: Tick})
	now := time.Duration(0)
	step := func(after time.Duration, e Event) {
		now += after
		m.Step(now, e)
	}
	of := func(k GenerationKind, g int) Event { return &GenerationEvent{Kind: k, Generation: g} }
	tick := &ContainerEvent{Kind: Tick}
	swapIs := func(want SwapView) {
		t.Helper()
		if got, runs := m.Swap(); !runs || got != want {
			t.Errorf("%v: %+v, want %+v", runs, got, want)
		}
	}
	idle := func() {
		t.Helper()
		if _, runs := m.Swap(); runs {
			t.Error("a swap runs")
		}
	}
	predecessor := func(s State, kept, watched bool, by time.Duration) {
		t.Helper()
		v := m.Views()[0]
		if v.Number != 1 || v.State != s || v.Kept != kept || v.Watched != watched || v.Since != now || v.By != by {
			t.Errorf("%+v", v)
		}
	}
	idle()
	step(time.Second, &ContainerEvent{Kind: Swap})
	swapIs(SwapView{Generation: 2, Stage: "preparing", Since: now, By: now + 20*time.Second})
	step(time.Second, &ContainerEvent{Kind: Prepared, Swap: 1})
	swapIs(SwapView{Generation: 2, Stage: "starting", Since: now, By: now + time.Minute})
	step(time.Second, of(Ready, 2))
	begun := now
	swapIs(SwapView{Generation: 2, Stage: "settling", Since: begun, By: begun + time.Second})
	step(0, of(Verified, 2))
	step(time.Second, tick)
	swapIs(SwapView{Generation: 2, Stage: "canary", Share: 100, Since: now, By: now + 10*time.Second})
	step(10*time.Second, tick)
	swapIs(SwapView{Generation: 2, Stage: "canary", Share: 2500, Since: now, By: now + 40*time.Second})
	step(40*time.Second, tick)
	idle()
	predecessor(Draining, true, false, now+time.Hour)
	step(time.Hour, tick)
	predecessor(Draining, false, true, now+10*time.Second)
	step(10*time.Second, tick)
	predecessor(Stopping, false, false, now+30*time.Second)

	step(0, &ContainerEvent{Kind: Swap, Request: Request{Strategy: Replace}})
	step(0, &ContainerEvent{Kind: Prepared, Swap: 2})
	swapIs(SwapView{Generation: 3, Stage: "stopping", Since: now, By: now + 30*time.Second})
	step(0, &ContainerEvent{Kind: Stop})
	idle()
}

// While the gate is away nobody's time is running.
func TestDrainIsToldToStandStill(t *testing.T) {
	m := New(Config{MaxGenerations: 3, Drain: true, DrainTimeout: 10 * time.Second, Membership: JoinsAsHolder}, nil)
	m.Step(0, &ContainerEvent{Kind: Tick})
	m.Step(time.Second, &ContainerEvent{Kind: Lost})
	if v := m.Views()[0]; v.By != 11*time.Second || !v.Watched {
		t.Errorf("%+v", v)
	}
	m.Step(time.Second, &ContainerEvent{Kind: Away})
	if v := m.Views()[0]; v.By != Unlimited {
		t.Errorf("%+v", v)
	}
}
