package reaper

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	goreaper "github.com/ramr/go-reaper"
	"github.com/swapinit/swapinit/internal/clock"
	"golang.org/x/sys/unix"
)

const (
	// defaultBuffer is how many statuses may wait for the router. A storm of
	// 100k orphans lost some with 64 slots and none with 1024; untouched
	// pages of the buffer cost nothing.
	defaultBuffer = 16384

	// The maps and the queue are bounded, so that a fork bomb in the
	// container is not one in the init.
	maxEarly   = 16384
	maxLate    = 4096
	maxOrphans = 4096
	maxBatch   = 1024 // statuses routed in one go

	// Without a pidfd nothing tells that a status was lost.
	lookEvery = 2 * time.Second
)

// Options configure New.
type Options struct {
	// Buffer is how many statuses may be queued between go-reaper and the
	// router: 0 is the default of 16384, less than 0 is none at all. However
	// small, no status of a Process is wrong; small ones take longer.
	Buffer int

	// Orphan, when not nil, is called for each reaped pid that nobody owns,
	// one at a time, from a goroutine of its own: when it is slow, reports
	// are dropped and counted, the reaping goes on. A child whose exec failed
	// may be among them; its pid was never told to anybody.
	Orphan func(pid int, ws syscall.WaitStatus)

	// Reaped, when not nil, is called after processes have been reaped, once
	// for one or more, by the router itself: it must not block.
	Reaped func()
}

// Stats count what happened since New. Routed, Early, Waitid, Info and Unknown
// add up to the number of processes that ended.
type Stats struct {
	Received int // statuses that arrived from go-reaper
	Routed   int // ... and were a process's own
	Early    int // ... likewise, but came while its fork was still going on
	Waitid   int // statuses that go-reaper had not collected: waitid(2)
	Info     int // statuses that were lost and found by PIDFD_GET_INFO
	Unknown  int // statuses that could not be had: Exit.Known is false
	Stale    int // statuses refused: they were an earlier bearer's of the pid
	Late     int // statuses that came after theirs had been found otherwise
	Orphans  int // statuses of nobody's children
	Dropped  int // orphans not reported, as Options.Orphan was too slow
}

// Reaper owns the statuses of all children of this process.
type Reaper struct {
	pidfds bool // the kernel has them; never changes

	mu       sync.Mutex
	starting int                        // forks going on
	early    map[int]syscall.WaitStatus // unowned statuses that came meanwhile
	owned    map[int]*Process           // processes that wait for their status
	late     map[int]struct{}           // pids whose status was found otherwise
	stats    Stats

	orphans chan orphan // nil without Options.Orphan

	stdout *os.File // of fd 1, see redirectStdout
}

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
// New redirects os.Stdout, because go-reaper prints there when a status does
// not fit its channel. File descriptor 1 itself is left alone, it is the
// children's. Nobody may wait for a child in another way (os/exec,
// os.Process.Wait): the statuses would go to whoever comes first.
func New(o Options) *Reaper {
	running.Lock()
	defer running.Unlock()
	if running.reaper != nil {
		return running.reaper
	}

	statuses := make(chan goreaper.Status, max(cmp.Or(o.Buffer, defaultBuffer), 0))
	r := &Reaper{pidfds: pidfdsWork(), owned: map[int]*Process{}, late: map[int]struct{}{}}
	if o.Orphan != nil {
		r.orphans = make(chan orphan, maxOrphans)
		go func() {
			for c := range r.orphans {
				o.Orphan(c.pid, c.ws)
			}
		}()
	}

	r.stdout = redirectStdout()
	go func() {
		for s := range statuses {
			r.routeAll(s, statuses)
			if o.Reaped != nil {
				o.Reaped()
			}
		}
	}()
	// Options 0 is a wait4 that waits. WNOHANG would make the loop spin, and
	// __WALL would take the children without an exit signal that the Go
	// runtime makes when it probes for pidfds.
	goreaper.Start(goreaper.Config{Pid: -1, DisablePid1Check: true, StatusChannel: statuses})
	go r.arm()

	running.reaper = r
	return r
}

// redirectStdout points the variable os.Stdout, where go-reaper prints, at
// stderr: fd 1 is the server's. It must be a descriptor above 2, as a write to
// a broken pipe on fd 1 or 2 makes the Go runtime end the process by SIGPIPE;
// elsewhere it is a mere EPIPE. The descriptor stays open for good.
//
// What os.Stdout was has to be kept: as garbage it would close fd 1, and the next
// socket that is opened there would be every child's stdout.
func redirectStdout() (was *os.File) {
	was = os.Stdout
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		os.Stdout = nil // every write fails with os.ErrInvalid, which nobody reads
		return was
	}
	os.Stdout = os.NewFile(uintptr(fd), "/dev/stderr")
	return was
}

// kick makes go-reaper look for dead children.
func kick() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGCHLD)
}

// arm kicks until go-reaper is known to listen. It asks for SIGCHLD in a
// goroutine of a goroutine, so the SIGCHLD of a child that dies at once, or was
// a zombie before we were executed, finds nobody and is not repeated. The first
// status to arrive ends this, or two seconds.
func (r *Reaper) arm() {
	for d := time.Millisecond; d <= 1024*time.Millisecond; d *= 2 {
		<-clock.After(d)
		if r.Stats().Received > 0 {
			return
		}
		kick()
	}
}

// Stats returns the counters as they are now.
func (r *Reaper) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// PidFDs tells whether this kernel has them. Without, a process is known by its number as
// long as it is our child and was not reaped; see SignalGroup for what that means.
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
		return nil, fmt.Errorf("cannot watch process %d: it is this process", pid)
	}
	return r.watch(func() (int, int, error) {
		if !r.pidfds && !isChild(pid) {
			return 0, -1, fmt.Errorf("cannot watch process %d: it is no child, and this kernel has no pidfds or refuses them", pid)
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
			err = fmt.Errorf("cannot watch process %d: %w", pid, err)
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.endStart()
	if err != nil {
		return nil, err
	}
	// A fresh child may have the pid of one that is watched: that one has been
	// reaped then, and learns its status by its own pidfd. Adopted, it is the
	// same process.
	if r.owned[pid] != nil && !fresh {
		_ = unix.Close(fd) // or it is -1
		return nil, fmt.Errorf("cannot watch process %d: %w", pid, errWatched)
	}
	p := newProcess(r, pid, fd)
	delete(r.late, pid)
	r.owned[pid] = p
	if ws, ok := r.early[pid]; ok {
		delete(r.early, pid)
		r.deliver(p, ws, &r.stats.Early)
	}
	go p.watch()
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
	kick() // cheap, and go-reaper may not have listened when the child died
}
