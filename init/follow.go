package pid1

import (
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

// follower is a client that stays until the generation to which it has swapped
// has ended.
type follower struct {
	call     control.Call
	of       *record
	replaced bool // a later generation is active
}

// follow keeps the client of a swap to generation n, which has succeeded.
func (i *Init) follow(call control.Call, n int) {
	call.Event(control.Event{Event: string(swap.StageDone), Generation: n})
	of := i.recordOf(n)
	if of == nil {
		call.Done(control.Reply{Error: named(n) + " ended too long ago to say how", Generation: n})
		return
	}
	i.followers = append(i.followers, follower{call, of, i.machine.Active() > n})
	i.tellFollowers(false)
}

// overtaken notes that generation n has all the traffic. An earlier one that
// gets it back was not replaced by what it had followed, nor is it replaced.
func (i *Init) overtaken(n int) {
	for k := range i.followers {
		f := &i.followers[k]
		f.replaced = f.of.number < n
	}
}

// tellFollowers answers those whose generation has ended, and forgets those who
// have left; all: the container is ending, and with it the clients in it.
func (i *Init) tellFollowers(all bool) {
	stay := i.followers[:0]
	for _, f := range i.followers {
		// One that has ended in mid-swap, for its sake or not, is replaced when
		// the swap succeeds.
		if !all && (!f.of.over || i.machine.Swapping() && i.machine.Active() == f.of.number) {
			select {
			case <-f.call.Gone():
			default:
				stay = append(stay, f)
			}
			continue
		}
		code := 0
		r := control.Reply{OK: f.replaced, Generation: f.of.number, Exit: &code}
		if !f.replaced {
			code = f.of.status.ExitCode()
			r.Error = named(f.of.number) + " " + f.of.end
		}
		f.call.Done(r)
	}
	clear(i.followers[len(stay):])
	i.followers = stay
}

// record is what is remembered of a generation when it has gone.
type record struct {
	number int
	source *source
	over   bool        // no worker lives, nor will again
	status swap.Status // of the worker that ended last
	end    string      // the same in words
}

// pastMax is how many generations are remembered. One that had to go first comes
// back by its command when its successor fails.
const pastMax = 8

// recordOf is nil for a generation that was forgotten too long ago.
func (i *Init) recordOf(n int) *record {
	if g := i.gens[n]; g != nil {
		return g.record
	}
	for _, r := range i.past {
		if r.number == n {
			return r
		}
	}
	return nil
}
