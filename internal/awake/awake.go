// Package awake measures time in which this process could run. A container that is
// paused (the cgroup's freezer), a host that is suspended, a stopped init: the clock goes
// on, and everybody else in the container stood still as well. A deadline that passed
// meanwhile has not been missed by anybody.
package awake

import (
	"time"

	"github.com/swapinit/swapinit/internal/clock"
)

// Slack is how late a timer may be. One that is later tells that we stood still, or had
// no CPU, which is the same to those who had a deadline.
const Slack = time.Second

// Overslept reports whether somebody who went to rest at began for d came back too late.
func Overslept(began clock.Time, d time.Duration) bool { return clock.Since(began) > d+Slack }

// After is closed when d has passed in one piece. How much of it was left when we stood
// still nobody knows, so all of it begins again.
func After(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	var wait func()
	wait = func() {
		began := clock.Now()
		time.AfterFunc(d, func() {
			if Overslept(began, d) {
				wait()
			} else {
				close(done)
			}
		})
	}
	wait()
	return done
}
