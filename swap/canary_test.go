package swap

import (
	"testing"
	"time"
)

func canaryConfig() Config {
	cfg := testConfig()
	cfg.Drain, cfg.DrainTimeout = true, 30*time.Second
	cfg.Canary = []Canary{{100, 10 * time.Second}, {2500, 30 * time.Second}}
	return cfg
}

// The answer to a swap tells whether its predecessor could be told to stop.
func TestAnswerAfterTheFirstLook(t *testing.T) {
	cfg := testConfig()
	cfg.Drain = true
	for _, look := range []Kind{Busy, Drained, Exited, Stop} {
		s := newScript(t, cfg)
		s.swap(1)
		s.wantNot(s.swapped(2), Effect{Op: OpReply})
		out := s.do(Event{Kind: look, Generation: 1, Reason: "because"})
		s.want(out, Effect{Op: OpReply, ID: 1, OK: true, Generation: 2})
		switch look {
		case Busy:
			s.want(out, Effect{Op: OpProgress, ID: 0, Stage: StageDraining, Reason: "because"})
			s.wantNot(out, Effect{Op: OpSignal})
			s.want(s.gen(Drained, 1), Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		case Drained:
			s.want(out, Effect{Op: OpProgress, Stage: StageStopping, Reason: "because"})
			s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		}
	}
	// The successor dies before: it was no success then.
	s := newScript(t, cfg)
	s.swap(1)
	s.swapped(2)
	s.want(s.exit(2, 1), Effect{Op: OpReply, ID: 1, OK: false, Reason: "generation 1 has the traffic again"})
}

func TestCanary(t *testing.T) {
	s := newScript(t, canaryConfig())
	s.want(s.swap(1), Effect{Op: OpStart, Generation: 2})
	out := s.swapped(2)
	if !hasAim(out, 2, 1, 100) {
		t.Fatalf("no first stage in %v", out)
	}
	s.wantNot(out, Effect{Op: OpCutOver})
	s.wantNot(s.pass(9*time.Second), Effect{Op: OpAim})
	if out = s.pass(time.Second); !hasAim(out, 2, 1, 2500) {
		t.Fatalf("no second stage in %v", out)
	}
	s.wantNot(s.all, Effect{Op: OpCutOver})
	s.want(s.pass(30*time.Second), Effect{Op: OpCutOver, Generation: 2})
	s.want(s.gen(Drained, 1), Effect{Op: OpReply, ID: 1, OK: true})
}

func hasAim(effects []Effect, generation, other, share int) bool {
	for _, e := range effects {
		if e.Op == OpAim && e.Generation == generation && e.Share == share && (share == Full || e.Other == other) {
			return true
		}
	}
	return false
}

// A request's own stages replace those of the settings.
func TestCanaryOfARequest(t *testing.T) {
	s := newScript(t, canaryConfig())
	s.do(Event{Kind: Swap, Request: Request{ID: 1, Canary: []Canary{{5000, time.Minute}}}})
	if out := s.swapped(2); !hasAim(out, 2, 1, 5000) {
		t.Fatalf("%v", out)
	}
	s.want(s.pass(time.Minute), Effect{Op: OpCutOver, Generation: 2})
}

// Whatever ends a canary badly: the traffic goes back first, the swap has failed,
// and what it has accepted may finish.
func TestFailedCanary(t *testing.T) {
	for _, e := range []Event{{Kind: Exited, Generation: 2, Status: Status{Code: 3}}, {Kind: CheckFailed, Generation: 2, Reason: "check"},
		{Kind: Hung, Generation: 2}, {Kind: Rollback, Request: Request{ID: 9}}, {Kind: Refused, Generation: 2, Reason: "STOPPING=1"}} {
		s := newScript(t, canaryConfig())
		s.swap(1)
		s.swapped(2)
		out := s.do(e)
		if !hasAim(out, 1, 0, Full) {
			t.Fatalf("%v: the traffic does not go back: %v", e.Kind, out)
		}
		s.want(out, Effect{Op: OpReply, ID: 1, OK: false})
		if e.Kind == Rollback {
			s.want(out, Effect{Op: OpReply, ID: 9, OK: true, Generation: 1})
		}
		if e.Kind != Hung && e.Kind != Exited {
			s.wantNot(out, Effect{Op: OpSignal})
			s.want(s.gen(Drained, 2), Effect{Op: OpSignal, Generation: 2, Signal: sigRetire})
		}
		if s.m.Active() != 1 {
			t.Errorf("%v: active %d", e.Kind, s.m.Active())
		}
		s.exit(1, 5) // and it is not gone back to
		s.wantExit(s.do(Event{Kind: NothingLeft}), 5)
	}
}

func TestCheckCountsInACanaryOnly(t *testing.T) {
	s := newScript(t, canaryConfig())
	s.swap(1)
	s.gen(Ready, 2)
	if out := s.gen(CheckFailed, 2); len(out) > 0 {
		t.Errorf("before the canary: %v", out)
	}
}

func TestActiveDiesInACanary(t *testing.T) {
	s := newScript(t, canaryConfig())
	s.swap(1)
	s.swapped(2)
	s.want(s.exit(1, 4), Effect{Op: OpCutOver, Generation: 2})
	s.want(s.all, Effect{Op: OpReply, ID: 1, OK: true})
}

func TestPromoteCanary(t *testing.T) {
	s := newScript(t, canaryConfig())
	s.swap(1)
	s.swapped(2)
	out := s.do(Event{Kind: Promote, Request: Request{ID: 9}})
	s.want(out, Effect{Op: OpCutOver, Generation: 2})
	s.want(out, Effect{Op: OpReply, ID: 9, OK: true, Generation: 2})
}

func TestKeep(t *testing.T) {
	cfg := testConfig()
	cfg.Keep = 5 * time.Minute
	for _, end := range []string{"time", "promote", "rollback", "death", "swap"} {
		s := newScript(t, cfg)
		s.swap(1)
		out := s.swapped(2)
		s.want(out, Effect{Op: OpProgress, Stage: StageKept})
		s.want(out, Effect{Op: OpReply, ID: 1, OK: true}) // there is nothing to wait for
		s.gen(Drained, 1)
		s.gen(Busy, 1)
		s.pass(4 * time.Minute)
		s.wantNot(s.all, Effect{Op: OpSignal})
		switch end {
		case "time":
			s.want(s.pass(time.Minute), Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		case "promote":
			out = s.do(Event{Kind: Promote, Request: Request{ID: 9}})
			s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
			s.want(out, Effect{Op: OpReply, ID: 9, OK: true, Generation: 2})
		case "rollback":
			out = s.do(Event{Kind: Rollback, Request: Request{ID: 9}})
			s.want(out, Effect{Op: OpCutOver, Generation: 1})
			s.want(out, Effect{Op: OpSignal, Generation: 2, Signal: sigRetire})
			s.want(out, Effect{Op: OpReply, ID: 9, OK: true, Generation: 1})
			s.want(s.do(Event{Kind: Rollback, Request: Request{ID: 10}}), Effect{Op: OpReply, ID: 10, OK: false, Reason: "nothing to go back to"})
		case "death":
			out = s.exit(2, 1)
			s.want(out, Effect{Op: OpCutOver, Generation: 1})
			s.wantNot(out, Effect{Op: OpSignal})
		case "swap": // the next one is kept in its place
			s.swap(2)
			out = s.swapped(3)
			s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
			s.wantNot(out, Effect{Op: OpSignal, Generation: 2})
		}
	}
}

// A kept predecessor drains at the end of its keep, with the drain's full time.
func TestKeepThenDrain(t *testing.T) {
	cfg := testConfig()
	cfg.Keep, cfg.Drain, cfg.DrainTimeout = time.Minute, true, 30*time.Second
	s := newScript(t, cfg)
	s.swap(1)
	s.wantNot(s.swapped(2), Effect{Op: OpDrain})
	s.want(s.pass(time.Minute), Effect{Op: OpDrain, Generation: 1})
	s.wantNot(s.pass(29*time.Second), Effect{Op: OpSignal})
	s.want(s.pass(time.Second), Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
}

// What was rolled back from drains, is never gone back to, and does not stand in
// the way of the next swap.
func TestRolledBackDrains(t *testing.T) {
	cfg := testConfig()
	cfg.Keep, cfg.Drain = time.Minute, true
	s := newScript(t, cfg)
	s.swap(1)
	s.swapped(2)
	out := s.do(Event{Kind: Rollback, Request: Request{ID: 9}})
	s.want(out, Effect{Op: OpDrain, Generation: 2})
	s.wantNot(out, Effect{Op: OpSignal})
	s.want(s.swap(3), Effect{Op: OpStart, Generation: 3})
	s.want(s.exit(3, 1), Effect{Op: OpReply, ID: 3, OK: false})
	s.exit(1, 6)
	s.wantExit(s.do(Event{Kind: NothingLeft}), 6)
}

func TestNothingToRollBackOrPromote(t *testing.T) {
	s := newScript(t, testConfig())
	s.want(s.do(Event{Kind: Rollback, Request: Request{ID: 1}}), Effect{Op: OpReply, ID: 1, OK: false, Reason: "nothing to go back to"})
	s.want(s.do(Event{Kind: Promote, Request: Request{ID: 2}}), Effect{Op: OpReply, ID: 2, OK: false, Reason: "nothing to promote"})
	s.do(Event{Kind: Stop})
	s.want(s.do(Event{Kind: Rollback, Request: Request{ID: 3}}), Effect{Op: OpReply, ID: 3, OK: false, Reason: "stopping"})
}

// The active one dies while the successor starts: connections wait for it.
func TestConnectionsWaitForTheSuccessor(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	if out := s.exit(1, 1); !hasAim(out, 2, 0, Full) {
		t.Fatalf("%v", out)
	}
	s.want(s.gen(Ready, 2), Effect{Op: OpCutOver, Generation: 2})
}
