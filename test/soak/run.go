package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	release "github.com/swapinit/swapinit/test/build"
	"golang.org/x/sys/unix"
)

type options struct {
	time     time.Duration
	seed     uint64
	kind     string
	actions  int
	every    time.Duration
	breaks   bool
	terminal bool
}

// soak is one run.
type soak struct {
	options
	begin            time.Time
	dir              string // kept when something went wrong
	swapinit, server string
	totals           totals
}

// violation is the first expectation that was not kept.
type violation struct {
	soak   *soak
	lap    *lap
	action int
	err    error
}

func (v *violation) Error() string { return v.err.Error() }

// lastActions is how many of them a violation tells.
const lastActions = 30

func (v *violation) report() string {
	story := v.lap.story[max(0, len(v.lap.story)-lastActions):]
	return fmt.Sprintf("VIOLATION: %v\nseed %d, kind %s, lap %d (%s), action %d of it\nthe last %d actions:\n  %s\nthe logs are in %s",
		v.err, v.soak.seed, v.lap.kind, v.lap.number, v.lap.about, v.action, len(story), strings.Join(story, "\n  "), v.lap.dir)
}

// run prints the seed, builds, and does both kinds until the time is over.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	fmt.Fprintf(out, "seed %d\n", o.seed)
	s := &soak{options: o, begin: time.Now()}
	if s.dir, err = os.MkdirTemp("", "soak-"); err != nil {
		return err
	}
	interrupted := ctx
	defer func() {
		if err == nil || interrupted.Err() != nil {
			_ = os.RemoveAll(s.dir)
		}
	}()
	s.swapinit, s.server = filepath.Join(s.dir, "swapinit"), filepath.Join(s.dir, "server")
	if err := errors.Join(release.Swapinit(s.swapinit), release.Server(s.dir)); err != nil {
		return err
	}
	s.begin = time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, kind := range kinds {
		if o.kind == "all" || o.kind == kind {
			all.Go(func() {
				if err := s.laps(ctx, kind); err != nil {
					cancel(err) // the first one is the cause
				}
			})
		}
	}
	stop := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() { s.tell(out, stop) })
	all.Wait()
	close(stop)
	told.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	fmt.Fprintln(out, s.totals.text(o.seed, time.Since(s.begin)))
	return err
}

// over reports whether there is to be another action after n of them.
func (s *soak) over(ctx context.Context, n int) bool {
	return ctx.Err() != nil || time.Since(s.begin) >= s.time || s.actions > 0 && n >= s.actions
}

// tell says how far it is.
func (s *soak) tell(out io.Writer, stop <-chan struct{}) {
	line, live := time.NewTicker(s.every), time.NewTicker(time.Second)
	defer line.Stop()
	defer live.Stop()
	wipe := func() {
		if s.terminal {
			fmt.Fprint(os.Stderr, "\r\x1b[K")
		}
	}
	for {
		select {
		case <-stop:
			wipe()
			return
		case <-line.C:
			wipe()
			fmt.Fprintln(out, s.totals.line(time.Since(s.begin)))
		case <-live.C:
			if s.terminal {
				fmt.Fprint(os.Stderr, "\r\x1b[K", s.totals.line(time.Since(s.begin)))
			}
		}
	}
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
