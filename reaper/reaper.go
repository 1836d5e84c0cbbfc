package reaper

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

const (
	// The map and the queue are bounded, so that a fork bomb in the
	// container is not one in the init.
	maxEarly   = 16384
	maxOrphans = 4096

	maxBatch = 64 // children reaped in one go, before others get the lock
)

// Options configure New.
type Options struct {
	// Orphan, when not nil, is called for each reaped pid that nobody owns,
	// one at a time, from a goroutine of its own: when it is slow, reports
	// are dropped, the reaping goes on. A child whose exec failed
	// may be among them; its pid was never told to anybody.
	Orphan func(pid int, ws syscall.WaitStatus)

	// Reaped, when not nil, is called after processes have been reaped, once
	// for one or more, by the goroutine that reaps: it must not block.
	Reaped func()
}

// Reaper owns the statuses of all children of this process.
type Reaper struct {
	pidfds bool // the kernel has them; never changes

	mu       sync.Mutex                 // also held from wait4 until the status is delivered
	starting int                        // forks going on
	early    map[int]syscall.WaitStatus // unowned statuses that came meanwhile
	owned    map[int]*Process           // processes that have not ended

	orphans chan orphan // nil without Options.Orphan
	nobodys atomic.Int64
}

// Orphans is how many were reaped that nobody owned.
func (r *Reaper) Orphans() int64 { return r.nobodys.Load() }

type orphan struct {
	pid int
	ws  syscall.WaitStatus
}

// The one Reaper of this process. SIGCHLD and wait4(-1) belong to the process:
// two loops would steal each other's statuses.
var running struct {
	sync.Mutex
	reaper *Reaper
}

// New starts to reap the children of this process, for as long as it runs; its
// goroutines never end. A second call returns the first one's Reaper.
//
// Nobody may wait for a child in another way (os/exec, os.Process.Wait): the
// statuses would go to whoever comes first.
func New(o Options) *Reaper {
	running.Lock()
	defer running.Unlock()
	if running.reaper != nil {
		return running.reaper
	}
	r := &Reaper{pidfds: pidfdsWork(), owned: map[int]*Process{}}
	if o.Orphan != nil {
		r.orphans = make(chan orphan, maxOrphans)
		go func() {
			for c := range r.orphans {
				o.Orphan(c.pid, c.ws)
			}
		}()
	}
	go func() {
		deaths := make(chan os.Signal, 1) // a doorbell: one SIGCHLD may stand for many
		signal.Notify(deaths, syscall.SIGCHLD)
		for { // looks before it waits: some may have died before anybody listened
			for more := true; more; {
				var any bool
				if any, more = r.reap(); any && o.Reaped != nil {
					o.Reaped()
				}
			}
			<-deaths
		}
	}()
	running.reaper = r
	return r
}

// reap reaps dead children, as many as one batch has; more: there may be others. Not with
// __WALL, which takes the children without an exit signal that the Go runtime makes when it
// probes for pidfds.
func (r *Reaper) reap() (any, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range maxBatch {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 { // ECHILD; or none is dead
			return any, false
		}
		any = true
		r.route(pid, ws)
	}
	return any, true
}

// route finds the owner of a status. It never waits. r.mu is held.
func (r *Reaper) route(pid int, ws syscall.WaitStatus) {
	if p := r.owned[pid]; p != nil {
		r.settle(p, ws)
		return
	}
	if r.starting == 0 || len(r.early) >= maxEarly {
		r.orphan(pid, ws)
		return
	}
	if ws, ok := r.early[pid]; ok {
		r.orphan(pid, ws) // the pid was used twice while we forked
	}
	if r.early == nil {
		r.early = map[int]syscall.WaitStatus{}
	}
	r.early[pid] = ws
}

// settle gives p a status that bears its pid, unless the kernel knows that it is another
// bearer's: of one that died earlier while p was being started, or of our child that got
// the number of an adopted stranger after its end. r.mu is held.
func (r *Reaper) settle(p *Process, ws syscall.WaitStatus) {
	reaped, exact, known := p.fate()
	if !known {
		exact = ws // older kernels leave the second case open
	}
	if !reaped || exact != ws {
		r.orphan(p.pid, ws)
	}
	if reaped {
		p.end(Exit{exact, true})
	}
}

// orphan reports a status that is nobody's.
func (r *Reaper) orphan(pid int, ws syscall.WaitStatus) {
	r.nobodys.Add(1)
	select {
	case r.orphans <- orphan{pid, ws}:
	default:
	}
}

// PidFDs tells whether this kernel has them. Without, a process is known by its number,
// and has to be our child.
func (r *Reaper) PidFDs() bool { return r.pidfds }

// Start calls fork and watches the process that it started. Between the birth
// of a process and the moment its pid is known here its status may already
// arrive; statuses without an owner are therefore kept while fork runs.
//
// fork returns the pid and a pidfd (SysProcAttr.PidFD), which belongs to the
// Process from then on; -1 lets Start open one where it can. When fork fails its error is
// returned as it is, and no pidfd is expected. Safe for concurrent use.
func (r *Reaper) Start(fork func() (pid, pidfd int, err error)) (*Process, error) {
	return r.watch(fork, true)
}

// Adopt watches a process that runs already, as announced by MAINPID=. Its
// status is known if it is a child by the time it dies, and on a kernel with
// PIDFD_INFO_EXIT (Linux 6.15) also when its own parent has reaped it at once;
// otherwise Exit.Known is false. The caller vouches that pid is still the
// process it means; the pidfd fixes it from here on. A process that is watched
// already, this process itself, and a pid without a process are errors.
func (r *Reaper) Adopt(pid int) (*Process, error) {
	if pid == os.Getpid() {
		return nil, text.Errorf("cannot watch process %d: it is this process", pid)
	}
	return r.watch(func() (int, int, error) {
		if !r.pidfds && !isChild(unix.P_PID, pid) {
			return 0, -1, text.Errorf("cannot watch process %d: it is no child, and this kernel has no pidfds or refuses them", pid)
		}
		return pid, -1, nil
	}, false)
}

var errWatched = errors.New("it is watched already")

func (r *Reaper) watch(open func() (pid, pidfd int, err error), fresh bool) (*Process, error) {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()

	pid, fd, err := open()
	if err == nil && fd < 0 && r.pidfds {
		if fd, err = unix.PidfdOpen(pid, 0); err != nil { // close-on-exec by itself
			err = text.Errorf("cannot watch process %d: %w", pid, err)
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.endStart()
	if err != nil {
		return nil, err
	}
	// A fresh child may have the pid of a stranger that is watched: that one has been
	// reaped then, and learns it by its own pidfd. Adopted, it is the same process.
	if r.owned[pid] != nil && !fresh {
		_ = unix.Close(fd) // or it is -1
		return nil, text.Errorf("cannot watch process %d: %w", pid, errWatched)
	}
	p := &Process{pid: pid, fd: fd, reaper: r, exited: make(chan Exit, 1)}
	r.owned[pid] = p
	switch ws, ok := r.early[pid]; {
	case fd < 0 && isChild(unix.P_PID, pid): // so a status was that of an earlier bearer
	case ok:
		delete(r.early, pid)
		r.settle(p, ws)
	case fresh || fd < 0: // there may have been more of them than are kept
		if reaped, ws, known := p.fate(); reaped {
			p.end(Exit{ws, known})
		}
	}
	if !fresh && fd >= 0 && !p.over {
		p.follow()
	}
	return p, nil
}

// endStart closes the bracket that keeps early statuses; called with mu held.
func (r *Reaper) endStart() {
	r.starting--
	if r.starting == 0 {
		for pid, ws := range r.early {
			r.orphan(pid, ws)
		}
		r.early = nil // not emptied: that would keep a storm's memory
	}
}
