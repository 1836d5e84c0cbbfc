package ready

import (
	"time"

	"github.com/swapinit/swapinit/internal/clock"
)

// Every is the time between the beginnings of two probes.
const Every = 200 * time.Millisecond

// Poll runs probe at once and then every so often until it succeeds or stop is
// closed. It returns only then; the caller gives it a goroutine. done is called
// once, on success, never after stop was closed. onError gets each
// failure that is another one than that before: the last one is what a timeout
// has to report.
func Poll(stop <-chan struct{}, every time.Duration, probe func(stop <-chan struct{}) error, onError func(error), done func()) {
	last := ""
	for !stopped(stop) {
		next := clock.After(every)
		err := probe(stop)
		switch {
		case stopped(stop):
			return
		case err == nil:
			done()
			return
		case err.Error() != last:
			last = err.Error()
			onError(err)
		}
		select {
		case <-stop:
		case <-next:
		}
	}
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
