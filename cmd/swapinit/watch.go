//go:build linux

package main

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"golang.org/x/sys/unix"
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
			return v.stopped()
		}
		switch {
		case n > 0 && ended(err):
			if !a.json {
				v.put("\nthe init has ended\n")
			}
			return exitDone
		case err != nil || !reply.OK || reply.Status == nil:
			return v.answered(control.VerbStatus, a, reply, err)
		case a.json:
			v.done(control.VerbStatus, a, reply)
		case v.redraw:
			v.put(v.frame(reply.Status))
		case n > 0:
			v.put("\n" + v.page(reply.Status))
		default:
			v.put(v.page(reply.Status))
		}
		if v.lost != nil {
			return exitDone // which written makes a failure
		}
		select {
		case <-tick.C:
		case <-stop:
			return v.stopped()
		}
	}
}

// stopped leaves a terminal with the cursor at the begin of a line: a key has shown there.
func (v *verbRun) stopped() int {
	if v.redraw {
		v.put("\n")
	}
	return exitDone
}

// page is a status as text.
func (v *verbRun) page(s *control.Status) string {
	p := page{width: leastWidth, color: v.color}
	if v.size != nil {
		columns, _ := v.size()
		p.width = max(p.width, columns)
	}
	p.status(s)
	return p.out
}

// frame is a page in the place of the one before, all in one write. Lines for which there
// is no room are left out: they would move the others up, each time.
func (v *verbRun) frame(s *control.Status) string {
	out := "\x1b[H" // home; each line is cleared before it is written, as its end may be that of the terminal's
	rows := 0
	if v.size != nil {
		_, rows = v.size()
	}
	lines := strings.Split(strings.TrimSuffix(v.page(s), "\n"), "\n")
	if rows > 1 && len(lines) >= rows {
		lines = lines[:rows-1]
	}
	for _, line := range lines {
		out += "\x1b[K" + line + "\n"
	}
	return out + "\x1b[J"
}

// terminalSize is that of standard output.
func terminalSize() (columns, rows int) {
	size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
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
