// Package clock has the monotonic clock, and timers on it. A time.Time that can be reached
// from a value that is an interface somewhere, and that of a timer's channel always can,
// keeps its String in the binary, and with that formats and time zones: 50 KB.
package clock

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Time is a moment of CLOCK_MONOTONIC, in nanoseconds; zero is none.
type Time int64

// Now is the present moment.
func Now() Time {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it cannot fail
	return Time(now.Nano())
}

// Since is the time that has passed since t.
func Since(t Time) time.Duration { return Now().Sub(t) }

func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }
func (t Time) Add(d time.Duration) Time { return t + Time(d) }
func (t Time) Before(u Time) bool       { return t < u }
func (t Time) After(u Time) bool        { return t > u }
func (t Time) IsZero() bool             { return t == 0 }

// Timer is time.Timer with a channel of its own.
type Timer struct {
	C     <-chan struct{}
	timer *time.Timer
}

// NewTimer makes a Timer whose channel gets a value when d has passed. One that is not
// stopped is kept until then.
func NewTimer(d time.Duration) *Timer {
	c := make(chan struct{}, 1)
	return &Timer{c, time.AfterFunc(d, func() {
		select {
		case c <- struct{}{}:
		default: // the last one was not taken yet
		}
	})}
}

func (t *Timer) Stop() bool                 { return t.timer.Stop() }
func (t *Timer) Reset(d time.Duration) bool { return t.timer.Reset(d) }

// After is NewTimer's channel.
func After(d time.Duration) <-chan struct{} { return NewTimer(d).C }

// Ticker is time.Ticker.
type Ticker struct {
	*Timer
	every time.Duration
}

// NewTicker makes a Ticker whose channel gets a value each time that d has passed, unless
// the last one was not taken yet.
func NewTicker(d time.Duration) *Ticker {
	t := &Ticker{every: d}
	c := make(chan struct{}, 1)
	t.Timer = &Timer{C: c}
	t.timer = time.AfterFunc(math.MaxInt64, func() { // not before it is assigned
		select {
		case c <- struct{}{}:
		default:
		}
		t.timer.Reset(d)
	})
	t.timer.Reset(d)
	return t
}
