package pid1

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/swap"
)

// Where connections go, and what has become of them.

// moveTime bounds how long anything waits for a move.
const moveTime = 10 * time.Second

// aim moves new connections: share of them to generation to, the others to rest; by
// decides which.
// What a file system or somebody else has to do for it goes on without the loop.
// Whoever asked for the swap is answered after it, and nobody is told to stop before.
func (i *Init) aim(to, rest, share int, by shares.By) {
	for _, e := range i.steering.groups() {
		done := e.moves.Aim(to, rest, share, by)
		if !e.group.Waits() {
			<-done
			continue
		}
		i.clients.writing++
		i.steering.pending++
		go func() {
			select {
			case <-done:
			case <-clock.After(moveTime):
				i.warn("steer.slow", "the connections of endpoint "+e.Name+" are not moved within "+moveTime.String()+", still trying", to, 0)
			}
			i.post(i.moved)
		}()
	}
}

func (i *Init) moved() {
	i.steering.pending--
	i.release()
	i.clients.release()
}

// release sends the signals that have waited, when nothing is waited for any more.
func (i *Init) release() {
	if i.steering.pending > 0 || i.steering.yielding > 0 {
		return
	}
	held := i.steering.held
	i.steering.held = nil
	for _, f := range held {
		i.perform(f)
	}
}

// hold keeps a signal back until all moves are done, or the gate knows that connections
// are not for this container any more.
func (i *Init) hold(f swap.Effect) bool {
	if i.steering.yielding == 0 && (i.steering.pending == 0 || i.machine.Phase() != swap.Running) {
		return false
	}
	i.steering.held = append(i.steering.held, f)
	return true
}

// moving reports whether new connections may still go where they went before.
func (i *Init) moving() bool {
	return i.steering.yielding > 0 || slices.ContainsFunc(i.steering.groups(), func(e *endpoint) bool { return e.moves.Moving() })
}

// leaveSockets takes a generation's sockets out of their groups. What waits in
// them, that is, what nobody accepts any more, is reset.
func (i *Init) leaveSockets(n int) {
	for _, e := range i.steering.groups() {
		if done := e.moves.Leave(n); !e.group.Waits() {
			<-done
		}
	}
}

// drain is the watch over a generation's connections. Its methods may be called on nil.
type drain struct {
	stop func() // may be called again
	mu   sync.Mutex
	busy steer.Busy // what it has seen last
	over bool       // nothing counts any more
}

func (d *drain) end() {
	if d != nil {
		d.stop()
		d.mu.Lock()
		d.busy, d.over = steer.Busy{}, true
		d.mu.Unlock()
	}
}

func (d *drain) sees(busy steer.Busy) {
	d.mu.Lock()
	if !d.over {
		d.busy = busy
	}
	d.mu.Unlock()
}

// saw is what it waits for, and the oldest of that as text, "" if none has an address.
func (d *drain) saw() (busy steer.Busy, oldest string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	busy = d.busy
	d.mu.Unlock()
	if len(busy.List) > 0 {
		c := &busy.List[0]
		oldest = c.Peer + ", " + c.Why + ", for " + (time.Duration(c.AgeMS) * time.Millisecond).String()
	}
	return busy, oldest
}

// drain watches the connections of a predecessor.
func (i *Init) drain(g *generation) {
	stop := make(chan struct{})
	at := &drain{stop: sync.OnceFunc(func() { close(stop) })}
	g.drain = at
	say := func(k swap.GenerationKind, reason string) {
		i.post(func() { i.happened(k, g.number, reason) })
	}
	go func() {
		// As long as connections still go to it, it must not be told to stop.
		unseen := false
		d := steer.Drain{IdleAfter: i.set.IdleAfter, Gone: i.set.Drain == "gone", Hold: i.moving, Saw: at.sees}
		for _, e := range i.steering.groups() {
			if look := e.group.Observe(g.number); look != nil {
				d.Looks = append(d.Looks, func(idleAfter time.Duration) (steer.Look, error) {
					l, err := look(idleAfter)
					for k := range l.Busy {
						l.Busy[k].Endpoint = e.Name
					}
					return l, err
				})
				unseen = unseen || e.unseen() != ""
			}
		}
		d.Busy = func(open, idle int) {
			text := strconv.Itoa(open) + " connections open, " + strconv.Itoa(idle) + " idle"
			if unseen {
				text = "its connections cannot be counted"
			}
			say(swap.Busy, text)
		}
		d.Error = func(err error) {
			i.warn("drain", "cannot count the connections of "+named(g.number)+": "+err.Error(), g.number, 0)
		}
		if d.Run(stop) {
			reason := "its connections are idle"
			switch {
			case len(d.Looks) == 0:
				reason = "its successor is active"
			case unseen:
				reason = "nothing waits to be accepted, its connections cannot be counted"
			case d.Gone:
				reason = "its connections are closed"
			}
			say(swap.Drained, reason)
		}
	}()
}

// reportSteering adds to a status which endpoints are steered, and what that
// tells of each generation.
func (i *Init) reportSteering(s *control.Status) {
	of := map[int]*control.Generation{}
	byNetworks := shares.By(s.CanaryBy).ByNetworks()
	for n := range s.Generations {
		of[s.Generations[n].Generation] = &s.Generations[n]
	}
	for _, e := range i.steering.list() {
		why := e.whyShared()
		if e.of == nil {
			shown := control.Endpoint{Name: e.Name, Address: e.Address, Inherited: e.Inherited, Adopted: i.adoption.adopts(e), Steered: why == "", Reason: cmp.Or(why, e.unseen())}
			if at, n := i.steering.check(e); n != 0 {
				shown.Check = at.String()
			}
			s.Endpoints = append(s.Endpoints, shown)
		}
		if e.group == nil {
			continue
		}
		err := e.group.Counts(i.set.IdleAfter, func(n int, l steer.Look) {
			g := of[n]
			if g == nil {
				return
			}
			add(&g.Queued, l.Queued)
			if !l.Unseen {
				add(&g.Open, l.Open)
				add(&g.Idle, l.Idle)
			}
		})
		for n, g := range of {
			// A path has no shares but all and nothing: where there is a TCP
			// endpoint, that one tells more.
			if share, ok := e.group.Share(n); ok && (g.Share == nil && !byNetworks || e.tcp != nil) {
				g.Share = &share
			}
		}
		if err != nil {
			i.warn("steer.counts", "cannot count the connections of endpoint "+e.Name+": "+err.Error(), 0, 0)
		}
	}
}

func add(to **int, n int) {
	if *to == nil {
		*to = new(int)
	}
	**to += n
}
