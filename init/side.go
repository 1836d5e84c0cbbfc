package pid1

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
	"github.com/swapinit/swapinit/swap"
)

// side is a process beside the servers (SWAPINIT_SIDE_<NAME>). It is the loop's.
type side struct {
	*config.Side
	machine *swap.Side
	proc    *reaper.Process // the last one that has run
	runs    bool
	tried   bool // its first start is over
	born    clock.Time
	sweeper *sweeper     // of what the last one has left in its process group, or nil
	kill    *atomic.Bool // that gets KILL
}

// sides are all of them, in the order of their names. It is the loop's but for what await
// waits for.
type sides struct {
	list  []*side
	first int           // those of which the first start goes on
	begun chan struct{} // closed when that is over; nil: there are none
	let   func()        // closes it; may be called again
}

// sidesFirst bounds the wait for their first start: an exec can hang on a file system.
const sidesFirst = 5 * time.Second

// await waits until they were started for the first time, before which no server is. It
// is not for the loop.
func (s *sides) await() {
	if s.begun != nil {
		<-s.begun
	}
}

// startSides starts them all.
func (i *Init) startSides() {
	if len(i.set.Sides) == 0 {
		return
	}
	s := &i.sides
	s.begun = make(chan struct{})
	s.let = sync.OnceFunc(func() { close(s.begun) })
	time.AfterFunc(sidesFirst, s.let)
	s.first = len(i.set.Sides)
	for n := range i.set.Sides {
		s.list = append(s.list, &side{Side: &i.set.Sides[n], machine: swap.NewSide(i.set.LeftoverTimeout)})
	}
	i.tickSides()
}

func (i *Init) tickSides() {
	for _, s := range i.sides.list {
		i.stepSide(s, swap.SideEvent{})
	}
}

// stepSide gives its machine an event and performs what comes out.
func (i *Init) stepSide(s *side, e swap.SideEvent) {
	for _, f := range s.machine.Step(i.now(), e) {
		switch f.Kind {
		case swap.SideStart:
			go i.launchSide(s)
		case swap.SideTerm:
			_ = s.proc.SignalGroup(syscall.SIGTERM)
			resume(s.proc)
		case swap.SideClear:
			i.clearSide(s)
		case swap.SideKill:
			if s.runs {
				_ = s.proc.SignalGroup(syscall.SIGKILL)
			} else {
				s.kill.Store(true)
				i.sweepers.wake()
			}
		case swap.SideReply:
			i.clients.done(f.ID, &control.Reply{OK: f.Text == "", Error: s.replied(f.Text)})
		case swap.SideInfo:
			i.sayOfSide(s, logline.Info, f.Text)
		case swap.SideWarn:
			i.sayOfSide(s, logline.Warn, f.Text)
		}
	}
}

// clearSide ends what its process, which has ended, has left in its group.
func (i *Init) clearSide(s *side) {
	s.endSweep()
	group, kill := s.proc.Pid(), &atomic.Bool{}
	var one *sweeper
	one = i.sweepers.start(kill, func() ([]process, bool) { return remains(group), false }, func() {
		i.post(func() {
			if s.sweeper == one { // else it is about one before
				i.stepSide(s, swap.SideEvent{Kind: swap.SideCleared})
			}
		})
	})
	s.sweeper, s.kill = one, kill
}

func (s *side) endSweep() {
	if s.sweeper != nil {
		s.sweeper.stop()
		s.sweeper = nil
	}
}

// replied is the reason of a reply, "" if there is none.
func (s *side) replied(reason string) string {
	if reason != "" {
		reason = "side " + s.Name + ": " + reason
	}
	return reason
}

func (i *Init) sayOfSide(s *side, level logline.Level, what string) {
	pid := 0
	if s.proc != nil {
		pid = s.proc.Pid()
	}
	i.say(level, "side", "side "+s.Name+" "+what, 0, pid)
}

// launchSide starts its program and waits for its end, in a goroutine of its own.
func (i *Init) launchSide(s *side) {
	p, err := i.launcher.start(&helper{command: s.Command, generation: beside, stdout: 1, stderr: 2})
	i.post(func() {
		i.sideStarted(s, p, err)
	})
	if err != nil {
		return
	}
	e := <-p.Exited()
	i.sweepers.wake()
	what := describe(e.Status)
	if e.Status.Signaled() && e.Status.Signal() == syscall.SIGKILL && i.launcher.outOfMemory() {
		what += " for want of memory"
	}
	i.post(func() {
		s.runs = false
		i.stepSide(s, swap.SideEvent{Kind: swap.SideExited, Reason: what, Clean: e.Status.Exited() && e.Status.ExitStatus() == 0})
	})
}

// sideStarted is called when its program runs, or cannot.
func (i *Init) sideStarted(s *side, p *reaper.Process, err error) {
	e := swap.SideEvent{Kind: swap.SideStarted}
	if err != nil {
		e = swap.SideEvent{Kind: swap.SideFailed, Reason: err.Error()}
	} else {
		s.proc, s.runs, s.born = p, true, clock.Now()
		i.sayOfSide(s, logline.Debug, "started: "+text.ShellWords(s.Command))
	}
	i.stepSide(s, e)
	if !s.tried {
		s.tried = true
		if i.sides.first--; i.sides.first == 0 {
			i.sides.let()
		}
	}
}

// endSides is called when everything that is left in the container is ended.
func (i *Init) endSides() {
	for _, s := range i.sides.list {
		i.stepSide(s, swap.SideEvent{Kind: swap.SideStop})
		s.endSweep() // one sweeper for all from here on
	}
}

// remains are those that are left of the process group of a process that has ended. Its
// number is nobody else's as long as they have it; if it leads a new life, none is left.
func remains(group int) (left []process) {
	table, own := snapshot(), os.Getpid()
	for _, p := range table {
		if p.pid == group {
			return nil
		}
		if p.pgrp == group && (!p.dead() || p.ppid == own) {
			left = append(left, p)
		}
	}
	return left
}

// restartSide starts the one of that name again, for a client.
func (i *Init) restartSide(c *control.Call) {
	var names []string
	for _, s := range i.sides.list {
		if s.Name == text.Lower(c.Swap.Side) {
			i.stepSide(s, swap.SideEvent{Kind: swap.SideRestart, ID: i.clients.add(c)})
			return
		}
		names = append(names, s.Name)
	}
	known := "there are: " + strings.Join(names, ", ")
	if len(names) == 0 {
		known = "there is none, SWAPINIT_SIDE_<NAME> makes one"
	}
	c.Done(&control.Reply{Error: "no side is named " + text.Quote(c.Swap.Side, 40) + ", " + known})
}

// report adds them to a status.
func (s *sides) report(to *control.Status) {
	for _, one := range s.list {
		r := control.Side{Name: one.Name, Restarts: one.machine.Restarts(), Command: one.Command, Reason: one.machine.Down()}
		if one.runs {
			r.Pid, r.UptimeMS = one.proc.Pid(), clock.Since(one.born).Milliseconds()
		}
		to.Sides = append(to.Sides, r)
	}
}
