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
	life   int
	alive  bool
	killed int // the life in which it has got KILL
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
	crashes bool         // nobody lives long
	calm    bool         // whoever is started lives on, and nobody asks for anything
	gate    simulatedGate
	overdue int // steps in a row after which a deadline still lay in the past
	events  []moment

	fault   func([]Effect, *Machine) []Effect // changes what comes out, nil: nothing
	unarmed bool                              // the checker sees no deadline
}

// moment is an event and its time.
type moment struct {
	at    time.Duration
	event Event
}

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 0x73776170))
	return worldOf(r, anyConfig(r))
}

func worldOf(r *rand.Rand, cfg Config) *world {
	return &world{r: r, cfg: cfg, crashes: r.IntN(20) == 0, m: New(cfg, nil), c: newChecker(cfg), bodies: map[name]*body{}, strays: map[int]bool{}, undying: map[int]bool{}}
}

func anyConfig(r *rand.Rand) Config {
	pick := func(ds ...time.Duration) time.Duration { return ds[r.IntN(len(ds))] }
	s := time.Second
	cfg := Config{
		ReadyTimeout: pick(s, 10*s, 60*s), Settle: pick(0, s, 5*s), Drain: r.IntN(2) == 0, DrainTimeout: pick(0, s, 30*s),
		RetireTimeout: pick(0, s, 30*s), StopDelay: pick(0, 0, 3*s), StopDrain: pick(0, 0, 4*s), StopTimeout: pick(0, s, 10*s), LeftoverTimeout: pick(0, s, 5*s),
		Watchdog: pick(0, 0, 2*s), MaxGenerations: 2 + r.IntN(3),
		StopSignal: sigStop, RetireSignal: sigRetire, AbortSignal: sigAbort,
	}
	if r.IntN(10) == 0 {
		cfg.StopSignal = 0
	}
	if r.IntN(20) == 0 {
		cfg.ReadyTimeout = 0
	}
	cfg.Respawn = Respawn(r.IntN(3) * r.IntN(2))
	cfg.Prepare, cfg.PrepareTimeout = r.IntN(5) == 0, pick(2*s, 30*s)
	cfg.Workers = 1
	if r.IntN(2) == 0 {
		cfg.Workers += r.IntN(4)
	}
	cfg.Batch = 1 + r.IntN(cfg.Workers)
	if r.IntN(4) == 0 {
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
	return cfg
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
	effects, err := w.tell(e)
	if err != nil {
		return err
	}
	for _, f := range effects {
		w.react(f)
	}
	return nil
}

// tell gives the machine an event, and the checker what came out.
func (w *world) tell(e Event) ([]Effect, error) {
	w.events = append(w.events, moment{w.now, e})
	w.c.in(w.now, e)
	effects := w.m.Step(w.now, e)
	var says account = w.m
	if w.fault != nil {
		effects = w.fault(effects, w.m)
	}
	if w.unarmed {
		says = unarmed{w.m}
	}
	if err := w.c.out(effects, says); err != nil {
		return effects, err
	}
	if at, armed := w.m.Deadline(); !armed || at > w.now {
		w.overdue = 0
	} else if w.overdue++; w.overdue > 10 {
		return effects, fmt.Errorf("a deadline that passed at %v is not dealt with at %v: the loop would spin", at, w.now)
	}
	return effects, nil
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
	} else if w.chance(2) { // the machine was suspended
		w.now += time.Duration(w.r.Int64N(int64(30 * time.Second)))
	}
	return true, w.step(&ContainerEvent{Kind: Tick})
}
