package arbiter

import (
	"fmt"
	"slices"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// body is a member: its init with its servers, as far as the gate can tell.
type body struct {
	name     string
	life     int
	alive    bool
	session  Session // 0: not connected
	paused   bool
	held     []func() error // what waits for it meanwhile
	leaving  bool
	belief   Role // "" before the first welcome
	epoch    int64
	gen      int  // serves, or is kept
	rise     int  // is to take over
	up       bool // rise is ready
	dead     bool // its sockets are
	last     int
	id       int
	unheard  []Event // has perhaps not arrived
	void     *Ask    // that it does not want any more
	call     Event   // Turn or Ask without an answer; its Session is set anew each time
	operator bool
	refused  bool
	heard    time.Duration // what comes keeps its order
	said     time.Duration
}

// after does something later, if the member still lives the same life; one that is paused
// does it when it goes on.
func (b *body) after(w *world, in time.Duration, do func() error) {
	life := b.life
	w.plan(in, func() error {
		switch {
		case !b.alive || b.life != life:
			return nil
		case b.paused:
			b.held = append(b.held, func() error {
				if !b.alive || b.life != life {
					return nil
				}
				return do()
			})
			return nil
		}
		return do()
	})
}

func (b *body) unpause(w *world) error {
	held := b.held
	b.paused, b.held = false, nil
	for _, do := range held {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// say sends an event, which arrives a little later, if the connection is there.
func (b *body) say(w *world, e Event) {
	session, gate := b.session, w.gates
	if session == 0 {
		return
	}
	b.said = max(b.said, w.rig.now+w.some(50*time.Millisecond))
	switch e.(type) {
	case *Done, *Took, *Moved, *Settled, *NoServer:
		b.unheard = append(b.unheard, e)
	}
	life := b.life
	w.plan(b.said-w.rig.now, func() error {
		if gate != w.gates {
			return nil
		}
		if b.life == life && b.session == session {
			b.unheard = slices.DeleteFunc(b.unheard, func(u Event) bool { return u == e })
		}
		return w.tell(e)
	})
}

// repeat says what a lost connection has swallowed.
func (b *body) repeat(w *world) {
	unheard := b.unheard
	b.unheard = nil
	for _, e := range unheard {
		switch e := e.(type) {
		case *Done:
			e.Session = b.session
		case *Took:
			e.Session = b.session
		case *Moved:
			if b.dead {
				continue
			}
			e.Session, e.Generation = b.session, b.gen
		case *Settled:
			e.Session = b.session
		case *NoServer:
			e.Session = b.session
		}
		b.say(w, e)
	}
}

// deliver brings an effect to its member.
func (w *world) deliver(s Session, e Effect) {
	for _, b := range w.bodies {
		if b.session != s || !b.alive {
			continue
		}
		b.heard = max(b.heard, w.rig.now+w.some(50*time.Millisecond))
		b.after(w, b.heard-w.rig.now, func() error {
			if b.session != s {
				return nil
			}
			return b.hear(w, e)
		})
	}
}

func (b *body) start(w *world) error {
	*b = body{name: b.name, life: b.life + 1, alive: true, id: 1000 * b.life, said: b.said}
	return b.connect(w)
}

func (b *body) connect(w *world) error {
	if b.session != 0 || !b.alive {
		return nil
	}
	w.session++
	b.session = w.session
	e := &Join{Session: b.session, Member: b.name, Life: fmt.Sprint(b.name, b.life), Epoch: b.epoch, State: b.belief, Generation: b.gen, Dead: b.dead}
	if b.belief == Retired || b.belief == Superseded || b.belief == Failed {
		e.Generation = 0
	}
	b.say(w, e)
	if b.leaving {
		b.say(w, &Leaving{Session: b.session})
	}
	return nil
}

// reconnect: the connection breaks, and nobody has died.
func (b *body) reconnect(w *world) error {
	old := b.session
	if old == 0 || b.leaving {
		return nil
	}
	if w.chance(50) {
		b.say(w, &Ended{old})
		b.session = 0
		return b.connect(w)
	}
	b.session = 0
	err := b.connect(w)
	now := b.session
	b.session = old
	b.say(w, &Ended{old})
	b.session = now
	return err
}

// end is the end of its processes; the kernel closes its connection.
func (b *body) end(w *world) {
	b.say(w, &Ended{b.session})
	b.alive, b.session, b.paused, b.held = false, 0, false, nil
	if w.fails(40) {
		w.plan(w.some(15*time.Second), func() error { // a restart policy
			if b.alive || w.calm {
				return nil
			}
			return b.start(w)
		})
	}
}

func (b *body) die(w *world) error {
	b.end(w)
	return nil
}

// serverDies: its init notices, says so, and ends.
func (b *body) serverDies(w *world) error {
	if b.paused || b.leaving {
		return nil
	}
	b.leaving = true
	b.say(w, &Leaving{b.session, true})
	b.after(w, w.some(3*time.Second), func() error { return b.die(w) })
	return nil
}

// stop is docker stop.
func (b *body) stop(w *world) error {
	if b.paused || b.leaving {
		return nil
	}
	b.leaving = true
	b.say(w, &Leaving{Session: b.session})
	b.after(w, w.some(15*time.Second), func() error { return b.die(w) })
	return nil
}

// swap is an operator's, in a member.
func (b *body) swap(w *world) error {
	switch {
	case b.paused || b.leaving || b.call != nil || b.rise != 0 || b.belief == "":
	case b.belief == Holder:
		b.ask(w, &Turn{})
	default:
		b.operator = true
		b.raise(w)
	}
	return nil
}

// ask calls the gate.
// by is what may decide about a share, and about all of it though that means nothing.
func (w *world) by() shares.By {
	return []shares.By{shares.Random, shares.ByClient(w.r.Uint32()), "10.0.0.0/8"}[w.r.IntN(3)]
}

func (b *body) ask(w *world, e Event) {
	b.id++
	switch e := e.(type) {
	case *Turn:
		e.ID = b.id
	case *Ask:
		e.ID, e.Operator = b.id, b.operator
	}
	b.call = e
	b.again(w)
}

func (b *body) again(w *world) {
	switch e := b.call.(type) {
	case *Turn:
		b.say(w, &Turn{b.session, e.ID})
	case *Ask:
		again := *e
		again.Session = b.session
		b.say(w, &again)
	}
}

// raise starts a server that is to take over.
func (b *body) raise(w *world) {
	b.last++
	b.rise, b.up = b.last, false
	n := b.rise
	b.after(w, w.some(20*time.Second), func() error {
		if b.rise != n || b.leaving {
			return nil
		}
		if w.fails(10) {
			return b.failed(w)
		}
		b.up = true
		share := shares.Full
		if w.chance(30) {
			share = w.r.IntN(shares.Full)
		}
		b.ask(w, &Ask{Generation: n, Share: share, By: w.by()})
		return nil
	})
}

// failed: what was to take over has not made it.
func (b *body) failed(w *world) error {
	b.drop(w, b.belief == Holder)
	if b.gen == 0 && !b.operator {
		return b.serverDies(w)
	}
	b.operator = false
	return nil
}

// has: it has the traffic now, with rise if that is what it has asked for.
func (b *body) has(w *world) {
	b.belief = Holder
	if b.rise != 0 {
		b.gen, b.rise, b.up, b.operator, b.dead = b.rise, 0, false, false, false
		b.doneSoon(w)
	}
	b.after(w, w.some(5*time.Second), func() error {
		if b.belief == Holder && !b.leaving {
			b.say(w, &Settled{b.session})
		}
		return nil
	})
}

func (b *body) doneSoon(w *world) {
	b.after(w, w.some(20*time.Second), func() error { b.say(w, &Done{b.session}); return nil })
}

// lost: another one has the traffic. It drains, and its server ends.
func (b *body) lost(w *world) {
	if _, turn := b.call.(*Turn); turn {
		b.call = nil
	}
	b.belief = Kept
	n := b.gen
	b.say(w, &Done{b.session})
	b.after(w, w.some(time.Minute), func() error {
		if b.belief == Kept && b.gen == n {
			b.gone(w)
		}
		return nil
	})
}

// gone: its last server has ended, it stays.
func (b *body) gone(w *world) {
	b.gen, b.dead = 0, false
	if b.belief == Kept {
		b.belief = Retired
	}
	if b.rise == 0 {
		b.say(w, &NoServer{b.session})
	}
}

// drop gives up what was to take over.
func (b *body) drop(w *world, holds bool) {
	if ask, ok := b.call.(*Ask); ok {
		b.void = ask
		b.call = nil
	}
	b.rise, b.up = 0, false
	b.say(w, &Done{b.session})
	if b.gen == 0 && !holds {
		b.say(w, &NoServer{b.session})
	}
}

// first starts the server of one that has the traffic already.
func (b *body) first(w *world) {
	b.last++
	b.gen = b.last
	b.say(w, &Moved{b.session, b.gen})
}
