package pid1

import (
	"time"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/internal/watch"
	"github.com/swapinit/swapinit/swap"
)

// watchEvery is the time between two looks at what is watched.
const watchEvery = 2 * time.Second

// watch asks for a swap whenever one of the paths of SWAPINIT_WATCH has changed,
// until the loop ends.
func (i *Init) watch(every time.Duration) {
	var paths []string
	for _, name := range i.set.Watch {
		paths = append(paths, i.launcher.absolute(name))
	}
	w := watch.New(paths)
	ticker := clock.NewTicker(every)
	defer ticker.Stop()
	for {
		if changed, what := w.Look(); changed {
			i.post(func() { i.changed(what) })
		}
		select {
		case <-i.over:
			return
		case <-ticker.C:
		}
	}
}

// changed asks for a swap as what has changed, at once or after a part of
// SWAPINIT_WATCH_SPLAY.
func (i *Init) changed(what string) {
	delay := time.Duration(random() % uint64(i.set.WatchSplay+1))
	switch {
	case i.machine.Phase() != swap.Running:
	case i.splayed != 0: // another change makes nobody wait for longer
		i.debug("watch", "watch: "+what+" changed, a swap is to begin already", 0, 0)
	case delay > 0:
		i.info("watch", "watch: "+what+" changed, swapping in "+delay.Round(time.Millisecond).String(), 0, 0)
		i.splayed = i.now() + delay
	default:
		i.info("watch", "watch: "+what+" changed, swapping", 0, 0)
		i.swapWatched()
	}
}

// swapWatched begins that swap, unless the container stops.
func (i *Init) swapWatched() {
	if i.machine.Phase() == swap.Running {
		i.step(&swap.ContainerEvent{Kind: swap.Swap})
	}
}
