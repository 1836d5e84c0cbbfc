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
			i.post(func() {
				if i.machine.Phase() == swap.Running {
					i.info("watch", "watch: "+what+" changed, swapping", 0, 0)
					i.step(&swap.ContainerEvent{Kind: swap.Swap})
				}
			})
		}
		select {
		case <-i.over:
			return
		case <-ticker.C:
		}
	}
}
