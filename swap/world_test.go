package swap

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	sigStop   = 15
	sigRetire = 3
	sigAbort  = 6
	sigKill   = 9
	sigOther  = 10
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
	if b := w.body(e); b != nil {
		life = b.life
	}
	heap.Push(&w.agenda, pending{at, w.order, life, e})
}

func (w *world) death(n, k int, at time.Duration, st Status) {
	w.plan(at, &GenerationEvent{Kind: Exited, Generation: n, Worker: k, Status: st})
}

// body is that of the worker that an event is about, nil if there is none.
func (w *world) body(e Event) *body {
	if g, ok := e.(*GenerationEvent); ok {
		return w.bodies[name{g.Generation, g.Worker}]
	}
	return nil
}

// stale: the event is about a worker that is dead already.
func (w *world) stale(p pending) bool {
	b := w.body(p.event)
	g, ok := p.event.(*GenerationEvent)
	if !ok {
		return false
	}
	switch g.Kind {
	case Started, StartFailed, Ready, Never, Exited, Ping, Hung, ReadyFor, Joined:
		return b == nil || !b.alive || b.life != p.life
	}
	return false
}

func (w *world) step(e Event) error {
	if g, ok := e.(*GenerationEvent); ok && (g.Kind == Exited || g.Kind == StartFailed) {
		w.body(e).alive = false
	}
	w.events++
	w.c.in(w.now, e)
	effects := w.m.Step(w.now, e)
	if *simSeed != 0 {
		w.trace = append(w.trace, fmt.Sprintf("%v %v -> %v", w.now, e, describeAll(effects)))
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
	switch f := f.(type) {
	case *Prepare:
		e := &ContainerEvent{Kind: Prepared}
		switch {
		case w.chance(20):
			e.Reason = "the hook failed"
		case w.chance(20):
			e.Command = []string{"hooked"}
		}
		w.plan(w.later(5*time.Second), e)
	case *Start:
		n, k := f.Generation, f.Worker
		if b := w.bodies[name{n, k}]; b == nil {
			w.bodies[name{n, k}] = &body{life: 1, alive: true}
		} else {
			b.life++
			b.alive = true
		}
		w.strays[n] = w.chance(20)
		w.undying[n] = w.chance(2)
		if w.chance(8) {
			w.plan(w.later(time.Second), &GenerationEvent{Kind: StartFailed, Generation: n, Worker: k, Reason: "cannot exec", Status: Status{Code: 127}})
			return
		}
		w.plan(w.later(100*time.Millisecond), &GenerationEvent{Kind: Started, Generation: n, Worker: k})
		if w.chance(85) {
			w.plan(w.later(12*time.Second), &GenerationEvent{Kind: Ready, Generation: n, Worker: k})
		}
		if w.chance(10) {
			w.plan(w.later(20*time.Second), &GenerationEvent{Kind: Never, Generation: n, Worker: k, Reason: "closed"})
		}
		if w.chance(25) {
			w.death(n, k, w.later(60*time.Second), Status{Code: w.r.IntN(256)})
		}
		for range w.r.IntN(4) {
			kinds := []GenerationKind{Extend, Ping, Ping, Note, Hung, Joined, ReadyFor, ReadyFor}
			w.plan(w.later(20*time.Second), &GenerationEvent{Kind: kinds[w.r.IntN(len(kinds))], Generation: n, Worker: k, Duration: time.Duration(w.r.Int64N(int64(9 * time.Second))),
				Resource: string(rune('a' + w.r.IntN(2))), Reason: "note"})
		}
	case *Takedown:
		n := f.Generation
		if w.chance(60) {
			w.plan(w.later(12*time.Second), &GenerationEvent{Kind: Released, Generation: n, Resource: f.Resource})
		}
	case *Verify:
		n := f.Generation
		switch {
		case w.chance(85):
			w.plan(w.later(time.Second), &GenerationEvent{Kind: Verified, Generation: n})
		case w.chance(80):
			w.plan(w.later(time.Second), &GenerationEvent{Kind: Refused, Generation: n, Reason: "holds none"})
		}
	case *SignalWorker:
		n, k := f.Generation, f.Worker
		if f.Signal != sigOther && w.chance(80) {
			w.death(n, k, w.later(8*time.Second), Status{Code: w.r.IntN(3)})
		}
	case *KillWorker:
		n, k := f.Generation, f.Worker
		if !w.undying[n] {
			w.death(n, k, w.later(50*time.Millisecond), Status{Signal: 9})
		}
	case *Kill:
		n := f.Generation
		if !w.undying[n] {
			w.strays[n] = false
			for k := range w.cfg.Workers {
				if b := w.bodies[name{n, k}]; b != nil && b.alive {
					w.death(n, k, w.later(50*time.Millisecond), Status{Signal: 9})
				}
			}
			w.plan(w.later(60*time.Millisecond), &GenerationEvent{Kind: Swept, Generation: n})
		}
	case *Drain:
		n := f.Generation
		at := w.now
		if w.chance(50) {
			at = w.later(20 * time.Millisecond)
			w.plan(at, &GenerationEvent{Kind: Busy, Generation: n, Reason: "3 connections open"})
		}
		if w.chance(70) {
			w.plan(at+w.later(20*time.Second)-w.now, &GenerationEvent{Kind: Drained, Generation: n, Reason: "its connections are idle"})
		}
	case *Aim:
		n := f.Generation
		if f.Share < Full && w.chance(15) {
			w.plan(w.later(10*time.Second), &GenerationEvent{Kind: CheckFailed, Generation: n, Reason: "the check exited with status 1"})
		}
	case *Sweep:
		n := f.Generation
		if !w.strays[n] {
			w.plan(w.later(50*time.Millisecond), &GenerationEvent{Kind: Swept, Generation: n})
		} else if w.chance(50) {
			w.plan(w.later(3*time.Second), &GenerationEvent{Kind: Swept, Generation: n})
		}
	case *SweepAll:
		if w.chance(70) {
			w.plan(w.later(4*time.Second), &ContainerEvent{Kind: NothingLeft})
		}
	case *KillAll:
		if w.chance(90) {
			w.plan(w.later(time.Second), &ContainerEvent{Kind: NothingLeft})
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
		return &ContainerEvent{Kind: Swap, Request: r}
	case k < 12:
		return &ContainerEvent{Kind: Swap} // by signal
	case k < 13:
		w.nextID++
		return &ContainerEvent{Kind: Rollback + ContainerKind(w.r.IntN(2)), Request: Request{ID: w.nextID}}
	case k < 16:
		return &ContainerEvent{Kind: Forward, Signal: sigOther}
	case k < 17 && w.chance(25):
		return &ContainerEvent{Kind: Stop}
	case k < 18:
		return &ContainerEvent{Kind: []ContainerKind{Tick, Prepared}[w.r.IntN(2)], Reason: "stray event"}
	default:
		kinds := []GenerationKind{Started, Ready, Never, Verified, Refused, Swept, Extend, Ping, Drained, Busy, CheckFailed, Note, ReadyFor, Released, Joined}
		return &GenerationEvent{Kind: kinds[w.r.IntN(len(kinds))], Generation: w.r.IntN(w.c.last + 2), Worker: w.r.IntN(w.cfg.Workers + 1), Reason: "stray event", Resource: "a"}
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
	return true, w.step(&ContainerEvent{Kind: Tick})
}
