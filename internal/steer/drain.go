package steer

import "time"

// restLeast is the least time between two looks: one of a quiet endpoint
// takes some milliseconds.
const restLeast = 10 * time.Millisecond

// Drain waits until a generation has nothing left to do on its connections.
type Drain struct {
	Looks     []func(idleAfter time.Duration) (open, idle, half, queued int, err error) // Group.Observe's
	IdleAfter time.Duration
	Gone      bool                 // wait until all connections are closed, not only idle
	Busy      func(open, idle int) // called once, if the first look does not find it drained; may be nil
	Error     func(err error)      // called for a look that failed, once for each different text; may be nil
}

// errorsMost bounds the texts that are remembered.
const errorsMost = 16

// Run looks until all Looks find, in the same round, no connection that is
// not idle (or none at all, with Gone), no handshake under way and no queue: true. It is false
// when stop was closed before. A look that fails counts as busy. Looks take
// a tenth of the time at most.
func (d Drain) Run(stop <-chan struct{}) bool {
	var told []string
	timer := time.NewTimer(restLeast)
	defer timer.Stop()
	for round := 0; ; round++ {
		select {
		case <-stop:
			return false
		case <-timer.C:
		}
		begun := time.Now()
		drained, open, idle := true, 0, 0
		for _, look := range d.Looks {
			o, i, half, queued, err := look(d.IdleAfter)
			open += o
			idle += i
			if err != nil || half != 0 || queued != 0 || o != 0 && (d.Gone || o != i) {
				drained = false
			}
			if err != nil && d.Error != nil && len(told) < errorsMost && !has(told, err.Error()) {
				told = append(told, err.Error())
				d.Error(err)
			}
		}
		if drained {
			return true
		}
		if round == 0 && d.Busy != nil {
			d.Busy(open, idle)
		}
		timer.Reset(max(restLeast, 10*time.Since(begun)))
	}
}

func has(list []string, text string) bool {
	for _, other := range list {
		if other == text {
			return true
		}
	}
	return false
}
