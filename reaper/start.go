package reaper

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Start calls fork and watches the process that it started. Between the birth
// of a process and the moment its pid is known here its status may already
// arrive; statuses without an owner are therefore kept while fork runs.
//
// fork returns the pid and a pidfd (SysProcAttr.PidFD), which belongs to the
// Process from then on; -1 lets Start open one. When fork fails its error is
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
		return nil, fmt.Errorf("cannot adopt process %d: it is this process", pid)
	}
	return r.watch(func() (int, int, error) {
		fd, err := unix.PidfdOpen(pid, 0) // close-on-exec by itself
		if err != nil {
			return 0, -1, fmt.Errorf("cannot adopt process %d: %w", pid, err)
		}
		return pid, fd, nil
	}, false)
}

var errWatched = errors.New("it is watched already")

func (r *Reaper) watch(open func() (pid, pidfd int, err error), fresh bool) (*Process, error) {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()

	pid, fd, err := open()
	if err == nil && fd < 0 {
		if fd, err = unix.PidfdOpen(pid, 0); err != nil {
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
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot adopt process %d: %w", pid, errWatched)
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
