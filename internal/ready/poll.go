package ready

import "time"

// Every is the time between the beginnings of two probes.
const Every = 200 * time.Millisecond

// Poll runs probe at once and then every so often until it succeeds or stop is
// closed. It returns only then; the caller gives it a goroutine. done is called
// once, on success, never after stop was closed. onError, which may be nil, gets
// each failure: the last one is what a timeout has to report.
//
// A probe bounds its own time, and should give up when stop is closed.
func Poll(stop <-chan struct{}, every time.Duration, probe func(stop <-chan struct{}) error, onError func(error), done func()) {
	if every <= 0 {
		every = Every
	}
	for !stopped(stop) {
		next := time.After(every)
		err := probe(stop)
		switch {
		case stopped(stop):
			return
		case err == nil:
			done()
			return
		case onError != nil:
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
