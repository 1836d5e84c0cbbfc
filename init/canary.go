package pid1

import (
	"errors"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
)

// checkEvery is the time between two checks of a canary.
const checkEvery = 2 * time.Second

// check is what is asked again and again as long as a canary serves. It is the loop's.
type check struct {
	mode ready.Mode    // its Probe is nil: nothing is
	stop chan struct{} // ends the one that runs; nil: none does
}

// checkMode reads SWAPINIT_CANARY_CHECK, a command or one word that is an http:// address.
func checkMode(words []string) (ready.Mode, error) {
	if len(words) == 1 && strings.HasPrefix(words[0], "http://") {
		return ready.Parse(words[0], nil)
	}
	if len(words) == 0 {
		return ready.Mode{}, nil
	}
	return ready.Parse("exec:", func(string) ([]string, error) { return words, nil })
}

// checkCanary checks g, a canary, until that fails or end.
func (i *Init) checkCanary(g *generation) {
	w := g.worker(0)
	if i.check.mode.Probe == nil || w == nil {
		return
	}
	stop := make(chan struct{})
	i.check.stop = stop
	c := i.candidate(w, &i.check.mode, probeTime)
	var failure error
	go ready.Poll(stop, checkEvery, func(stop <-chan struct{}) error { // it succeeds when the check fails
		if failure = i.check.mode.Probe(c, stop); failure == nil {
			return errors.New("the canary is fine")
		}
		return nil
	}, func(error) {}, func() {
		i.post(func() { i.happened(swap.CheckFailed, g.number, "its canary check failed: "+failure.Error()) })
	})
}

func (c *check) end() {
	if c.stop != nil {
		close(c.stop)
		c.stop = nil
	}
}
