package swap

import (
	"testing"
	"time"
)

func workersConfig(n, batch int) Config {
	cfg := testConfig()
	cfg.Workers, cfg.Batch = n, batch
	return cfg
}

func (s *script) worker(k Kind, n, w int) []Effect {
	s.t.Helper()
	return s.do(Event{Kind: k, Generation: n, Worker: w})
}

func (s *script) dies(n, w, code int) []Effect {
	s.t.Helper()
	return s.do(Event{Kind: Exited, Generation: n, Worker: w, Status: Status{Code: code}})
}

func hasWorker(effects []Effect, op Op, n, w int) bool {
	for _, e := range effects {
		if e.Op == op && e.Generation == n && e.Worker == w {
			return true
		}
	}
	return false
}

func (s *script) wantWorker(effects []Effect, op Op, n, w int) {
	s.t.Helper()
	if !hasWorker(effects, op, n, w) {
		s.t.Fatalf("want %v of worker %d of generation %d in %v", op, w, n, effects)
	}
}

func (s *script) wantNoWorker(effects []Effect, op Op, n, w int) {
	s.t.Helper()
	if hasWorker(effects, op, n, w) {
		s.t.Fatalf("do not want %v of worker %d of generation %d in %v", op, w, n, effects)
	}
}

func TestAllWorkersAtOnce(t *testing.T) {
	s := newScript(t, workersConfig(3, 0))
	for w := range 3 {
		s.wantWorker(s.all, OpStart, 1, w)
	}
	out := s.swap(1)
	for w := range 3 {
		s.wantWorker(out, OpStart, 2, w)
	}
	s.worker(Ready, 2, 0)
	s.worker(Ready, 2, 2)
	s.wantNot(s.all, Effect{Op: OpVerify})
	s.want(s.worker(Ready, 2, 1), Effect{Op: OpVerify, Generation: 2})
	s.gen(Verified, 2)
	out = s.pass(time.Second)
	s.want(out, Effect{Op: OpCutOver, Generation: 2})
	for w := range 3 {
		s.wantWorker(out, OpSignal, 1, w)
		s.wantNot(s.all, Effect{Op: OpSweep})
		out2 := s.dies(1, w, 0)
		if w == 2 {
			s.want(out2, Effect{Op: OpSweep, Generation: 1})
		}
	}
}

// One worker of a successor that fails is enough.
func TestWorkerOfASuccessorDies(t *testing.T) {
	s := newScript(t, workersConfig(2, 0))
	s.swap(1)
	s.worker(Ready, 2, 0)
	out := s.dies(2, 0, 3)
	s.want(out, Effect{Op: OpReply, ID: 1, Reason: "worker 0 exited with status 3"})
	s.wantWorker(out, OpSignal, 2, 1)
	s.wantNoWorker(out, OpSignal, 2, 0)
}

// Without respawn the container ends with its last worker.
func TestLastWorkerEnds(t *testing.T) {
	s := newScript(t, workersConfig(2, 0))
	s.wantNot(s.dies(1, 1, 3), Effect{Op: OpSweepAll})
	s.want(s.dies(1, 0, 4), Effect{Op: OpSweepAll})
	s.wantExit(s.do(Event{Kind: NothingLeft}), 4)
}

func TestRespawn(t *testing.T) {
	cfg := workersConfig(2, 0)
	cfg.Respawn = RespawnOnFailure
	s := newScript(t, cfg)
	s.worker(Started, 1, 0)
	s.worker(Ready, 1, 0)
	s.worker(Ready, 1, 1)
	s.dies(1, 0, 9)
	s.wantNoWorker(s.pass(99*time.Millisecond), OpStart, 1, 0)
	s.wantWorker(s.pass(time.Millisecond), OpStart, 1, 0)
	s.worker(Ready, 1, 0)
	s.dies(1, 0, 9)
	s.wantNoWorker(s.pass(199*time.Millisecond), OpStart, 1, 0)
	s.wantWorker(s.pass(time.Millisecond), OpStart, 1, 0)
	// A good end is none of its business.
	s.dies(1, 1, 0)
	s.wantNoWorker(s.pass(time.Hour), OpStart, 1, 1)
}

// Five deaths in a row before readiness end a crash loop, and the container with
// the last status.
func TestCrashLoopEnds(t *testing.T) {
	cfg := workersConfig(2, 0)
	cfg.Respawn = RespawnAlways
	s := newScript(t, cfg)
	s.worker(Started, 1, 0)
	s.worker(Ready, 1, 1)
	for n := range 5 {
		out := s.dies(1, 0, 10+n)
		if n < 4 {
			s.wantNot(out, Effect{Op: OpSweepAll})
			s.wantWorker(s.pass(time.Minute), OpStart, 1, 0)
		} else {
			s.want(out, Effect{Op: OpSweepAll})
		}
	}
	s.wantExit(s.do(Event{Kind: NothingLeft}), 14)
}

// What cannot be started at all is not tried again.
func TestNoRespawnOfWhatNeverRan(t *testing.T) {
	cfg := testConfig()
	cfg.Respawn = RespawnAlways
	s := newScript(t, cfg)
	s.want(s.do(Event{Kind: StartFailed, Generation: 1, Status: Status{Code: 127}}), Effect{Op: OpSweepAll})
}

func TestNoRespawnWhileStopping(t *testing.T) {
	cfg := testConfig()
	cfg.Respawn, cfg.StopDelay = RespawnAlways, 10*time.Second
	s := newScript(t, cfg)
	s.gen(Started, 1)
	s.dies(1, 0, 1)
	s.do(Event{Kind: Stop})
	s.want(s.pass(10*time.Second), Effect{Op: OpSweepAll})
	s.wantNoWorker(s.all[2:], OpStart, 1, 0)
}

// Two at a time: a worker goes only when another is ready in its place.
func TestBatch(t *testing.T) {
	s := newScript(t, workersConfig(3, 2))
	out := s.swap(1)
	s.wantWorker(out, OpStart, 2, 1)
	s.wantNoWorker(out, OpStart, 2, 2)
	s.worker(Ready, 2, 0)
	s.worker(Ready, 2, 1)
	s.gen(Verified, 2)
	out = s.pass(time.Second)
	if !hasAim(out, 2, 1, 6666) {
		t.Fatalf("%v", out)
	}
	s.wantWorker(out, OpSignal, 1, 0)
	s.wantWorker(out, OpSignal, 1, 1)
	s.wantNoWorker(out, OpSignal, 1, 2)
	s.dies(1, 1, 0)
	s.wantNoWorker(s.all, OpStart, 2, 2)
	s.wantWorker(s.dies(1, 0, 0), OpStart, 2, 2)
	s.worker(Ready, 2, 2)
	s.wantNoWorker(s.all, OpSignal, 1, 2)
	out = s.pass(time.Second)
	s.want(out, Effect{Op: OpCutOver, Generation: 2})
	s.wantWorker(out, OpSignal, 1, 2)
	s.want(out, Effect{Op: OpReply, ID: 1, OK: true})
}

// A batch that fails: those that were replaced come back first.
func TestBatchFails(t *testing.T) {
	s := newScript(t, workersConfig(2, 1))
	s.worker(Ready, 1, 0)
	s.worker(Ready, 1, 1)
	s.swap(1)
	s.worker(Ready, 2, 0)
	s.gen(Verified, 2)
	s.pass(time.Second)
	s.wantWorker(s.dies(1, 0, 0), OpStart, 2, 1)
	out := s.dies(2, 1, 1)
	s.want(out, Effect{Op: OpReply, ID: 1, OK: false})
	s.wantWorker(out, OpStart, 1, 0)
	s.wantNoWorker(out, OpSignal, 2, 0) // it serves until then
	s.swap(2)
	s.wantNot(s.all, Effect{Op: OpStart, Generation: 3})
	out = s.worker(Ready, 1, 0)
	if !hasAim(out, 1, 2, Full) {
		t.Fatalf("%v", out)
	}
	s.wantWorker(out, OpSignal, 2, 0)
	s.want(out, Effect{Op: OpStart, Generation: 3})
}

func TestReplace(t *testing.T) {
	cfg := testConfig()
	cfg.Strategy = Replace
	for _, works := range []bool{true, false} {
		s := newScript(t, cfg)
		out := s.swap(1)
		s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		s.wantNot(out, Effect{Op: OpStart, Generation: 2})
		s.exit(1, 0)
		out = s.gen(Swept, 1)
		s.want(out, Effect{Op: OpStart, Generation: 2})
		if !hasAim(out, 2, 0, Full) {
			t.Fatalf("connections do not wait: %v", out)
		}
		if works {
			s.want(s.swapped(2), Effect{Op: OpReply, ID: 1, OK: true})
			continue
		}
		s.gen(Ready, 2)
		out = s.exit(2, 1)
		s.want(out, Effect{Op: OpReply, ID: 1, OK: false})
		out = s.gen(Swept, 2)
		s.want(out, Effect{Op: OpStart, Generation: 3})
		if e := out[2]; !e.Again || e.Other != 1 {
			t.Errorf("not the previous command: %v", out)
		}
		if s.m.Active() != 3 {
			t.Errorf("active %d", s.m.Active())
		}
		s.exit(3, 7)
		s.wantExit(s.do(Event{Kind: NothingLeft}), 7)
	}
}

func TestForce(t *testing.T) {
	s := newScript(t, testConfig())
	out := s.do(Event{Kind: Swap, Request: Request{ID: 1, Again: true, Force: true}})
	s.want(out, Effect{Op: OpKill, Generation: 1})
	s.exit(1, 0)
	out = s.gen(Swept, 1)
	s.want(out, Effect{Op: OpStart, Generation: 2})
}

func handoverScript(t *testing.T, joined bool) *script {
	cfg := testConfig()
	cfg.Strategy = Handover
	s := newScript(t, cfg)
	s.want(s.do(Event{Kind: ReadyFor, Generation: 1, Resource: ":80"}), Effect{Op: OpGo, Generation: 1}) // the first gets it at once
	if joined {
		s.gen(Joined, 1)
	}
	s.want(s.swap(1), Effect{Op: OpStart, Generation: 2})
	return s
}

func TestHandover(t *testing.T) {
	s := handoverScript(t, true)
	out := s.do(Event{Kind: ReadyFor, Generation: 2, Resource: ":80"})
	s.want(out, Effect{Op: OpTakedown, Generation: 1})
	s.wantNot(out, Effect{Op: OpGo})
	s.want(s.do(Event{Kind: ReadyFor, Generation: 2, Resource: ":81"}), Effect{Op: OpTakedown, Generation: 1})
	out = s.do(Event{Kind: Released, Generation: 1, Resource: ":81"})
	s.want(out, Effect{Op: OpGo, Generation: 2})
	if last := out[len(out)-1]; last.Resource != ":81" {
		t.Fatalf("%v", out)
	}
	s.want(s.do(Event{Kind: Released, Generation: 1, Resource: ":80"}), Effect{Op: OpGo, Generation: 2})
	s.wantNot(s.pass(time.Minute/2), Effect{Op: OpSignal})
	s.want(s.swapped(2), Effect{Op: OpReply, ID: 1, OK: true})
}

// Silence, and a predecessor that is not on the channel, end in the stop signal.
func TestHandoverBySignal(t *testing.T) {
	for _, joined := range []bool{true, false} {
		s := handoverScript(t, joined)
		out := s.do(Event{Kind: ReadyFor, Generation: 2, Resource: ":80"})
		if joined {
			s.wantNot(s.pass(9*time.Second), Effect{Op: OpSignal})
			out = s.pass(time.Second)
		}
		s.want(out, Effect{Op: OpSignal, Generation: 1, Signal: sigRetire})
		s.want(s.exit(1, 0), Effect{Op: OpGo, Generation: 2})
		s.wantNot(s.gen(Ready, 2), Effect{Op: OpCutOver}) // it has to settle all the same
		s.gen(Verified, 2)
		s.want(s.pass(time.Second), Effect{Op: OpReply, ID: 1, OK: true})
	}
}

// A successor that fails after it got a resource: the predecessor has it again.
func TestHandoverFails(t *testing.T) {
	s := handoverScript(t, true)
	s.do(Event{Kind: ReadyFor, Generation: 2, Resource: ":80"})
	s.do(Event{Kind: Released, Generation: 1, Resource: ":80"})
	out := s.exit(2, 1)
	s.want(out, Effect{Op: OpReply, ID: 1, OK: false})
	s.wantNot(out, Effect{Op: OpGo, Generation: 1}) // something of it may still have it
	s.want(s.gen(Swept, 2), Effect{Op: OpGo, Generation: 1})
}

func TestPrepare(t *testing.T) {
	cfg := testConfig()
	cfg.Prepare = true
	s := newScript(t, cfg)
	out := s.swap(1)
	s.want(out, Effect{Op: OpPrepare})
	s.wantNot(out, Effect{Op: OpStart, Generation: 2})
	s.want(s.do(Event{Kind: Prepared, Reason: "no"}), Effect{Op: OpReply, ID: 1, OK: false, Reason: "no"})
	s.swap(2)
	out = s.do(Event{Kind: Prepared, Request: Request{Command: []string{"x"}}})
	s.want(out, Effect{Op: OpStart, Generation: 2})
	if out[0].Command[0] != "x" {
		t.Errorf("%v", out)
	}
}

// A worker that is to be started again is killed alone: its generation goes on.
func TestHungWorkerIsStartedAgain(t *testing.T) {
	cfg := testConfig()
	cfg.Respawn, cfg.Watchdog = RespawnOnFailure, time.Second
	s := newScript(t, cfg)
	s.gen(Started, 1)
	s.gen(Ready, 1)
	s.want(s.pass(time.Second), Effect{Op: OpSignal, Generation: 1, Signal: sigAbort})
	s.wantWorker(s.pass(abortGrace), OpKillWorker, 1, 0)
	s.do(Event{Kind: Exited, Generation: 1, Status: Status{Signal: 9}})
	s.wantWorker(s.pass(time.Second), OpStart, 1, 0)
	s.wantNot(s.all, Effect{Op: OpKill})
}

// Only a successor whose predecessor may be kept has to be steered.
func TestCareful(t *testing.T) {
	for _, strategy := range []Strategy{Overlap, Replace} {
		cfg := testConfig()
		cfg.Keep = time.Minute
		s := newScript(t, cfg)
		s.do(Event{Kind: Swap, Request: Request{ID: 1, Strategy: strategy}})
		if strategy == Replace {
			s.exit(1, 0)
			s.gen(Swept, 1)
		}
		last := s.all[len(s.all)-1]
		for _, e := range s.all {
			if e.Op == OpStart {
				last = e
			}
		}
		if last.Generation != 2 || last.Careful != (strategy == Overlap) {
			t.Errorf("strategy %d: %+v", strategy, last)
		}
	}
}

// Who asks for a command is not told that it runs when a restart took its place,
// nor the other way round.
func TestRestartAgainstACommand(t *testing.T) {
	restart, command := Request{ID: 2, Again: true}, Request{ID: 3, Command: []string{"x"}}
	for _, order := range [][2]Request{{restart, command}, {command, restart}} {
		s := newScript(t, testConfig())
		s.swap(1)
		s.do(Event{Kind: Swap, Request: order[0]})
		out := s.do(Event{Kind: Swap, Request: order[1]})
		s.want(out, Effect{Op: OpReply, ID: order[0].ID, OK: false, Reason: "superseded"})
	}
}

// A successor that serves alone is stopped like any active generation.
func TestStopWhileAReplacementSettles(t *testing.T) {
	cfg := testConfig()
	cfg.Strategy, cfg.StopDelay = Replace, time.Second
	s := newScript(t, cfg)
	s.swap(1)
	s.exit(1, 0)
	s.gen(Swept, 1)
	s.gen(Ready, 2)
	out := s.do(Event{Kind: Stop})
	s.wantNot(out, Effect{Op: OpSweepAll})
	s.want(s.pass(time.Second), Effect{Op: OpSignal, Generation: 2, Signal: sigStop})
	s.exit(2, 9)
	s.wantExit(s.do(Event{Kind: NothingLeft}), 9)
}

// The active generation dies in the middle of a roll: what serves already takes
// over, whoever else is still there.
func TestActiveDiesInARoll(t *testing.T) {
	cfg := workersConfig(2, 1)
	cfg.Drain = true
	s := newScript(t, cfg)
	s.worker(Ready, 1, 0)
	s.worker(Ready, 1, 1)
	roll := func(n int) {
		s.worker(Ready, n, 0)
		s.gen(Verified, n)
		s.pass(time.Second)
	}
	s.swap(1)
	roll(2)
	s.dies(1, 0, 0)
	s.worker(Ready, 2, 1)
	s.want(s.pass(time.Second), Effect{Op: OpDrain, Generation: 1}) // and it drains on
	s.swap(2)
	roll(3)
	s.dies(2, 0, 0)
	out := s.dies(2, 1, 1)
	s.want(out, Effect{Op: OpCutOver, Generation: 3})
	s.want(out, Effect{Op: OpReply, ID: 2, OK: true})
}

// The last worker of the active generation waits to be started again when its
// turn to be replaced comes: nobody is left of it then.
func TestRollOfTheDead(t *testing.T) {
	cfg := workersConfig(3, 2)
	cfg.Respawn = RespawnOnFailure
	s := newScript(t, cfg)
	s.worker(Started, 1, 0)
	for w := range 3 {
		s.worker(Ready, 1, w)
	}
	s.dies(1, 0, 0)
	s.dies(1, 2, 0)
	s.swap(1)
	s.worker(Ready, 2, 0)
	s.worker(Ready, 2, 1)
	s.gen(Verified, 2)
	s.now += time.Second - 50*time.Millisecond
	s.dies(1, 1, 9)
	out := s.pass(50 * time.Millisecond)
	s.want(out, Effect{Op: OpCutOver, Generation: 2})
	s.wantWorker(out, OpStart, 2, 2)
	s.want(out, Effect{Op: OpSweep, Generation: 1})
	s.want(out, Effect{Op: OpReply, ID: 1, OK: true})
}
