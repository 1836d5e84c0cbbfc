package swap

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "run the simulation's schedule with this seed alone (0: many, from random seeds)")
	simRuns = flag.Int("sim.runs", 0, "how many schedules the simulation runs (0: 40000, 4000 with -short)")
)

func (w *world) run() error {
	if err := w.step(&ContainerEvent{Kind: Tick}); err != nil {
		return err
	}
	for range 20 + w.r.IntN(100) {
		if w.chance(40) {
			if err := w.step(w.user()); err != nil {
				return err
			}
		} else if _, err := w.advance(); err != nil {
			return err
		}
	}
	if w.chance(50) {
		if err := w.quiet(); err != nil || w.c.over {
			return err
		}
	}
	// The container is stopped, if need be by a KILL of the active generation.
	if err := w.step(&ContainerEvent{Kind: Stop}); err != nil {
		return err
	}
	for i := 0; !w.c.over; i++ {
		more, err := w.advance()
		if err != nil {
			return err
		}
		more = more || w.userKills(w.cfg.StopTimeout)
		if !more || i > 10000 {
			return fmt.Errorf("a container that does not end: %v", describeViews(w.m))
		}
	}
	return nil
}

// quiet goes on until nothing happens any more: nobody asks for anything, whoever is
// started lives, and KILL ends everybody.
func (w *world) quiet() error {
	w.calm = true
	w.gateCalms()
	for n := range w.undying {
		w.undying[n] = false
	}
	for n, b := range w.bodies {
		if b.alive && b.killed == b.life {
			w.death(n.generation, n.worker, w.later(time.Second), Status{Signal: 9})
		}
	}
	for i := 0; !w.c.over; i++ {
		more, err := w.advance()
		if err != nil {
			return err
		}
		if !more && !w.c.endless() || !more && !w.userKills(w.cfg.RetireTimeout) {
			break
		}
		if i > 10000 {
			return fmt.Errorf("it does not go quiet: %v", describeViews(w.m))
		}
	}
	return w.c.quiet(w.m)
}

// userKills ends generations that were told to stop, do not, and have no limit for that:
// the active one and, once that is dead, the others.
func (w *world) userKills(limit time.Duration) (any bool) {
	for n := 1; n <= w.c.last; n++ {
		if n != w.m.Active() && w.m.Active() != foreign && w.m.Phase() != Finishing || limit > 0 && !w.undying[n] {
			continue
		}
		for k := range w.cfg.Workers {
			if b := w.bodies[name{n, k}]; b != nil && b.alive {
				w.death(n, k, w.now+30*time.Second, Status{Signal: 9})
				any = true
			}
		}
	}
	return any
}

// TestSimulation drives random schedules of deaths, readiness, timeouts,
// requests and stops and checks the invariants after each step.
func TestSimulation(t *testing.T) { simulate(t, "TestSimulation", newWorld, everyEffect) }

// simulate runs schedules of worlds, each of the effects in want at least once.
func simulate(t *testing.T, test string, world func(seed uint64) *world, want []Effect) {
	runs := 40000
	if testing.Short() {
		runs = 4000
	}
	if *simRuns > 0 {
		runs = *simRuns
	}
	first := rand.Uint64()
	if *simSeed != 0 {
		first, runs = *simSeed, 1
	}
	events := 0
	counts := map[string]int{}
	for i := range runs {
		seed := first + uint64(i)
		w := world(seed)
		if err := w.run(); err != nil {
			scenario, short := w.shrink(err)
			t.Fatalf("seed %d: %v\nreplay: go test ./swap -run ^%s$ -sim.seed %d\nas short as it gets (%v):\n%s", seed, err, test, seed, short, scenario)
		}
		events += len(w.events)
		for op, n := range w.c.counts {
			counts[op] += n
		}
	}
	t.Logf("%d schedules from seed %d, %d events, %v", runs, first, events, counts)
	if *simSeed != 0 {
		return
	}
	// A simulation that never gets anywhere proves nothing.
	for _, e := range want {
		if op := kindOf(e); counts[op] == 0 {
			t.Errorf("no schedule came to %v", op)
		}
	}
}

// FuzzMachine does the same from bytes: each pair is an event and how much
// later it comes.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 14, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte("a swap, an exit and a stop"))
	f.Add([]byte("?a member of a gate"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		w := newWorld(uint64(data[0]))
		if data[0]%2 == 1 {
			w = newMember(uint64(data[0]))
		}
		if err := w.c.out(w.m.Step(0, &ContainerEvent{Kind: Tick}), w.m); err != nil {
			t.Fatal(err)
		}
		for i := 1; i+1 < len(data) && i < 4000; i += 2 {
			w.now += time.Duration(data[i+1]>>3) * 300 * time.Millisecond
			var e Event
			if k := int(data[i] % uint8(int(numGenerationKinds)+int(numContainerKinds))); k < int(numGenerationKinds) {
				g := &GenerationEvent{Kind: GenerationKind(k), Generation: int(data[i+1]&7) + max(0, w.c.last-6), Reason: "fuzz",
					Status: Status{Code: int(data[i])}, Duration: time.Duration(data[i]) * time.Second}
				switch g.Kind {
				case Exited, StartFailed:
					g.Worker = int(data[i+1] & 3)
					if p := w.c.parts[name{g.Generation, g.Worker}]; p == nil || !p.alive {
						continue // nobody dies twice
					}
				case Expired:
					continue // Step makes it
				case Ready, ReadyFor, Ping:
					g.Worker, g.Resource = int(data[i+1]&3), "a"
				}
				e = g
			} else {
				c := &ContainerEvent{Kind: ContainerKind(k - int(numGenerationKinds)), Reason: "fuzz", Signal: sigOther}
				if w.cfg.Membership == Alone && Granted <= c.Kind && c.Kind <= Here {
					continue // there is no gate
				}
				if c.Kind <= Promote && c.Kind != Prepared {
					w.nextID++
					c.Request.ID = w.nextID
				}
				e = c
			}
			w.events = append(w.events, moment{w.now, e})
			w.c.in(w.now, e)
			if err := w.c.out(w.m.Step(w.now, e), w.m); err != nil {
				t.Fatalf("%v\n%s", err, w.scenario(w.events))
			}
		}
	})
}
