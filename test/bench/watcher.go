package main

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// watcher sees the requests of a load end, in windows.
type watcher struct {
	mu   sync.Mutex
	took []float64 // of the answered ones since the last cut, ms
	gap  time.Duration
	last time.Time // the last good answer
}

// window is what a watcher has seen between two cuts.
type window struct {
	took []float64     // sorted, ms
	gap  time.Duration // the longest time without a good answer
}

// watch starts a load on an address.
func watch(address string, o load.Options) (*load.Load, *watcher) {
	w := &watcher{last: time.Now()}
	o.Done = w.seen
	o.Dial = func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		// It ends with a reset: TIME_WAIT would use up the ports.
		return c, c.(*net.TCPConn).SetLinger(0)
	}
	return load.Start(o), w
}

func (w *watcher) seen(took time.Duration, err error) {
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.gap = max(w.gap, now.Sub(w.last))
	w.last = now
	w.took = append(w.took, took.Seconds()*1e3)
}

// cut ends a window.
func (w *watcher) cut() window {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.took)
	seen := window{w.took, max(w.gap, time.Since(w.last))}
	w.took, w.gap = nil, 0
	return seen
}
