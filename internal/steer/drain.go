package steer

import (
	"slices"
	"time"

	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/clock"
)

// restLeast is the least time between two looks: one of a quiet endpoint
// takes some milliseconds.
const restLeast = 10 * time.Millisecond

// Drain waits until a generation has nothing left to do on its connections.
type Drain struct {
	Looks     []func(idleAfter time.Duration) (Look, error) // Group.Observe's
	IdleAfter time.Duration
	Gone      bool                 // wait until all connections are closed, not only idle
	Hold      func() bool          // connections may still go there: nothing is looked at while it is true; may be nil
	Busy      func(open, idle int) // called once, if the first look does not find it drained; may be nil
	Error     func(err error)      // called for a look that failed, once for each different text; may be nil
	Saw       func(Busy)           // called after each round of looks; may be nil
}

// errorsMost bounds the texts that are remembered.
const errorsMost = 16

// Run looks until all Looks find, in the same round, no connection that is
// not idle (or none at all, with Gone), no handshake under way and no queue: true. It is false
// when stop was closed before. A look that fails counts as busy. Looks take
// a tenth of the time at most.
func (d Drain) Run(stop <-chan struct{}) bool {
	var told []string
	timer := clock.NewTimer(restLeast)
	defer timer.Stop()
	rested, rest := clock.Now(), restLeast
	slept := clock.Time(0) // when we overslept last, 0: never
	restFor := func(d time.Duration) {
		rested, rest = clock.Now(), d
		timer.Reset(d)
	}
	for first := true; ; {
		held := d.Hold != nil && d.Hold()
		if len(d.Looks) == 0 && !held {
			return true
		}
		select {
		case <-stop:
			return false
		case <-timer.C:
		}
		if held {
			restFor(restLeast)
			continue
		}
		begun := clock.Now()
		if awake.Overslept(rested, rest) {
			slept = begun
		}
		// Server and clients stood still with us: that their connections were quiet
		// meanwhile says nothing. That they are closed says as much as ever.
		doubt := slept != 0 && clock.Since(slept) < d.IdleAfter
		drained, open, idle, all := true, 0, 0, Busy{}
		for _, look := range d.Looks {
			l, err := look(d.IdleAfter)
			open += l.Open
			idle += l.Idle
			all.add(&l, d.Gone)
			if err != nil || l.Half != 0 || l.Queued != 0 || l.Open != l.Idle || (d.Gone || doubt) && (l.Open != 0 || l.Unseen) {
				drained = false
			}
			if err != nil && d.Error != nil && len(told) < errorsMost && !slices.Contains(told, err.Error()) {
				told = append(told, err.Error())
				d.Error(err)
			}
		}
		if d.Saw != nil {
			d.Saw(all)
		}
		if drained {
			return true
		}
		if first && d.Busy != nil {
			d.Busy(open, idle)
		}
		first = false
		restFor(max(restLeast, 10*clock.Since(begun)))
	}
}
