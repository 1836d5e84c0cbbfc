package arbiter

import (
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// What a member does about what it hears.

func (b *body) hear(w *world, e Effect) error {
	switch e := e.(type) {
	case *Welcome:
		return b.welcomed(w, e)
	case *Answer:
		return b.answered(w, e)
	case *Tell:
		return b.told(w, e)
	case *Ping:
		b.say(w, &Alive{b.session})
	case *Refuse:
		b.session = 0
		b.after(w, w.some(time.Second), func() error { return b.connect(w) })
	}
	return nil
}

func (b *body) welcomed(w *world, e *Welcome) error {
	was := b.belief
	b.epoch = e.Epoch
	b.repeat(w)
	if b.leaving {
		return nil
	}
	if e.Fresh && b.rise != 0 {
		b.drop(w, e.Role == Holder)
	}
	switch e.Role {
	case Holder:
		_, asks := b.call.(*Ask)
		if b.rise != 0 && b.up && (asks || b.call == nil) {
			b.has(w)
			b.call = nil
			b.say(w, &Moved{b.session, b.gen})
			break
		}
		if asks {
			b.call = nil
		}
		b.rise = 0
		b.has(w)
		b.doneSoon(w)
		if b.gen == 0 {
			b.first(w)
		}
	case Successor:
		b.belief = Successor
		if b.rise == 0 {
			b.raise(w)
		}
	case Kept:
		if was == Holder {
			b.lost(w)
		} else if b.gen == 0 {
			b.belief = Retired
		} else {
			b.belief = Kept
		}
	default:
		b.belief = e.Role
		if b.rise != 0 && !b.operator {
			b.drop(w, false)
		}
		if b.gen != 0 {
			b.gone(w)
		}
	}
	b.again(w)
	return nil
}

func (b *body) answered(w *world, e *Answer) error {
	if v := b.void; v != nil && v.ID == e.ID && e.Reason == "" && b.belief != Holder && v.Share == shares.Full && !b.leaving {
		b.void = nil
		if b.gen == 0 {
			b.say(w, &NoServer{b.session})
		} else {
			b.belief = Holder
			b.say(w, &Moved{b.session, b.gen})
		}
	}
	switch c := b.call.(type) {
	case *Turn:
		if c.ID != e.ID {
			return nil
		}
		b.call = nil
		if e.Reason != "" {
			return nil
		}
		return b.inside(w)
	case *Ask:
		if c.ID != e.ID || b.leaving {
			return nil
		}
		b.call = nil
		switch {
		case e.Superseded && b.belief == Successor:
			b.rise, b.up, b.belief = 0, false, Superseded
		case e.Reason != "":
			return b.failed(w)
		case c.Share == shares.Full:
			b.epoch = e.Epoch
			b.has(w)
			b.doneSoon(w)
		default:
			n := b.rise
			b.after(w, w.some(10*time.Second), func() error {
				if n == 0 || b.rise != n || b.call != nil || b.leaving {
					return nil // an answer to one that has given it up asks for nothing more
				}
				if w.fails(20) {
					return b.failed(w)
				}
				share := shares.Full
				if w.chance(50) {
					share = c.Share + w.r.IntN(shares.Full-c.Share+1)
				}
				b.ask(w, &Ask{Generation: n, Share: share, By: c.By})
				return nil
			})
		}
	}
	return nil
}

// inside is a swap of its own.
func (b *body) inside(w *world) error {
	b.after(w, w.some(20*time.Second), func() error {
		if b.belief == Holder && !b.leaving && !w.fails(20) {
			b.first(w)
			b.dead = false
		}
		b.doneSoon(w)
		return nil
	})
	return nil
}

func (b *body) told(w *world, e *Tell) error {
	b.epoch = e.Epoch
	switch e.Notice {
	case Lost:
		if b.belief == Holder && !b.leaving {
			b.lost(w)
			if e.RolledBack && w.fails(50) {
				return b.serverDies(w)
			}
		}
	case Back:
		n := b.gen
		if b.rise != 0 && b.up {
			n = b.rise
		}
		if n == 0 || b.leaving || b.dead || w.fails(10) {
			b.say(w, &Took{b.session, 0})
			if b.rise != 0 && !b.leaving {
				if err := b.failed(w); err != nil {
					return err
				}
			}
			if b.gen != 0 && !b.leaving {
				b.gone(w)
				b.belief = Retired
			}
			return nil
		}
		b.has(w)
		b.say(w, &Took{b.session, b.gen})
	case Serve:
		if b.leaving || w.fails(20) {
			b.refused = true
			b.say(w, &Took{b.session, 0})
			return nil
		}
		if b.rise != 0 {
			b.rise, b.call = 0, nil
			b.say(w, &Done{b.session})
		}
		b.has(w)
		if b.gen == 0 {
			b.last++
			b.gen = b.last
		}
		b.say(w, &Took{b.session, b.gen})
	case Cut:
		if b.rise != 0 {
			return b.failed(w)
		}
		b.say(w, &Done{b.session})
	case Ending:
		if b.belief == Kept && b.gen != 0 {
			b.gone(w)
		}
	case Renew:
		if b.call == nil {
			b.ask(w, &Turn{})
		}
	}
	return nil
}
