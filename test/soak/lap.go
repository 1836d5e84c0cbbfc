package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The first lap of a kind has so many actions. Each has twice as many as the one before,
// until a container has lived through thirty times as many: then again.
const (
	shortLap = 40
	lapTimes = 6
)

// quietEvery is after how many actions everything comes to rest and is measured.
const quietEvery = 20

// restTries is how often it comes to rest anew while there are spare descriptors.
const restTries = 10

// lap is the life of one container, or of a gate.
type lap struct {
	soak   *soak
	ctx    context.Context
	kind   string
	number int
	about  string // what it was drawn to be
	dir    string // logs
	boxes  []*box
	load   *tally
	story  []string
}

// step is one action as it was drawn, with all that chance has to say about it.
type step struct {
	text  string
	lossy bool // requests may be lost meanwhile, none refused
	do    func() error
}

// act is one kind of action.
type act struct {
	name   string
	weight int
	draw   func(*rand.Rand) step
}

// scene is what the actions of a lap happen to. What it is, and each action, follows from
// the random numbers alone, never from what has happened or when.
type scene interface {
	acts() []act
	begin() error // with the load
	calm() error  // after each action: who serves
	quiet() error // everything comes to rest; what is left over would be a leak
	spare() (bool, error)
	measure() error
	usages() []string
	end() error // all stop as they are told to
}

func newScene(l *lap, r *rand.Rand) scene {
	if l.kind == "gate" {
		return newGate(l, r)
	}
	return newSingle(l, r)
}

// source is what the choices of one lap come from.
func source(seed uint64, kind string, lap int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(slices.Index(kinds, kind))<<32|uint64(lap)))
}

// laps are all of one kind. An error is a violation, unless ctx is over.
func (s *soak) laps(ctx context.Context, kind string) error {
	for done, n := 0, 1; !s.over(ctx, done); n++ {
		l := &lap{soak: s, ctx: ctx, kind: kind, number: n, dir: filepath.Join(s.dir, fmt.Sprintf("%s-%d", kind, n))}
		if err := os.Mkdir(l.dir, 0o755); err != nil {
			return err
		}
		at, err := l.run(done)
		done += at
		l.over()
		if err != nil && ctx.Err() == nil {
			return &violation{soak: s, lap: l, action: at, err: err}
		}
		if err == nil {
			_ = os.RemoveAll(l.dir)
		}
	}
	return nil
}

// over ends what has not ended by itself. No request counts any more.
func (l *lap) over() {
	if l.load != nil {
		l.load.close()
	}
	for _, b := range l.boxes {
		b.Kill() // before the load stops: it waits for those who answer
	}
	if l.load != nil {
		l.load.stop()
	}
}

// run does the actions and says how many it did.
func (l *lap) run(done int) (n int, err error) {
	r := source(l.soak.seed, l.kind, l.number)
	sc := newScene(l, r)
	if err := sc.begin(); err != nil {
		return 0, fmt.Errorf("the beginning: %w", err)
	}
	l.soak.totals.watch(l.load)
	acts := order(sc.acts(), r)
	most := shortLap << ((l.number - 1) % lapTimes)
	rested := 0
	for ; n < most && !l.soak.over(l.ctx, done+n); n++ {
		a := choose(acts, n, r)
		if err := l.one(sc, a, a.draw(r)); err != nil {
			return n + 1, err
		}
		if n+1 >= len(acts)+rested*quietEvery {
			rested++
			if err := l.rest(sc, true); err != nil {
				return n + 1, err
			}
		}
	}
	if err := errors.Join(l.rest(sc, rested > 0), l.ctx.Err()); err != nil {
		return n, err
	}
	l.say("the end")
	usages := sc.usages()
	if err := sc.end(); err != nil {
		return n, fmt.Errorf("the end: %w", err)
	}
	var all []string
	for _, u := range usages {
		all = append(all, fmt.Sprintf("%s lap %d, %d actions, %s", l.kind, l.number, n, u))
	}
	l.soak.totals.lapped(all)
	return n, nil
}

func (l *lap) say(format string, args ...any) {
	l.story = append(l.story, time.Now().Format(stamp)+" "+fmt.Sprintf(format, args...))
	if len(l.story) > 10*lastActions {
		l.story = slices.Clone(l.story[len(l.story)-lastActions:])
	}
}

// one does one action, and looks whether all is as it has to be afterwards.
func (l *lap) one(sc scene, a act, s step) error {
	what := a.name
	if s.text != "" {
		what += ": " + s.text
	}
	l.say("%s", what)
	l.load.may(s.lossy)
	err := s.do()
	if err == nil {
		err = sc.calm()
	}
	l.load.may(false)
	if err == nil {
		// What it has done to the requests shows in those that begin now.
		err = l.load.more(l.ctx, 10)
	}
	if err = errors.Join(l.load.lost(), err, l.logs()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	l.soak.totals.did(l.kind, a.name)
	return nil
}

// rest has everything come to rest, and measures.
func (l *lap) rest(sc scene, warm bool) error {
	l.say("a rest")
	var err error
	for more, try := true, 0; more && err == nil && try < restTries; try++ {
		if err = sc.quiet(); err == nil {
			more, err = sc.spare()
		}
	}
	if err == nil && warm {
		err = sc.measure()
	}
	if err = errors.Join(l.load.lost(), err, l.logs()); err != nil {
		return fmt.Errorf("at rest: %w", err)
	}
	return nil
}

// logs are those of all containers.
func (l *lap) logs() error {
	for _, b := range l.boxes {
		if err := b.log.wrong(); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

// forget is for containers that have ended.
func (l *lap) forget(b *box) {
	l.boxes = slices.DeleteFunc(l.boxes, func(o *box) bool { return o == b })
}

// order is that of the warm-up, in which each kind of action comes once.
func order(acts []act, r *rand.Rand) []act {
	r.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	return acts
}

// choose is the action with that number: by the weights, after the warm-up.
func choose(acts []act, number int, r *rand.Rand) act {
	if number < len(acts) {
		return acts[number]
	}
	sum := 0
	for _, a := range acts {
		sum += a.weight
	}
	n := r.IntN(sum)
	for _, a := range acts {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("unreachable")
}

// one of the choices.
func oneOf[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// upTo is a duration.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
