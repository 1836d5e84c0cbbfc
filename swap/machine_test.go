package swap

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	sigStop   = 15
	sigRetire = 3
	sigAbort  = 6
	sigOther  = 10
)

func testConfig() Config {
	return Config{ReadyTimeout: 60 * time.Second, Settle: time.Second, RetireTimeout: 30 * time.Second, LeftoverTimeout: 5 * time.Second,
		MaxGenerations: 3, StopSignal: sigStop, RetireSignal: sigRetire, AbortSignal: sigAbort}
}

// script drives a machine by hand and remembers what it said.
type script struct {
	t   *testing.T
	m   *Machine
	now time.Duration
	all []Effect
}

func newScript(t *testing.T, cfg Config) *script {
	s := &script{t: t, m: New(cfg, nil)}
	s.do(Event{Kind: Tick})
	return s
}

func (s *script) do(e Event) []Effect {
	s.t.Helper()
	out := s.m.Step(s.now, e)
	s.all = append(s.all, out...)
	return out
}

func (s *script) gen(k Kind, n int) []Effect {
	s.t.Helper()
	return s.do(Event{Kind: k, Generation: n})
}
func (s *script) exit(n, code int) []Effect {
	s.t.Helper()
	return s.do(Event{Kind: Exited, Generation: n, Status: Status{Code: code}})
}
func (s *script) pass(d time.Duration) []Effect {
	s.t.Helper()
	s.now += d
	return s.do(Event{Kind: Tick})
}
func (s *script) swap(id uint64) []Effect {
	s.t.Helper()
	return s.do(Event{Kind: Swap, Request: Request{ID: id}})
}

// swapped brings generation n up and over.
func (s *script) swapped(n int) []Effect {
	s.t.Helper()
	s.gen(Started, n)
	s.gen(Ready, n)
	s.gen(Verified, n)
	return s.pass(s.m.cfg.Settle)
}

func has(effects []Effect, want Effect) bool {
	return slices.ContainsFunc(effects, func(e Effect) bool {
		return e.Op == want.Op && (want.Generation == 0 || e.Generation == want.Generation) && (want.Signal == 0 || e.Signal == want.Signal) &&
			(want.ID == 0 || e.ID == want.ID && e.OK == want.OK) && (want.Stage == "" || e.Stage == want.Stage) &&
			strings.Contains(e.Reason, want.Reason)
	})
}

func (s *script) want(effects []Effect, want Effect) {
	s.t.Helper()
	if !has(effects, want) {
		s.t.Fatalf("want %v in %v", want, effects)
	}
}

func (s *script) wantNot(effects []Effect, not Effect) {
	s.t.Helper()
	if has(effects, not) {
		s.t.Fatalf("do not want %v in %v", not, effects)
	}
}

func (s *script) wantExit(effects []Effect, code int) {
	s.t.Helper()
	i := slices.IndexFunc(effects, func(e Effect) bool { return e.Op == OpExit })
	if i < 0 || effects[i].Status.ExitCode() != code {
		s.t.Fatalf("want exit %d in %v", code, effects)
	}
	if after := s.pass(time.Hour); len(after) > 0 {
		s.t.Fatalf("effects after the exit: %v", after)
	}
}

func TestReadyBeforeRetire(t *testing.T) {
	s := newScript(t, testConfig())
	s.want(s.all, Effect{Op: OpStart, Generation: 1})
	s.want(s.swap(7), Effect{Op: OpStart, Generation: 2})
	s.gen(Started, 2)
	s.want(s.gen(Ready, 2), Effect{Op: OpVerify, Generation: 2})
	s.pass(time.Second)
	s.wantNot(s.all, Effect{Op: OpSignal}) // settled, but not seen to hold the endpoints
	s.wantNot(s.all, Effect{Op: OpCutOver})
	out := s.gen(Verified, 2)
	s.want(out, Effect{Op: OpCutOver, Generation: 2})
	s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
	s.want(out, Effect{Op: OpReply, ID: 7, OK: true, Generation: 2})
	var stages []string
	for _, e := range s.all {
		if e.Op == OpProgress && e.ID == 7 {
			stages = append(stages, string(e.Stage))
		}
	}
	if got := strings.Join(stages, " "); got != "started ready settled cutover stopping" {
		t.Errorf("stages %q", got)
	}
	s.want(s.exit(1, 0), Effect{Op: OpSweep, Generation: 1})
	s.want(s.gen(Swept, 1), Effect{Op: OpForget, Generation: 1})
	if s.m.Active() != 2 || len(s.m.Views()) != 1 {
		t.Errorf("active %d, views %v", s.m.Active(), s.m.Views())
	}
}

func TestRetireTimeoutKills(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.swapped(2)
	s.wantNot(s.pass(29*time.Second), Effect{Op: OpKill})
	s.want(s.pass(time.Second), Effect{Op: OpKill, Generation: 1})
	s.exit(1, 0)
	s.gen(Swept, 1)
	if len(s.m.Views()) != 1 {
		t.Errorf("views %v", s.m.Views())
	}
}

func TestRetireTimeoutZeroIsNoLimit(t *testing.T) {
	cfg := testConfig()
	cfg.RetireTimeout = 0
	s := newScript(t, cfg)
	s.swap(1)
	s.swapped(2)
	s.wantNot(s.pass(1000*time.Hour), Effect{Op: OpKill})
}

func TestFailureIsFree(t *testing.T) {
	for name, fail := range map[string]func(*script) []Effect{
		"cannot exec":   func(s *script) []Effect { return s.do(Event{Kind: StartFailed, Generation: 2, Reason: "no such file"}) },
		"exits":         func(s *script) []Effect { return s.exit(2, 3) },
		"times out":     func(s *script) []Effect { return s.pass(60 * time.Second) },
		"never speaks":  func(s *script) []Effect { return s.do(Event{Kind: Never, Generation: 2, Reason: "closed the pipe"}) },
		"hangs":         func(s *script) []Effect { return s.gen(Hung, 2) },
		"dies settling": func(s *script) []Effect { s.gen(Ready, 2); s.gen(Verified, 2); return s.exit(2, 0) },
		"holds no socket": func(s *script) []Effect {
			s.gen(Ready, 2)
			return s.do(Event{Kind: Refused, Generation: 2, Reason: "holds none"})
		},
		"cannot be looked": func(s *script) []Effect { s.gen(Ready, 2); s.pass(time.Second); return s.pass(verifyGrace) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, testConfig())
			s.swap(1)
			out := fail(s)
			s.want(out, Effect{Op: OpReply, ID: 1, OK: false})
			s.want(out, Effect{Op: OpProgress, Generation: 2, Stage: StageFailed})
			s.wantNot(s.all, Effect{Op: OpSignal, Generation: 1})
			s.wantNot(s.all, Effect{Op: OpKill, Generation: 1})
			if v := s.m.Views()[0]; v.Number != 1 || v.State != Active {
				t.Errorf("predecessor is %v", v)
			}
			// Its end is waited for, then the next swap works, with a new number.
			s.wantNot(s.swap(2), Effect{Op: OpStart})
			s.exit(2, 0)
			s.want(s.gen(Swept, 2), Effect{Op: OpStart, Generation: 3})
			s.want(s.swapped(3), Effect{Op: OpReply, ID: 2, OK: true})
		})
	}
}

func TestTimeoutNamesWhatIsKnown(t *testing.T) {
	cfg := testConfig()
	cfg.ReadyHint = "; set X"
	s := newScript(t, cfg)
	s.do(Event{Kind: Swap, Request: Request{ID: 1, Timeout: 5 * time.Second}})
	s.do(Event{Kind: Note, Generation: 2, Reason: "connection refused"})
	s.wantNot(s.pass(4*time.Second), Effect{Op: OpReply})
	s.want(s.pass(time.Second), Effect{Op: OpReply, ID: 1, Reason: "not ready within 5s: connection refused; set X"})
}

func TestOneSwapAtATime(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.want(s.swap(2), Effect{Op: OpProgress, ID: 2, Stage: StageQueued})
	s.swap(3)
	s.do(Event{Kind: Swap}) // a signal
	out := s.swapped(2)
	s.want(out, Effect{Op: OpReply, ID: 1, OK: true})
	s.wantNot(out, Effect{Op: OpReply, ID: 2, OK: true})
	s.want(out, Effect{Op: OpStart, Generation: 3})
	out = s.swapped(3)
	s.want(out, Effect{Op: OpReply, ID: 2, OK: true})
	s.want(out, Effect{Op: OpReply, ID: 3, OK: true})
	s.wantNot(out, Effect{Op: OpStart})
}

func TestNewestCommandWins(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.do(Event{Kind: Swap, Request: Request{ID: 2, Command: []string{"a"}}})
	s.swap(3)
	out := s.do(Event{Kind: Swap, Request: Request{ID: 4, Command: []string{"b"}}})
	s.want(out, Effect{Op: OpReply, ID: 2, OK: false, Reason: "superseded"})
	out = s.swapped(2)
	if i := slices.IndexFunc(out, func(e Effect) bool { return e.Op == OpStart }); i < 0 || !slices.Equal(out[i].Command, []string{"b"}) {
		t.Fatalf("want a start of b in %v", out)
	}
	out = s.swapped(3)
	s.want(out, Effect{Op: OpReply, ID: 3, OK: true})
	s.want(out, Effect{Op: OpReply, ID: 4, OK: true})
}

func TestQueueIsBounded(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	for id := uint64(2); id < 2+maxWaiting; id++ {
		s.wantNot(s.swap(id), Effect{Op: OpReply})
	}
	s.want(s.swap(9999), Effect{Op: OpReply, ID: 9999, Reason: "too many"})
}

func TestFaithfulExit(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.want(s.exit(1, 42), Effect{Op: OpSweepAll})
		s.wantExit(s.do(Event{Kind: NothingLeft}), 42)
	})
	t.Run("cannot start", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.do(Event{Kind: StartFailed, Generation: 1, Status: Status{Code: 127}})
		s.wantExit(s.do(Event{Kind: NothingLeft}), 127)
	})
	t.Run("signal", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.do(Event{Kind: Exited, Generation: 1, Status: Status{Signal: 9}})
		s.wantExit(s.do(Event{Kind: NothingLeft}), 137)
	})
	t.Run("successor after cut-over", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.swap(1)
		s.swapped(2)
		s.exit(2, 5) // the predecessor still drains, but was told to stop
		s.wantExit(s.do(Event{Kind: NothingLeft}), 5)
	})
	t.Run("active dies in mid-swap, successor fails", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.swap(1)
		s.wantNot(s.exit(1, 6), Effect{Op: OpSweepAll})
		s.want(s.exit(2, 7), Effect{Op: OpSweepAll})
		s.wantExit(s.do(Event{Kind: NothingLeft}), 6)
	})
	t.Run("active dies in mid-swap, stop", func(t *testing.T) {
		s := newScript(t, testConfig())
		s.swap(1)
		s.exit(1, 6)
		s.want(s.do(Event{Kind: Stop}), Effect{Op: OpSweepAll})
		s.wantExit(s.do(Event{Kind: NothingLeft}), 6)
	})
}

func TestActiveDiesInMidSwap(t *testing.T) {
	for _, settling := range []bool{false, true} {
		s := newScript(t, testConfig())
		s.swap(1)
		if settling {
			s.gen(Ready, 2)
		}
		out := s.exit(1, 6)
		if !settling {
			s.wantNot(out, Effect{Op: OpCutOver})
			out = s.gen(Ready, 2)
		}
		// Promoted at once: there is nobody left to settle for.
		s.want(out, Effect{Op: OpCutOver, Generation: 2})
		s.want(out, Effect{Op: OpReply, ID: 1, OK: true})
		s.exit(2, 8)
		s.wantExit(s.do(Event{Kind: NothingLeft}), 8)
	}
}

func TestUntoldPredecessorTakesOverAgain(t *testing.T) {
	cfg := testConfig()
	cfg.Drain, cfg.DrainTimeout = true, 30*time.Second
	s := newScript(t, cfg)
	s.swap(1)
	out := s.swapped(2)
	s.want(out, Effect{Op: OpDrain, Generation: 1})
	s.wantNot(out, Effect{Op: OpReply}) // not before the first look at its connections
	s.want(s.gen(Busy, 1), Effect{Op: OpReply, ID: 1, OK: true})
	s.wantNot(s.all, Effect{Op: OpSignal})
	s.want(s.exit(2, 1), Effect{Op: OpCutOver, Generation: 1})
	if s.m.Active() != 1 || s.m.Views()[0].State != Active {
		t.Fatalf("views %v", s.m.Views())
	}
	s.wantNot(s.pass(time.Hour), Effect{Op: OpSignal, Generation: 1}) // the drain's deadline is off
	s.exit(1, 4)
	s.wantExit(s.do(Event{Kind: NothingLeft}), 4)
}

func TestDrain(t *testing.T) {
	for _, idle := range []bool{false, true} {
		cfg := testConfig()
		cfg.Drain, cfg.DrainTimeout = true, 30*time.Second
		s := newScript(t, cfg)
		s.swap(1)
		s.swapped(2)
		s.wantNot(s.pass(29*time.Second), Effect{Op: OpSignal})
		var out []Effect
		if idle {
			out = s.gen(Drained, 1)
		} else {
			out = s.pass(time.Second)
		}
		s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		s.exit(2, 5)
		s.wantExit(s.do(Event{Kind: NothingLeft}), 5)
	}
}

func TestMaxGenerations(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.swapped(2)
	s.swap(2)
	s.swapped(3) // 1 and 2 are still stopping
	out := s.swap(3)
	s.want(out, Effect{Op: OpKill, Generation: 1})
	s.wantNot(out, Effect{Op: OpStart})
	s.exit(1, 0)
	s.want(s.gen(Swept, 1), Effect{Op: OpStart, Generation: 4})
}

func TestNoRoomEnds(t *testing.T) {
	cfg := testConfig()
	cfg.MaxGenerations = 2
	s := newScript(t, cfg)
	s.swap(1)
	s.swapped(2)
	s.want(s.swap(2), Effect{Op: OpKill, Generation: 1}) // which does not die of it
	s.want(s.pass(60*time.Second), Effect{Op: OpReply, ID: 2, OK: false, Reason: "no room"})
}

func TestStop(t *testing.T) {
	cfg := testConfig()
	cfg.StopDelay, cfg.StopTimeout = 2*time.Second, 10*time.Second
	s := newScript(t, cfg)
	s.swap(1)
	s.swapped(2)
	s.swap(2)
	s.gen(Started, 3)
	out := s.do(Event{Kind: Stop})
	s.want(out, Effect{Op: OpReply, ID: 2, OK: false, Reason: stopping})
	s.wantNot(out, Effect{Op: OpSignal})
	s.wantNot(s.do(Event{Kind: Stop}), Effect{Op: OpSignal}) // shortens nothing
	s.want(s.swap(3), Effect{Op: OpReply, ID: 3, OK: false, Reason: stopping})
	out = s.pass(2 * time.Second)
	for n := 1; n <= 3; n++ { // the predecessor on its way out and the successor included
		s.want(out, Effect{Op: OpSignal, Generation: n, Signal: sigStop})
	}
	s.want(s.do(Event{Kind: Stop}), Effect{Op: OpSignal, Generation: 2, Signal: sigStop})
	s.want(s.do(Event{Kind: Forward, Signal: sigOther}), Effect{Op: OpSignal, Generation: 2, Signal: sigOther})
	s.want(s.pass(10*time.Second), Effect{Op: OpKill, Generation: 2})
	s.want(s.do(Event{Kind: Exited, Generation: 2, Status: Status{Signal: 9}}), Effect{Op: OpSweepAll})
	s.wantNot(s.pass(4*time.Second), Effect{Op: OpKillAll})
	s.want(s.pass(time.Second), Effect{Op: OpKillAll})
	s.wantExit(s.pass(abandon), 137) // what survives KILL is not waited for
}

func TestStopTimeoutZeroIsNoLimit(t *testing.T) {
	s := newScript(t, testConfig())
	s.want(s.do(Event{Kind: Stop}), Effect{Op: OpSignal, Generation: 1, Signal: sigStop})
	s.wantNot(s.pass(1000*time.Hour), Effect{Op: OpKill})
}

func TestForward(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	f := Event{Kind: Forward, Signal: sigOther}
	s.wantNot(s.do(f), Effect{Op: OpSignal, Generation: 2}) // it may have no handler yet
	s.gen(Ready, 2)
	out := s.do(f)
	s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigOther})
	s.want(out, Effect{Op: OpSignal, Generation: 2, Signal: sigOther})
	s.gen(Verified, 2)
	s.pass(time.Second)
	s.wantNot(s.do(f), Effect{Op: OpSignal, Generation: 1})
}

func TestWatchdog(t *testing.T) {
	cfg := testConfig()
	cfg.Watchdog = 10 * time.Second
	s := newScript(t, cfg)
	s.gen(Ping, 1)
	s.wantNot(s.pass(time.Hour), Effect{Op: OpSignal}) // a slow boot is no hang
	s.gen(Ready, 1)
	s.pass(9 * time.Second)
	s.gen(Ping, 1)
	s.wantNot(s.pass(9*time.Second), Effect{Op: OpSignal})
	s.want(s.pass(time.Second), Effect{Op: OpSignal, Generation: 1, Signal: sigAbort})
	s.wantNot(s.pass(4*time.Second), Effect{Op: OpKill})
	s.want(s.pass(time.Second), Effect{Op: OpKill, Generation: 1})
	s.do(Event{Kind: Exited, Generation: 1, Status: Status{Signal: 9}})
	s.wantExit(s.do(Event{Kind: NothingLeft}), 137)
}

// A process that hangs may go on pinging after its ABRT, from another thread.
func TestPingAfterAbort(t *testing.T) {
	cfg := testConfig()
	cfg.Watchdog = 2 * time.Second
	s := newScript(t, cfg)
	s.gen(Ready, 1)
	s.want(s.pass(2*time.Second), Effect{Op: OpSignal, Generation: 1, Signal: sigAbort})
	s.gen(Ping, 1)
	s.wantNot(s.pass(2*time.Second), Effect{Op: OpKill})
	if at, _ := s.m.Deadline(); at <= s.now {
		t.Errorf("the next deadline is %v, now is %v: the loop would spin", at, s.now)
	}
	s.do(Event{Kind: Stop}) // nor does a stop without a limit save it
	s.want(s.pass(abortGrace-2*time.Second), Effect{Op: OpKill, Generation: 1})
}

func TestExtend(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.pass(50 * time.Second)
	s.do(Event{Kind: Extend, Generation: 2, Duration: 20 * time.Second})
	s.wantNot(s.pass(19*time.Second), Effect{Op: OpReply})
	s.do(Event{Kind: Extend, Generation: 2, Duration: 0}) // never shortens
	s.want(s.pass(time.Second), Effect{Op: OpReply, ID: 1, OK: false})
}

func TestStraysOfAPredecessor(t *testing.T) {
	s := newScript(t, testConfig())
	s.swap(1)
	s.swapped(2)
	s.want(s.exit(1, 0), Effect{Op: OpSweep, Generation: 1})
	s.want(s.pass(5*time.Second), Effect{Op: OpKill, Generation: 1})
	s.want(s.pass(abandon), Effect{Op: OpForget, Generation: 1})
}
