package arbiter

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// pending is something that the simulated world will bring about.
type pending struct {
	at    time.Duration
	order int
	do    func() error
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

// world plays the members, the disk, the operators and the power supply.
type world struct {
	r       *rand.Rand
	rig     *rig
	agenda  agenda
	order   int
	bodies  []*body
	session Session
	verb    uint64
	calm    bool // nothing fails any more
	full    bool // the disk is
	hangs   bool // the disk does
	disk    time.Duration
	gates   int // lives of the gate: what was under way to an old one is lost
}

func newWorld(seed uint64) *world {
	return &world{r: rand.New(rand.NewPCG(seed, 0x67617465)), rig: newRig()}
}

func (w *world) chance(percent int) bool { return w.r.IntN(100) < percent }

func (w *world) fails(percent int) bool { return !w.calm && w.chance(percent) }

func (w *world) some(upTo time.Duration) time.Duration {
	return time.Duration(w.r.Int64N(int64(upTo) + 1))
}

func (w *world) plan(in time.Duration, do func() error) {
	w.order++
	heap.Push(&w.agenda, pending{w.rig.now + in, w.order, do})
}

// tell gives the arbiter an event, and does what comes out. A gate that crashes does only
// the first part of it.
func (w *world) tell(e Event) error {
	effects, err := w.rig.step(e)
	if err != nil {
		return err
	}
	if len(effects) > 0 && w.fails(1) && w.chance(30) {
		for _, f := range effects[:w.r.IntN(len(effects))] {
			w.perform(f)
		}
		return w.crash()
	}
	for _, f := range effects {
		w.perform(f)
	}
	return nil
}

func (w *world) perform(e Effect) {
	switch e := e.(type) {
	case *Save:
		w.write(e.Number)
	case *Aim:
		if gate, aim := w.gates, *e; aim.Share < shares.Full && w.fails(10) {
			w.plan(w.some(20*time.Millisecond), func() error {
				if gate != w.gates {
					return nil
				}
				return w.tell(&Unmoved{Aim: aim, Reason: "no memory"})
			})
		}
	case *Welcome:
		w.deliver(e.Session, e)
	case *Answer:
		w.deliver(e.Session, e)
	case *Tell:
		w.deliver(e.Session, e)
	case *Ping:
		w.deliver(e.Session, e)
	case *Refuse:
		w.deliver(e.Session, e)
	}
}

// write is the disk.
func (w *world) write(number int) {
	gate := w.gates
	in := w.some(20 * time.Millisecond)
	if !w.calm && w.hangs {
		in = w.some(30 * time.Second)
	}
	w.disk = max(w.disk, w.rig.now+in)
	in = w.disk - w.rig.now
	w.plan(in, func() error {
		if gate != w.gates {
			return nil
		}
		e := &Saved{Number: number}
		if !w.calm && w.full {
			e.Err = "no space left on device"
		}
		return w.tell(e)
	})
}

// crash ends the gate; another one is there at once, and members find it in their time.
func (w *world) crash() error {
	lost := w.chance(5)
	fresh := w.chance(20)
	w.gates++
	w.disk = 0
	w.rig.restart(crash{written: w.chance(50), lost: lost})
	for _, b := range w.bodies {
		if !b.alive {
			continue
		}
		b.session = 0
		if fresh {
			b.dead = b.gen != 0 || b.rise != 0
		}
		in := w.some(2 * time.Second)
		if w.chance(10) {
			in = w.some(90 * time.Second)
		}
		b.after(w, in, func() error { return b.connect(w) })
	}
	return nil
}

// advance brings the next thing about: something that was planned, or the arbiter's own
// deadline, whichever is first. A tick may come late.
func (w *world) advance() (bool, error) {
	deadline, armed := w.rig.deadline()
	if len(w.agenda) > 0 && (!armed || w.agenda[0].at <= deadline) {
		p := heap.Pop(&w.agenda).(pending)
		w.rig.now = max(w.rig.now, p.at)
		return true, p.do()
	}
	if !armed {
		return false, nil
	}
	w.rig.now = max(w.rig.now, deadline)
	if w.chance(10) {
		w.rig.now += w.some(2 * time.Second)
	}
	return true, w.tell(&Tick{})
}

func (w *world) run() error {
	if err := w.tell(&Tick{}); err != nil {
		return err
	}
	for range 20 + w.r.IntN(120) {
		var err error
		if w.chance(15) {
			err = w.user()
		} else if more, e := w.advance(); e != nil || !more {
			err = e
			if !more && err == nil {
				err = w.user()
			}
		}
		if err != nil {
			return err
		}
	}
	return w.quiet()
}

// quiet goes on until nothing happens any more: nothing fails, and nobody asks for anything.
func (w *world) quiet() error {
	w.calm = true
	for _, b := range w.bodies {
		if b.paused {
			if err := b.unpause(w); err != nil {
				return err
			}
		}
	}
	for i := 0; ; i++ {
		more, err := w.advance()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if i > 5000 {
			return fmt.Errorf("it does not go quiet: %v", w.rig.a.Views())
		}
	}
	if err := w.rig.c.quiet(w.rig); err != nil {
		return err
	}
	return w.serves()
}

// serves: somebody serves if anybody can, and nobody else takes itself for the holder.
func (w *world) serves() error {
	able, holders := "", 0
	var h *body
	for _, b := range w.bodies {
		if !b.alive || b.leaving {
			continue
		}
		_, out := order(w.rig.a.State(), b.name)
		switch {
		case b.belief == Holder:
			holders, h = holders+1, b
			able = b.name
		case b.gen != 0 && !b.dead || !b.refused && (out == Failed || out == Superseded):
			able = b.name
		}
	}
	aim := w.rig.c.aim
	all := ""
	for _, b := range w.bodies {
		if b.alive {
			all += fmt.Sprintf(" %s=%s/%d", b.name, b.belief, b.gen)
		}
	}
	switch {
	case holders > 1:
		return fmt.Errorf("%d members take themselves for the holder:%s", holders, all)
	case holders == 0 && able != "":
		return fmt.Errorf("Liveness: nobody has the traffic, and %s could:%s", able, all)
	case holders == 1 && (aim.To != Slot{h.name, h.gen} || aim.Share != 10000):
		return fmt.Errorf("Liveness: %s/%d has the traffic, and it goes to %v:%s", h.name, h.gen, aim, all)
	}
	return nil
}

// user is what people, engines and fate do.
func (w *world) user() error {
	alive := []*body{}
	ended := []*body{}
	for _, b := range w.bodies {
		if b.alive {
			alive = append(alive, b)
		} else {
			ended = append(ended, b)
		}
	}
	n := w.r.IntN(100)
	if len(alive) == 0 || n < 15 && len(w.bodies) < 6 {
		if len(ended) > 0 && w.chance(40) {
			return ended[w.r.IntN(len(ended))].start(w)
		}
		b := &body{name: string(rune('a' + len(w.bodies)))}
		w.bodies = append(w.bodies, b)
		return b.start(w)
	}
	b := alive[w.r.IntN(len(alive))]
	switch {
	case n < 25 && len(ended) > 0:
		return ended[w.r.IntN(len(ended))].start(w)
	case n < 38:
		return b.die(w)
	case n < 42:
		return b.serverDies(w)
	case n < 52:
		return b.stop(w)
	case n < 57:
		if b.paused {
			return b.unpause(w)
		}
		b.paused = true
		b.after(w, w.some(30*time.Second), func() error { return b.unpause(w) })
	case n < 65:
		return b.swap(w)
	case n < 73:
		w.verb++
		e := &Rollback{ID: w.verb}
		if w.chance(50) {
			e.Session = b.session
		}
		return w.tell(e)
	case n < 76:
		w.verb++
		return w.tell(&Promote{w.verb})
	case n < 82:
		return w.crash()
	case n < 84: // power
		for _, b := range alive {
			b.end(w)
		}
		if err := w.crash(); err != nil {
			return err
		}
		for _, b := range alive {
			if w.chance(80) {
				w.plan(w.some(20*time.Second), func() error {
					if b.alive {
						return nil
					}
					return b.start(w)
				})
			}
		}
	case n < 88:
		return b.reconnect(w)
	case n < 91:
		w.full = !w.full
	case n < 93:
		w.hangs = !w.hangs
	}
	return nil
}
