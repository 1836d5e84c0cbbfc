package pid1

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"golang.org/x/sys/unix"
)

// A sweeper looks this often when nothing wakes it, ever more seldom: for
// processes that are not our children, whose end nobody tells us (docker exec).
const (
	sweepFirst = 20 * time.Millisecond
	sweepLast  = 160 * time.Millisecond
)

// sweepers are those that run. killing: whatever is left of the container gets
// KILL.
type sweepers struct {
	killing atomic.Bool
	mu      sync.Mutex
	all     map[*sweeper]struct{}
}

// wake lets them all look: a process has been reaped.
func (s *sweepers) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.all {
		select {
		case one.woken <- struct{}{}:
		default: // it is awake already
		}
	}
}

// start makes a sweeper of what find finds; more: others may come, although none
// is left. gone is called when nothing is left, never after its stop.
func (s *sweepers) start(kill *atomic.Bool, find func() (left []process, more bool), gone func()) *sweeper {
	one := &sweeper{find: find, kill: kill, woken: make(chan struct{}, 1), end: make(chan struct{})}
	one.stop = sync.OnceFunc(func() { close(one.end) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[one] = struct{}{}
	go func() {
		empty := one.run()
		s.mu.Lock()
		delete(s.all, one)
		s.mu.Unlock()
		if empty {
			gone()
		}
	}()
	return one
}

// sweeper ends processes that nobody waits for: TERM to each as it is found,
// KILL to each once it is told so, until none is left. It is one goroutine,
// woken by every process that is reaped.
type sweeper struct {
	find  func() (left []process, more bool)
	kill  *atomic.Bool
	woken chan struct{}
	end   chan struct{}
	stop  func() // ends it; may be called again
}

// run returns true when nothing is left, false when it was stopped.
func (s *sweeper) run() bool {
	told := map[life]syscall.Signal{}
	empty := false
	for pause := sweepFirst; ; pause = min(2*pause, sweepLast) {
		left, more := s.find()
		if len(left) == 0 && !more {
			if empty {
				return true
			}
			// A process that forked and ended while the table was read is
			// not in it, nor is its child: one look is no proof.
			empty = true
			continue
		}
		empty = false
		// A stopped process sees TERM only when it runs again.
		sig, then := syscall.SIGTERM, syscall.SIGCONT
		if s.kill.Load() {
			sig, then = syscall.SIGKILL, 0
		}
		for _, p := range left {
			if told[p.life] != sig {
				told[p.life] = sig
				pause = sweepFirst
				p.signal(sig, then)
			}
		}
		if !s.wait(left, pause) {
			return false
		}
	}
}

// wait returns when it is time for another look; false when the sweeper was
// stopped. Being woken is no reason as long as one is there of those that were left:
// a storm of deaths in a large table must not be a storm of looks.
func (s *sweeper) wait(left []process, pause time.Duration) bool {
	over := clock.After(pause)
	for {
		select {
		case <-s.end:
			return false
		case <-over:
			return true
		case <-s.woken:
		}
		for len(left) > 0 && left[0].gone() {
			left = left[1:]
		}
		if len(left) == 0 {
			return true
		}
	}
}

// leftovers finds all that is left of the container: as PID 1 the whole pid
// namespace, and else all that descends from us.
func (l *launcher) leftovers() (left []process, more bool) {
	own := os.Getpid()
	// Asked before the look: a fork that is over by now is seen, and after it
	// there is none, see spawn.
	more = l.forking.Load() > 0
	if own != 1 && childless() {
		return nil, more // whatever descends from us does so through a child
	}
	table := snapshot()
	if len(table) == 0 && !childless() {
		// /proc is not mounted, or hides other users' processes.
		if own == 1 {
			left = []process{{life: life{pid: everybody}}}
		}
		return left, true
	}
	parent := parents(table)
	for _, p := range table {
		// A zombie counts until it is reaped, if that is for us to do.
		if p.dead() && p.ppid != own || own != 1 && !descends(parent, p.ppid, own) {
			continue
		}
		left = append(left, p)
	}
	return left, more
}

// childless reports whether we have no child, not even a zombie: waitid(2),
// which reaps nothing here.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD
}
