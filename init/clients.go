package pid1

import (
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// clients are those of the control socket that wait for something. It is the
// loop's.
type clients struct {
	machine   *swap.Machine
	gens      *generations
	sides     *sides
	procs     *processes
	gate      func() *membership
	endpoints func(*control.Status) // adds them; not for the loop
	now       func() time.Duration  // the machine's clock

	asked                bool                     // readiness matters: see unhealthy
	hint                 string                   // what a server has to do to be ready; may be ""
	calls                map[uint64]*control.Call // by the number under which the machine knows them
	last                 uint64
	followers            []follower
	running              *account      // the swap that runs, nil: none does
	lastSwap             *account      // that has ended, nil: none has
	writing              int           // target files being written, and moves of connections
	withheld             []*swap.Reply // replies that wait for them
	canaryBy, oneAddress string        // as in control.Status
	version              string        // the same
	totals               control.Totals
	orphans              func() int64    // how many were reaped
	checks               []*control.Call // that wait for the examination going on, nil: none is
}

// add returns the number of a call that waits for the machine's answer, or has an
// answer already.
func (c *clients) add(call *control.Call) uint64 {
	c.last++
	if call.Swap.NoWait {
		call.Done(&control.Reply{OK: true})
	} else {
		c.calls[c.last] = call
	}
	return c.last
}

// tell passes a stage of its swap on to a client.
func (c *clients) tell(id uint64, e control.Event) {
	if call, ok := c.calls[id]; ok {
		call.Event(e)
	}
}

// reply answers a client.
func (c *clients) reply(f *swap.Reply) {
	if c.writing > 0 {
		c.withheld = append(c.withheld, f)
		return
	}
	r := &control.Reply{OK: f.Reason == "", Error: f.Reason, Generation: f.Generation}
	if call, ok := c.calls[f.ID]; ok && call.Begins() {
		if r.OK && call.Swap.Follow {
			delete(c.calls, f.ID)
			c.follow(call, f.Generation)
			return
		}
		r.Swap = c.lastSwap.of(f)
	}
	c.done(f.ID, r)
}

// done answers a client that is not to follow anything.
func (c *clients) done(id uint64, r *control.Reply) {
	if call, ok := c.calls[id]; ok {
		delete(c.calls, id)
		call.Done(r)
	}
}

// release gives the answers that have waited, see writeTarget.
func (c *clients) release() {
	if c.writing--; c.writing > 0 {
		return
	}
	for _, f := range c.withheld {
		c.reply(f)
	}
	c.withheld = nil
}

// follower is a client that stays until the generation to which it has swapped
// has ended.
type follower struct {
	call     *control.Call
	of       *record
	replaced bool // a later generation is active
}

// follow keeps the client of a swap to generation n, which has succeeded.
func (c *clients) follow(call *control.Call, n int) {
	call.Event(control.Event{Event: string(swap.StageDone), Generation: n})
	of := c.gens.recordOf(n)
	if of == nil {
		call.Done(&control.Reply{Error: named(n) + " ended too long ago to say how", Generation: n})
		return
	}
	c.followers = append(c.followers, follower{call, of, c.machine.Active() > n})
	c.tellFollowers(false)
}

// overtaken notes that generation n has all the traffic. An earlier one that
// gets it back was not replaced by what it had followed, nor is it replaced.
func (c *clients) overtaken(n int) {
	for k := range c.followers {
		f := &c.followers[k]
		f.replaced = f.of.number < n
	}
}

// tellFollowers answers those whose generation has ended, and forgets those who
// have left; all: the container is ending, and with it the clients in it.
func (c *clients) tellFollowers(all bool) {
	stay := c.followers[:0]
	for _, f := range c.followers {
		// One that has ended in mid-swap, for its sake or not, is replaced when
		// the swap succeeds.
		if !all && (!f.of.over || c.machine.Swapping() && c.machine.Active() == f.of.number) {
			select {
			case <-f.call.Gone():
			default:
				stay = append(stay, f)
			}
			continue
		}
		code := 0
		r := &control.Reply{OK: f.replaced, Generation: f.of.number, Exit: &code}
		if !f.replaced {
			code = f.of.status.ExitCode()
			r.Error = named(f.of.number) + " " + f.of.end
		}
		f.call.Done(r)
	}
	clear(c.followers[len(stay):])
	c.followers = stay
}
