package pid1

import (
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
)

// checkEvery is the time between two checks of a canary.
const checkEvery = 2 * time.Second

// check is a command that is run again and again as long as a canary serves. It
// is the loop's.
type check struct {
	command []string // empty: there is none
	run     func(*helper) error
	stop    chan struct{} // ends the one that runs; nil: none does
}

// begin runs it until it fails, which failed is told in another goroutine, or
// until end.
func (c *check) begin(generation int, failed func(reason string)) {
	if len(c.command) == 0 {
		return
	}
	c.stop = make(chan struct{})
	var failure error
	go ready.Poll(c.stop, checkEvery, func(stop <-chan struct{}) error { // it succeeds when the check fails
		failure = c.run(&helper{command: c.command, generation: generation, stdout: -1, stderr: -1, limit: probeTime, stop: stop})
		if failure == nil {
			return errors.New("the canary is fine")
		}
		return nil
	}, func(error) {}, func() { failed("its canary check failed: " + failure.Error()) })
}

func (c *check) end() {
	if c.stop != nil {
		close(c.stop)
		c.stop = nil
	}
}
