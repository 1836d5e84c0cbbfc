package swap

import (
	"container/heap"
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

// pending is an event that the simulated world will bring about.
type pending struct {
	at    time.Duration
	order int
	life  int // of the worker that it is about; another one has nothing to do with it
	event Event
}

// name is that of a worker.
type name struct{ generation, worker int }

// body is the process of a worker.
type body struct {
	life  int
	alive bool
}

type agenda []pending

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(pending)) }
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// world plays the processes, the kernel and the users.
type world struct {
	r       *rand.Rand
	cfg     Config
	m       *Machine
	c       *checker
	now     time.Duration
	agenda  agenda
	order   int
	nextID  uint64
	bodies  map[name]*body
	strays  map[int]bool // something of it is left when its main process is gone
	undying map[int]bool // survives KILL (uninterruptible sleep)
	events  int
	overdue int // steps in a row after which a deadline still lay in the past
	trace   []string
}

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 0x73776170))
	pick := func(ds ...time.Duration) time.Duration { return ds[r.IntN(len(ds))] }
	s := time.Second
	cfg := Config{
		ReadyTimeout: pick(s, 10*s, 60*s), Settle: pick(0, s, 5*s), Drain: r.IntN(2) == 0, DrainTimeout: pick(0, s, 30*s),
		RetireTimeout: pick(0, s, 30*s), StopDelay: pick(0, 0, 3*s), StopTimeout: pick(0, s, 10*s), LeftoverTimeout: pick(0, s, 5*s),
		Watchdog: pick(0, 0, 2*s), MaxGenerations: 2 + r.IntN(3),
		StopSignal: sigStop, RetireSignal: sigRetire, AbortSignal: sigAbort,
	}
	if r.IntN(10) == 0 {
		cfg.StopSignal = 0
	}
	cfg.Respawn = Respawn(r.IntN(3) * r.IntN(2))
	cfg.Prepare = r.IntN(5) == 0
	cfg.Workers = 1
	if r.IntN(2) == 0 {
		cfg.Workers += r.IntN(4)
	}
	cfg.Batch = 1 + r.IntN(cfg.Workers)
	if r.IntN(5) == 0 {
		cfg.Strategy = Strategy(r.IntN(4))
	}
	if cfg.Strategy > Overlap {
		cfg.Batch = cfg.Workers
	}
	if cfg.Batch == cfg.Workers && cfg.Strategy <= Overlap { // else the settings contradict each other
		cfg.Keep = pick(0, 0, s, 20*s)
		for range r.IntN(3) * r.IntN(2) {
			cfg.Canary = append(cfg.Canary, Canary{1 + r.IntN(Full-1), pick(s, 10*s)})
		}
	}
	return &world{r: r, cfg: cfg, m: New(cfg, nil), c: newChecker(cfg), bodies: map[name]*body{}, strays: map[int]bool{}, undying: map[int]bool{}}
}

func (w *world) chance(percent int) bool { return w.r.IntN(100) < percent }

func (w *world) later(upTo time.Duration) time.Duration {
	return w.now + time.Duration(w.r.Int64N(int64(upTo)+1))
}

func (w *world) plan(at time.Duration, e Event) {
	w.order++
	life := 0
	if b := w.bodies[name{e.Generation, e.Worker}]; b != nil {
		life = b.life
	}
	heap.Push(&w.agenda, pending{at, w.order, life, e})
}

func (w *world) death(n, k int, at time.Duration, st Status) {
	w.plan(at, Event{Kind: Exited, Generation: n, Worker: k, Status: st})
}

// stale: the event is about a worker that is dead already.
func (w *world) stale(p pending) bool {
	b := w.bodies[name{p.event.Generation, p.event.Worker}]
	switch p.event.Kind {
	case Started, StartFailed, Ready, Never, Exited, Ping, Hung, ReadyFor, Joined:
		return b == nil || !b.alive || b.life != p.life
	}
	return false
}

func (w *world) step(e Event) error {
	if e.Kind == Exited || e.Kind == StartFailed {
		w.bodies[name{e.Generation, e.Worker}].alive = false
	}
	w.events++
	w.c.in(w.now, e)
	effects := w.m.Step(w.now, e)
	if *simSeed != 0 {
		w.trace = append(w.trace, fmt.Sprintf("%v %v gen %d id %d -> %v", w.now, e.Kind, e.Generation, e.Request.ID, effects))
	}
	if err := w.c.out(effects, w.m.Views()); err != nil {
		return err
	}
	if at, armed := w.m.Deadline(); !armed || at > w.now {
		w.overdue = 0
	} else if w.overdue++; w.overdue > 10 {
		return fmt.Errorf("a deadline that passed at %v is not dealt with at %v: the loop would spin", at, w.now)
	}
	for _, f := range effects {
		w.react(f)
	}
	return nil
}

// react is how the simulated processes answer what is done to them.
func (w *world) react(f Effect) {
	n, k := f.Generation, f.Worker
	switch f.Op {
	case OpPrepare:
		e := Event{Kind: Prepared}
		switch {
		case w.chance(20):
			e.Reason = "the hook failed"
		case w.chance(20):
			e.Request.Command = []string{"hooked"}
		}
		w.plan(w.later(5*time.Second), e)
	case OpStart:
		if b := w.bodies[name{n, k}]; b == nil {
			w.bodies[name{n, k}] = &body{life: 1, alive: true}
		} else {
			b.life++
			b.alive = true
		}
		w.strays[n] = w.chance(20)
		w.undying[n] = w.chance(2)
		if w.chance(8) {
			w.plan(w.later(time.Second), Event{Kind: StartFailed, Generation: n, Worker: k, Reason: "cannot exec", Status: Status{Code: 127}})
			return
		}
		w.plan(w.later(100*time.Millisecond), Event{Kind: Started, Generation: n, Worker: k})
		if w.chance(85) {
			w.plan(w.later(12*time.Second), Event{Kind: Ready, Generation: n, Worker: k})
		}
		if w.chance(10) {
			w.plan(w.later(20*time.Second), Event{Kind: Never, Generation: n, Worker: k, Reason: "closed"})
		}
		if w.chance(25) {
			w.death(n, k, w.later(60*time.Second), Status{Code: w.r.IntN(256)})
		}
		for range w.r.IntN(4) {
			kinds := []Kind{Extend, Ping, Ping, Note, Hung, Joined, ReadyFor, ReadyFor}
			w.plan(w.later(20*time.Second), Event{Kind: kinds[w.r.IntN(len(kinds))], Generation: n, Worker: k, Duration: time.Duration(w.r.Int64N(int64(9 * time.Second))),
				Resource: string(rune('a' + w.r.IntN(2))), Reason: "note"})
		}
	case OpTakedown:
		if w.chance(60) {
			w.plan(w.later(12*time.Second), Event{Kind: Released, Generation: n, Resource: f.Resource})
		}
	case OpVerify:
		switch {
		case w.chance(85):
			w.plan(w.later(time.Second), Event{Kind: Verified, Generation: n})
		case w.chance(80):
			w.plan(w.later(time.Second), Event{Kind: Refused, Generation: n, Reason: "holds none"})
		}
	case OpSignal:
		if f.Signal != sigOther && w.chance(80) {
			w.death(n, k, w.later(8*time.Second), Status{Code: w.r.IntN(3)})
		}
	case OpKillWorker:
		if !w.undying[n] {
			w.death(n, k, w.later(50*time.Millisecond), Status{Signal: 9})
		}
	case OpKill:
		if !w.undying[n] {
			w.strays[n] = false
			for k := range w.cfg.Workers {
				if b := w.bodies[name{n, k}]; b != nil && b.alive {
					w.death(n, k, w.later(50*time.Millisecond), Status{Signal: 9})
				}
			}
			w.plan(w.later(60*time.Millisecond), Event{Kind: Swept, Generation: n})
		}
	case OpDrain:
		at := w.now
		if w.chance(50) {
			at = w.later(20 * time.Millisecond)
			w.plan(at, Event{Kind: Busy, Generation: n, Reason: "3 connections open"})
		}
		if w.chance(70) {
			w.plan(at+w.later(20*time.Second)-w.now, Event{Kind: Drained, Generation: n, Reason: "its connections are idle"})
		}
	case OpAim:
		if f.Share < Full && w.chance(15) {
			w.plan(w.later(10*time.Second), Event{Kind: CheckFailed, Generation: n, Reason: "the check exited with status 1"})
		}
	case OpSweep:
		if !w.strays[n] {
			w.plan(w.later(50*time.Millisecond), Event{Kind: Swept, Generation: n})
		} else if w.chance(50) {
			w.plan(w.later(3*time.Second), Event{Kind: Swept, Generation: n})
		}
	case OpSweepAll:
		if w.chance(70) {
			w.plan(w.later(4*time.Second), Event{Kind: NothingLeft})
		}
	case OpKillAll:
		if w.chance(90) {
			w.plan(w.later(time.Second), Event{Kind: NothingLeft})
		}
	}
}

// user does something that nobody asked for, at any time: requests, signals,
// and events that come late, twice, or for a generation that never was.
func (w *world) user() Event {
	switch k := w.r.IntN(20); {
	case k < 11:
		w.nextID++
		r := Request{ID: w.nextID}
		if w.chance(20) {
			r.Command = []string{string(rune('a' + w.r.IntN(3)))}
		}
		if w.chance(5) {
			r.Canary = []Canary{{2500, time.Second}, {5000, 3 * time.Second}}
		}
		if w.chance(10) {
			r.Strategy = Strategy(w.r.IntN(4))
		}
		if w.chance(5) {
			r.Command, r.Again, r.Force = nil, true, w.chance(50)
		}
		if w.chance(20) {
			r.Timeout = time.Duration(1+w.r.IntN(20)) * time.Second
		}
		return Event{Kind: Swap, Request: r}
	case k < 12:
		return Event{Kind: Swap} // by signal
	case k < 13:
		w.nextID++
		return Event{Kind: Rollback + Kind(w.r.IntN(2)), Request: Request{ID: w.nextID}}
	case k < 16:
		return Event{Kind: Forward, Signal: sigOther}
	case k < 17 && w.chance(25):
		return Event{Kind: Stop}
	default:
		kinds := []Kind{Started, Ready, Never, Verified, Refused, Swept, Extend, Ping, Drained, Busy, CheckFailed, Note, Tick, ReadyFor, Released, Joined, Prepared}
		return Event{Kind: kinds[w.r.IntN(len(kinds))], Generation: w.r.IntN(w.c.last + 2), Worker: w.r.IntN(w.cfg.Workers + 1), Reason: "stray event", Resource: "a"}
	}
}

// advance brings the next thing about: an event of the agenda or the machine's
// own deadline, whichever is first. A tick may come late.
func (w *world) advance() (bool, error) {
	deadline, armed := w.m.Deadline()
	if len(w.agenda) > 0 && (!armed || w.agenda[0].at <= deadline) {
		p := heap.Pop(&w.agenda).(pending)
		w.now = max(w.now, p.at)
		if w.stale(p) {
			return true, nil
		}
		return true, w.step(p.event)
	}
	if !armed {
		return false, nil
	}
	w.now = max(w.now, deadline)
	if w.chance(10) {
		w.now += time.Duration(w.r.Int64N(int64(3 * time.Second)))
	}
	return true, w.step(Event{Kind: Tick})
}

func (w *world) run() error {
	if err := w.step(Event{Kind: Tick}); err != nil {
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
	// Nobody asks for anything any more: the swap that runs must end.
	for i := 0; w.m.Swapping(); i++ {
		more, err := w.advance()
		if err != nil {
			return err
		}
		if g := w.m.active; g.cleared && g.told || w.m.rolling() {
			more = more || w.userKills()
		}
		if !more || i > 10000 {
			return fmt.Errorf("a swap that does not end: %v", w.m.Views())
		}
	}
	// The container is stopped, if need be by a KILL of the active generation.
	if err := w.step(Event{Kind: Stop}); err != nil {
		return err
	}
	for i := 0; !w.c.over; i++ {
		more, err := w.advance()
		if err != nil {
			return err
		}
		more = more || w.userKills()
		if !more || i > 10000 {
			return fmt.Errorf("a container that does not end: phase %d, %v", w.m.Phase(), w.m.Views())
		}
	}
	return nil
}

// userKills ends an active generation that was told to stop, does not, and has
// no limit set.
func (w *world) userKills() (any bool) {
	n := w.m.Active()
	for k := range w.cfg.Workers {
		if b := w.bodies[name{n, k}]; b != nil && b.alive {
			w.death(n, k, w.now+30*time.Second, Status{Signal: 9})
			any = true
		}
	}
	return any
}

// TestSimulation drives random schedules of deaths, readiness, timeouts,
// requests and stops and checks the invariants after each step.
func TestSimulation(t *testing.T) {
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
	counts := map[Op]int{}
	for i := range runs {
		seed := first + uint64(i)
		w := newWorld(seed)
		if err := w.run(); err != nil {
			for _, line := range w.trace[max(0, len(w.trace)-80):] {
				t.Log(line)
			}
			t.Fatalf("seed %d: %v\nreplay, with its trace: go test ./swap -run TestSimulation -sim.seed %d", seed, err, seed)
		}
		events += w.events
		for op, n := range w.c.counts {
			counts[op] += n
		}
	}
	t.Logf("%d schedules from seed %d, %d events, %v", runs, first, events, counts)
	if *simSeed != 0 {
		return
	}
	// A simulation that never gets anywhere proves nothing.
	for op := OpStart; op <= OpExit; op++ {
		if counts[op] == 0 {
			t.Errorf("no schedule came to %v", op)
		}
	}
}

// TestCheckerCounts breaks the machine on purpose, by changing what comes out
// of it, and finds each fault noticed.
func TestCheckerCounts(t *testing.T) {
	drop := func(op Op) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) (out []Effect) {
			for _, e := range in {
				if e.Op != op {
					out = append(out, e)
				}
			}
			return out
		}
	}
	twice := func(op Op) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) (out []Effect) {
			for _, e := range in {
				out = append(out, e)
				if e.Op == op {
					out = append(out, e)
				}
			}
			return out
		}
	}
	change := func(op Op, f func(*Effect)) func([]Effect, *Machine) []Effect {
		return func(in []Effect, _ *Machine) []Effect {
			for i := range in {
				if in[i].Op == op {
					f(&in[i])
				}
			}
			return in
		}
	}
	faults := map[string]func([]Effect, *Machine) []Effect{
		"a lost answer":      drop(OpReply),
		"a second answer":    twice(OpReply),
		"a second start":     twice(OpStart),
		"a second exit":      twice(OpExit),
		"a wrong status":     change(OpExit, func(e *Effect) { e.Status.Code += 3 }),
		"a wrong generation": change(OpReply, func(e *Effect) { e.Generation, e.OK = 1, true }),
		"exit without sweep": drop(OpSweepAll),
		"retired before ready": func(in []Effect, m *Machine) []Effect {
			return append(in, Effect{Op: OpSignal, Generation: m.Active(), Signal: sigRetire})
		},
		"killed before ready": func(in []Effect, m *Machine) []Effect { return append(in, Effect{Op: OpKill, Generation: m.Active()}) },
		"cut over before ready": func(in []Effect, m *Machine) []Effect {
			return append(in, Effect{Op: OpCutOver, Generation: m.last, Other: m.Active()})
		},
		"a canary before ready": func(in []Effect, m *Machine) []Effect {
			return append(in, Effect{Op: OpAim, Generation: m.last, Other: m.Active(), Share: 100})
		},
		"traffic back without need": func(in []Effect, m *Machine) []Effect {
			if m.Active() > 1 {
				in = append(in, Effect{Op: OpCutOver, Generation: 1})
			}
			return in
		},
		"traffic left with the dead": drop(OpCutOver),
		"a lost rollback":            func(in []Effect, _ *Machine) []Effect { return in },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				w := newWorld(seed + 1)
				if w.run() != nil {
					t.Fatal("the machine itself is broken: see TestSimulation")
				}
				w = newWorld(seed + 1)
				w.c = newChecker(w.cfg)
				if name == "a lost rollback" {
					w.c.verbs[99] = true
				}
				if w.runWith(fault) != nil {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// runWith is a short schedule in which every step's effects go through fault.
func (w *world) runWith(fault func([]Effect, *Machine) []Effect) error {
	do := func(e Event) error {
		w.c.in(w.now, e)
		return w.c.out(fault(w.m.Step(w.now, e), w.m), w.m.Views())
	}
	for _, e := range []Event{{Kind: Tick}, {Kind: Swap, Request: Request{ID: 1}}, {Kind: Started, Generation: 2}, {Kind: Exited, Generation: 2, Status: Status{Code: 1}},
		{Kind: Swept, Generation: 2}, {Kind: Swap, Request: Request{ID: 2}}, {Kind: Ready, Generation: 3}, {Kind: Verified, Generation: 3}, {Kind: Tick},
		{Kind: Exited, Generation: 3, Status: Status{Code: 9}}, {Kind: Exited, Generation: 1}, {Kind: NothingLeft}} {
		if err := do(e); err != nil {
			return err
		}
		w.now += 500 * time.Millisecond
	}
	return nil
}

// FuzzMachine does the same from bytes: each pair is an event and how much
// later it comes.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 14, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte("a swap, an exit and a stop"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		w := newWorld(uint64(data[0]))
		if err := w.c.out(w.m.Step(0, Event{Kind: Tick}), w.m.Views()); err != nil {
			t.Fatal(err)
		}
		for i := 1; i+1 < len(data) && i < 4000; i += 2 {
			w.now += time.Duration(data[i+1]>>3) * 300 * time.Millisecond
			e := Event{Kind: Kind(data[i] % uint8(numKinds)), Generation: int(data[i+1]&7) + max(0, w.c.last-6), Reason: "fuzz",
				Status: Status{Code: int(data[i])}, Duration: time.Duration(data[i]) * time.Second, Signal: sigOther}
			switch e.Kind {
			case Exited, StartFailed:
				e.Worker = int(data[i+1] & 3)
				if p := w.c.parts[name{e.Generation, e.Worker}]; p == nil || !p.alive {
					continue // nobody dies twice
				}
			case Ready, ReadyFor, Ping:
				e.Worker, e.Resource = int(data[i+1]&3), "a"
			case Swap, Rollback, Promote:
				w.nextID++
				e.Request.ID = w.nextID
			}
			w.c.in(w.now, e)
			if err := w.c.out(w.m.Step(w.now, e), w.m.Views()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
