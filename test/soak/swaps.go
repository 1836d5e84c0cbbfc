package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// acts are the actions of a single container. What may be lost by each is nothing, unless
// it is lossy; the generation that serves afterwards is s.active.
func (s *single) acts() []act {
	if s.broken {
		return []act{{"swap", 1, s.swap}}
	}
	all := []act{
		{"swap", 20, s.swap},
		{"restart", 2, s.restart},
		{"bad successor", 10, s.badSuccessor},
		{"swaps that nobody waits for", 3, s.burst},
		{"swap signals", 3, s.signals},
		{"swap cancelled", 3, s.cancel},
		{"canary", 3, s.canary},
		{"canary rolled back", 3, s.canaryBack},
		{"canary promoted", 3, s.canaryOn},
		{"server stopped for a moment", 3, s.stopServer},
		{"init stopped for a moment", 2, s.stopInit},
		{"garbage on the control socket", 3, s.garbage},
		{"flood of the control socket", 2, s.flood},
		{"half a request", 3, s.halfRequest},
		{"orphans", 2, s.orphans},
		{"full log", 3, s.fullLog},
		{"messages", 1, s.messages},
	}
	if !s.abrupt { // it finishes what it has; nobody drains it
		all = append(all, act{"swap by replace", 3, s.replace})
	}
	if s.keep {
		all = append(all,
			act{"rollback", 4, s.rollback},
			act{"promote", 3, s.promote},
		)
	}
	switch {
	case s.workers > 1: // those that are killed are started again
		all = append(all, act{"worker killed", 3, s.killWorker})
	case s.keep:
		all = append(all,
			act{"kept predecessor killed", 3, s.killKept},
			act{"active killed beside a kept one", 3, s.killActive},
			act{"successor killed at any moment", 3, s.killAny},
		)
	default:
		all = append(all, act{"draining predecessor killed", 3, s.killDraining})
	}
	if s.workers == 1 {
		all = append(all, act{"successor killed while it starts", 3, s.killSuccessor})
	}
	return all
}

// swap: the successor serves. Some are asked for by the program, as people do.
func (s *single) swap(r *rand.Rand) step {
	if r.IntN(4) > 0 {
		return step{do: func() error { return s.swapped(swapArgs{}) }}
	}
	return step{text: "by the program", do: func() error {
		code, text, err := s.verb("swap")
		if err == nil && code != 0 {
			err = fmt.Errorf("exit status %d: %s", code, text)
		}
		if err != nil {
			return err
		}
		return s.now()
	}}
}

// now takes the generation that is active for the one that has to be.
func (s *single) now() error {
	t, err := s.status()
	if err == nil {
		s.active, err = t.active()
	}
	return err
}

// restart is a swap for the same command.
func (s *single) restart(*rand.Rand) step {
	return step{do: func() error {
		r, err := s.must("restart", nil)
		s.active = r.Generation
		return err
	}}
}

// replace: the predecessor ends first, connections wait.
func (s *single) replace(*rand.Rand) step {
	return step{do: func() error { return s.swapped(swapArgs{Strategy: "replace"}) }}
}

// badSuccessor: the swap fails, the predecessor serves on.
func (s *single) badSuccessor(r *rand.Rand) step {
	bad := []struct {
		text string
		args swapArgs
	}{
		{"exits at once", swapArgs{Command: s.with("-die", "boot", "-die-status", "7")}},
		{"is killed at once", swapArgs{Command: s.with("-die", "boot", "-die-signal", "KILL")}},
		{"is never ready", swapArgs{Command: s.with("-gate", "/nonexistent/gate"), Timeout: 100 + r.IntN(300)}},
		{"has unknown flags", swapArgs{Command: s.with("-unknown")}},
		{"is another program", swapArgs{Command: []string{"/bin/false"}}},
		{"does not exist", swapArgs{Command: []string{"/nonexistent/server"}}},
		{"is a folder", swapArgs{Command: []string{"/"}}},
		{"dies in a canary", swapArgs{Command: s.with("-die", "boot"), Canary: "50%/1h"}},
	}
	if s.settle {
		bad = append(bad, bad[0])
		bad[len(bad)-1].text, bad[len(bad)-1].args.Command = "dies while it settles", s.with("-die", "ready")
	}
	if !s.adopted {
		bad = append(bad, bad[0])
		bad[len(bad)-1].text, bad[len(bad)-1].args.Command = "takes no socket", s.with("-take", "none")
	}
	b := oneOf(r, bad...)
	return step{text: b.text, do: func() error { return s.fails(b.args) }}
}

// burst: all are served by swaps that begin later, the last of which is waited for.
func (s *single) burst(r *rand.Rand) step {
	n := 2 + r.IntN(3)
	return step{text: fmt.Sprint(n), do: func() error {
		for range n {
			if _, err := s.must("swap", swapArgs{NoWait: true}); err != nil {
				return err
			}
		}
		return s.swapped(swapArgs{})
	}}
}

// signals ask for swaps. A request that is sent after them may be read before them, and
// so they have another swap.
func (s *single) signals(r *rand.Rand) step {
	var all []syscall.Signal
	for range 1 + r.IntN(8) {
		all = append(all, oneOf(r, syscall.SIGHUP, syscall.SIGUSR2))
	}
	return step{text: fmt.Sprint(all), do: func() error {
		for _, sig := range all {
			if err := s.Signal(sig); err != nil {
				return err
			}
		}
		if err := s.swapped(swapArgs{}); err != nil {
			return err
		}
		least := s.active
		err := s.await("the end of all swaps", func(t *status) bool { return t.Swap == nil })
		if err = errors.Join(err, s.now()); err == nil && s.active < least {
			err = fmt.Errorf("generation %d is active, want %d or a later one", s.active, least)
		}
		return err
	}}
}

// slow is a swap whose successor never gets ready by itself.
func (s *single) slow() swapArgs { return swapArgs{Command: s.with("-gate", "/nonexistent/gate")} }

// killSuccessor: the swap fails.
func (s *single) killSuccessor(r *rand.Rand) step {
	wait, which := upTo(r, 200*time.Millisecond), r.IntN(s.workers)
	return step{text: wait.String(), do: func() error {
		end := aside(func() error { return s.fails(s.slow()) })
		n, err := s.begun()
		if err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		pid, err := s.pidOf(n, which)
		if err == nil {
			err = s.box.signal(pid, syscall.SIGKILL)
		}
		if err != nil {
			return err
		}
		return end()
	}}
}

// killAny: a successor is killed before or after its cut-over. The predecessor is kept, so
// it has the traffic in the end.
func (s *single) killAny(r *rand.Rand) step {
	wait := upTo(r, 150*time.Millisecond)
	return step{text: wait.String(), lossy: true, do: func() error {
		t, err := s.status()
		if err != nil {
			return err
		}
		before, last := s.active, t.newest() // which was rolled back, if it is not the same
		end := aside(func() error { _, err := s.asks("swap", swapArgs{}); return err })
		n := 0
		err = s.await("a successor", func(t *status) bool {
			n = t.newest()
			return n > last && len(t.of(n).Pids) == s.workers
		})
		if err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		if err := s.killAll(n); err != nil {
			return err
		}
		if err := end(); err != nil {
			return err
		}
		return s.await("the predecessor to serve", func(t *status) bool { g := t.of(before); return g != nil && g.State == "active" && t.of(n) == nil })
	}}
}

// killAll kills all processes of a generation at a time, so that none is started again.
func (s *single) killAll(n int) error {
	t, err := s.status()
	if err != nil {
		return err
	}
	g := t.of(n)
	if g == nil {
		return fmt.Errorf("generation %d is gone: %v", n, t)
	}
	for _, p := range s.Procs() {
		if slices.Contains(g.Pids, p.Pid) {
			if err := syscall.Kill(p.Host, syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	return nil
}

// cancel: the swap is called off.
func (s *single) cancel(r *rand.Rand) step {
	wait := upTo(r, 100*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		end := aside(func() error { return s.fails(s.slow()) })
		if _, err := s.begun(); err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		if _, err := s.must("swap", swapArgs{Cancel: true}); err != nil {
			return err
		}
		return end()
	}}
}

// canary walks its stages.
func (s *single) canary(r *rand.Rand) step {
	stages := oneOf(r, "10%/100ms", "1%/50ms,25%/50ms", "50%/200ms,99%/20ms")
	return step{text: stages, do: func() error { return s.swapped(swapArgs{Canary: stages}) }}
}

// inCanary has a swap wait in a canary.
func (s *single) inCanary(end func() error) (func() error, error) {
	wait := aside(end)
	return wait, s.await("a canary", func(t *status) bool { return t.Swap != nil && t.Swap.Share == 50 })
}

var halfForLong = swapArgs{Canary: "50%/1h"}

// canaryBack: the predecessor has everything again.
func (s *single) canaryBack(r *rand.Rand) step {
	wait := upTo(r, 300*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		end, err := s.inCanary(func() error { return s.fails(halfForLong) })
		if err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		return s.verbThen("rollback", end)
	}}
}

// canaryOn: the successor has everything.
func (s *single) canaryOn(r *rand.Rand) step {
	wait := upTo(r, 300*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		end, err := s.inCanary(func() error { return s.swapped(halfForLong) })
		if err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		return s.verbThen("promote", end)
	}}
}

// verbThen is a verb that ends a swap.
func (s *single) verbThen(verb string, end func() error) error {
	if _, err := s.must(verb, nil); err != nil {
		return err
	}
	return end()
}

// rollback: the kept predecessor serves again.
func (s *single) rollback(r *rand.Rand) step {
	wait := upTo(r, 200*time.Millisecond)
	return step{text: wait.String(), do: func() error {
		before := s.active
		if err := s.swapped(swapArgs{}); err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		r, err := s.must("rollback", nil)
		if err == nil && r.Generation != before {
			err = fmt.Errorf("rollback to generation %d: %+v", before, r)
		}
		s.active = before
		return err
	}}
}

// promote: the kept predecessor is let go.
func (s *single) promote(*rand.Rand) step {
	return step{do: func() error {
		before := s.active
		if err := s.swapped(swapArgs{}); err != nil {
			return err
		}
		if _, err := s.must("promote", nil); err != nil {
			return err
		}
		return s.await("the predecessor's end", func(t *status) bool { return t.of(before) == nil })
	}}
}
