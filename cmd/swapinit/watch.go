//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/internal/control"
)

// watch prints the status again and again, until it is told to stop or the init
// has ended: both is what was to be expected, so both is 0.
func (v *verbRun) watch(a verbArgs) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	tick := clock.NewTicker(v.every)
	defer tick.Stop()
	var reply *control.Reply
	// Looked up once: another init that comes after this one is not the one that
	// is watched.
	addr, err := control.Find(v.env("SWAPINIT_CONTROL"))
	answered := make(chan bool, 1)
	for n := 0; ; n++ {
		// A stopped init makes the request wait, and a signal must not.
		go func() {
			if err == nil {
				reply, err = control.Do(addr, control.Request{Verb: control.VerbStatus}, nil)
			}
			answered <- true
		}()
		select {
		case <-answered:
		case <-stop:
			return exitDone
		}
		switch {
		case n > 0 && ended(err):
			return exitDone
		case err != nil || !reply.OK || reply.Status == nil:
			return v.answered(control.VerbStatus, a, reply, err)
		case a.json:
		case v.redraw:
			io.WriteString(v.out, "\x1b[H\x1b[J") // home, and clear from there
		case n > 0:
			io.WriteString(v.out, "\n")
		}
		v.done(control.VerbStatus, a, reply)
		select {
		case <-tick.C:
		case <-stop:
			return exitDone
		}
	}
}

// ended says whether an error means that there is no init any more, and not that
// one does not answer.
func ended(err error) bool {
	for _, gone := range [...]error{control.ErrGone, syscall.ECONNREFUSED, syscall.ENOENT, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
