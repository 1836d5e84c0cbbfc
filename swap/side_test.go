package swap

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var sideEffectNames = [...]string{SideStart: "start", SideTerm: "term", SideKill: "kill", SideClear: "clear", SideReply: "reply", SideInfo: "info", SideWarn: "warn"}

func (e SideEffect) String() string {
	s := sideEffectNames[e.Kind]
	if e.ID != 0 {
		s += fmt.Sprint(" ", e.ID)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// sideStep is an event so long after the one before, and what is to come of it.
type sideStep struct {
	after time.Duration
	event SideEvent
	want  string
}

func sideSteps(t *testing.T, grace time.Duration, steps []sideStep) *Side {
	t.Helper()
	s, now := NewSide(grace), time.Duration(0)
	for n, step := range steps {
		now += step.after
		var got []string
		for _, e := range s.Step(now, step.event) {
			got = append(got, e.String())
		}
		if got := strings.Join(got, "; "); got != step.want {
			t.Fatalf("step %d, %+v at %v:\n got %q\nwant %q", n, step.event, now, got, step.want)
		}
	}
	return s
}

var (
	sideTicks   = SideEvent{Kind: SideTick}
	sideRuns    = SideEvent{Kind: SideStarted}
	sideDies    = SideEvent{Kind: SideExited, Reason: "exited with status 1"}
	sideLeaves  = SideEvent{Kind: SideExited, Reason: "exited with status 0", Clean: true}
	sideFails   = SideEvent{Kind: SideFailed, Reason: "no such program"}
	sideIsClear = SideEvent{Kind: SideCleared}
	sideStops   = SideEvent{Kind: SideStop}
)

func sideAsks(id uint64) SideEvent { return SideEvent{Kind: SideRestart, ID: id} }

func TestSide(t *testing.T) {
	const second = time.Second
	died := func(after string) string { return "warn: exited with status 1, started again in " + after + "; clear" }
	const told = "info: exited with status 1, as it was told to end, and is started again; clear"
	for _, c := range []struct {
		name  string
		grace time.Duration
		steps []sideStep
	}{
		{"dies again and again", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""},
			{second, sideDies, died("100ms")}, {0, sideIsClear, ""}, {99 * time.Millisecond, sideTicks, ""}, {time.Millisecond, sideTicks, "start"},
			{0, sideRuns, ""}, {second, sideDies, died("200ms")}, {0, sideIsClear, ""}, {second, sideTicks, "start"},
			{0, sideRuns, ""}, {59 * second, sideDies, died("400ms")}, {0, sideIsClear, ""}, {second, sideTicks, "start"},
			{0, sideRuns, ""}, {60 * second, sideDies, died("100ms")}, {0, sideIsClear, ""}, // it has left its crash loop
		}},
		{"cannot be executed", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideFails, "warn: cannot be started: no such program, tried again in 100ms"},
			{100 * time.Millisecond, sideTicks, "start"}, {0, sideFails, "warn: cannot be started: no such program, tried again in 200ms"},
			{0, sideAsks(1), "start"}, {0, sideFails, "warn: cannot be started: no such program, tried again in 100ms; reply 1: no such program"},
			{100 * time.Millisecond, sideTicks, "start"}, {0, sideRuns, ""},
		}},
		{"ends well", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""},
			{second, sideLeaves, "info: exited with status 0 (it has to stay in the foreground), started again in 100ms; clear"},
			{0, sideIsClear, ""}, {100 * time.Millisecond, sideTicks, "start"}, {0, sideRuns, ""},
			{time.Hour, sideLeaves, "info: exited with status 0, started again in 100ms; clear"},
		}},
		{"leaves somebody in its group", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideDies, died("100ms")},
			{999 * time.Millisecond, sideTicks, ""}, {time.Millisecond, sideTicks, "kill"}, {0, sideIsClear, "start"}, // its time is over
		}},
		{"leaves somebody who survives KILL", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideDies, died("100ms")}, {second, sideTicks, "kill"}, {abandon, sideTicks, "start"},
			{0, sideIsClear, ""}, {0, sideRuns, ""},
		}},
		{"is restarted", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideAsks(1), "term"}, {0, sideAsks(2), ""}, {0, sideDies, told},
			{0, sideIsClear, "start"}, {0, sideRuns, "reply 1; reply 2"},
		}},
		{"does not end when it is restarted", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideAsks(1), "term"}, {second, sideTicks, "kill"},
			{0, sideDies, told + "; kill"}, {0, sideIsClear, "start"}, {0, sideRuns, "reply 1"},
		}},
		{"gets no time", 0, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideAsks(1), "term; kill"}, {0, sideDies, told + "; kill"}, {0, sideIsClear, "start"}, {0, sideRuns, "reply 1"},
		}},
		{"survives KILL", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideAsks(1), "term"}, {second, sideTicks, "kill"},
			{abandon, sideTicks, "reply 1: its process survives KILL"}, {time.Hour, sideTicks, ""}, {0, sideDies, told + "; kill"}, {0, sideIsClear, "start"},
		}},
		{"is restarted while it waits", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideDies, died("100ms")}, {0, sideAsks(1), ""}, {0, sideIsClear, "start"}, {0, sideRuns, "reply 1"},
			{0, sideDies, died("100ms")}, {0, sideIsClear, ""}, {0, sideAsks(2), "start"}, {0, sideRuns, "reply 2"},
		}},
		{"is restarted while it starts", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideAsks(1), ""}, {0, sideRuns, "term"}, {0, sideDies, told}, {0, sideIsClear, "start"}, {0, sideRuns, "reply 1"},
		}},
		{"is restarted while its start fails", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideAsks(1), ""}, {0, sideFails, "warn: cannot be started: no such program, tried again in 100ms; start"},
			{0, sideAsks(2), ""}, {0, sideRuns, "reply 1; term"},
		}},
		{"hangs in its exec", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideFails, "warn: cannot be started: no such program, tried again in 100ms"}, {0, sideAsks(1), "start"},
			{sideAnswer, sideTicks, "reply 1: its program does not run yet after 30s"}, {time.Hour, sideTicks, ""},
			{0, sideAsks(2), "reply 2: its program does not run yet after 30s"}, {0, sideRuns, ""},
		}},
		{"the container ends", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideRuns, ""}, {0, sideAsks(1), "term"}, {0, sideStops, "reply 1: the container is stopping"},
			{0, sideDies, ""}, {0, sideIsClear, ""}, {time.Hour, sideTicks, ""}, {0, sideAsks(2), "reply 2: the container is stopping"},
		}},
		{"the container ends while it starts", second, []sideStep{
			{0, sideTicks, "start"}, {0, sideAsks(1), ""}, {0, sideStops, "reply 1: the container is stopping"}, {0, sideRuns, ""}, {0, sideDies, ""}, {time.Hour, sideTicks, ""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { sideSteps(t, c.grace, c.steps) })
	}
}

// It is never given up, and never waits for longer than half a minute.
func TestSideBackoff(t *testing.T) {
	s, now := NewSide(0), time.Duration(0)
	s.Step(now, sideTicks)
	want := respawnFirst
	for n := range 200 {
		s.Step(now, sideFails)
		if got := s.Deadline() - now; got != want {
			t.Fatalf("death %d: started again after %v, want %v", n+1, got, want)
		}
		now, want = s.Deadline(), min(2*want, respawnLast)
		if got := s.Step(now, sideTicks); len(got) != 1 || got[0].Kind != SideStart {
			t.Fatalf("death %d: %v", n+1, got)
		}
	}
	if s.Restarts() != 200 {
		t.Errorf("%d restarts", s.Restarts())
	}
}

// Whoever waits for it is bounded, and hears of that.
func TestSideCalls(t *testing.T) {
	s := sideSteps(t, 0, []sideStep{{0, sideTicks, "start"}})
	for id := range uint64(sideCalls) {
		if got := s.Step(0, sideAsks(id+1)); len(got) != 0 {
			t.Fatal(got)
		}
	}
	if got := s.Step(0, sideAsks(1000)); len(got) != 1 || got[0].Kind != SideReply || got[0].ID != 1000 || got[0].Text == "" {
		t.Errorf("one too many: %v", got)
	}
}

// Whatever happens in whatever order, never do two of it run, and everyone who asks is
// answered once.
func TestSideSimulation(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 19))
		s, now := NewSide(time.Duration(random.IntN(3))*time.Second), time.Duration(0)
		starting, alive, left, over := false, false, false, false
		waits := map[uint64]bool{}
		var id uint64
		perform := func(effects []SideEffect) {
			for _, e := range effects {
				switch e.Kind {
				case SideStart:
					if starting || alive || over {
						t.Fatalf("seed %d: a second one is started", seed)
					}
					starting, left = true, false
				case SideTerm, SideKill:
					if over {
						t.Fatalf("seed %d: %v after the end", seed, e)
					}
				case SideClear:
					left = true
				case SideReply:
					if !waits[e.ID] {
						t.Fatalf("seed %d: %d is answered, and does not wait", seed, e.ID)
					}
					delete(waits, e.ID)
				}
			}
		}
		step := func(e SideEvent) { perform(s.Step(now, e)) }
		step(sideTicks)
		for range 100 {
			switch n := random.IntN(8); {
			case n == 0:
				id++
				waits[id] = true
				step(sideAsks(id))
			case n == 1 && random.IntN(20) == 0:
				over = true
				step(sideStops)
			case n < 4 && starting:
				starting = false
				if alive = n == 2; alive {
					step(sideRuns)
				} else {
					step(sideFails)
				}
			case n == 4 && alive:
				alive = false
				step(sideDies)
			case n == 5 && left && !alive:
				left = false
				step(sideIsClear)
			default:
				if now += time.Duration(random.IntN(1000)) * time.Millisecond; n == 7 && s.Deadline() < never {
					now = max(now, s.Deadline())
				}
				step(sideTicks)
			}
			if over && len(waits) > 0 {
				t.Fatalf("seed %d: after the end %v wait", seed, waits)
			}
		}
		for range 100 { // whoever waits has an end of it, whatever answers do not come
			if s.Deadline() < never {
				now = s.Deadline()
				step(sideTicks)
			}
			if starting && seed%2 == 0 {
				starting = false
				step(sideFails)
			}
		}
		if len(waits) > 0 {
			t.Fatalf("seed %d: %v wait for ever in state %d", seed, waits, s.state)
		}
	}
}
