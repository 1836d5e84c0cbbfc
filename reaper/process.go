package reaper

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	// Status is as wait4(2) gives it, Exited or Signaled. Only if Known.
	Status syscall.WaitStatus

	// Known is false when the process is gone and its status could not be
	// had: it was not our child, or the status was lost on a kernel without
	// PIDFD_INFO_EXIT.
	Known bool
}

// Process is a process that is watched until it ends. It owns its pidfd, and
// closes it before the Exit is sent.
type Process struct {
	pid    int
	file   *os.File        // the pidfd, in the netpoller: waiting costs no thread; nil: by number
	conn   syscall.RawConn // file's; holds the descriptor open during each use
	over   atomic.Bool     // by number: it was reaped
	reaper *Reaper
	status chan syscall.WaitStatus // 1 slot, filled by the router at most once
	exited chan Exit               // 1 slot, filled by watch exactly once
}

// newProcess takes ownership of pidfd; -1: the process, our child, is known by its number
// alone. The caller starts watch.
func newProcess(r *Reaper, pid, pidfd int) *Process {
	p := &Process{
		pid: pid, reaper: r,
		status: make(chan syscall.WaitStatus, 1),
		exited: make(chan Exit, 1),
	}
	if pidfd < 0 {
		return p
	}
	// os.NewFile uses the netpoller for a non-blocking descriptor only. Should
	// this fail, awaitDeath keeps a thread waiting instead.
	_ = unix.SetNonblock(pidfd, true)
	p.file = os.NewFile(uintptr(pidfd), "pidfd")
	p.conn, _ = p.file.SyscallConn() // fails for a nil file only
	return p
}

// Pid is the process's number. After its end the number may be another's.
func (p *Process) Pid() int { return p.pid }

// Exited gives exactly one Exit, when the process has ended and was reaped; the
// channel is never closed. A process that stops or continues has not ended.
func (p *Process) Exited() <-chan Exit { return p.exited }

// watch waits for the end of the process and reports it. It ends with it.
func (p *Process) watch() {
	if p.file == nil {
		p.exited <- p.awaitStatus()
		return
	}
	p.awaitDeath()
	e := p.await()
	_ = p.file.Close()
	p.exited <- e
}

// awaitDeath returns when the pidfd is readable: all threads have ended, the
// process is a zombie or reaped.
func (p *Process) awaitDeath() {
	err := p.conn.Read(func(fd uintptr) bool { return dead(int(fd), 0) })
	if err != nil { // not in the netpoller
		_ = p.conn.Control(func(fd uintptr) {
			for !dead(int(fd), -1) {
			}
		})
	}
}

// await gets the status of the dead process: from the router, which mostly has
// it already or gets it in a moment, or else from the kernel. It gives up after
// two seconds.
func (p *Process) await() Exit {
	r := p.reaper
	for d := time.Millisecond; ; d *= 2 {
		// The pidfd is mostly faster than the way through go-reaper, which needs
		// two goroutines for it, and may not be listening yet.
		if ws, ok := p.query(collect); ok {
			r.forget(p, &r.stats.Waitid)
			return Exit{ws, true}
		}
		// It has collected the status and the router lags behind or never got it,
		// or this is not our child.
		if ws, ok := p.query(exitInfo); ok && d > 32*time.Millisecond {
			r.forget(p, &r.stats.Info)
			return Exit{ws, true}
		}
		if d > 1024*time.Millisecond {
			break
		}
		select {
		case ws := <-p.status:
			return p.verified(ws)
		case <-clock.After(d):
			kick()
		}
	}
	if r.forget(p, &r.stats.Unknown) {
		return Exit{}
	}
	return p.verified(<-p.status) // it came just now
}

// awaitStatus is what a process is waited for without a pidfd: the router has the status,
// unless it was lost.
func (p *Process) awaitStatus() Exit {
	defer p.over.Store(true)
	for lost := false; ; {
		select {
		case ws := <-p.status:
			return Exit{ws, true}
		case <-clock.After(lookEvery):
		}
		if lost && p.reaper.forget(p, &p.reaper.stats.Unknown) {
			return Exit{}
		}
		lost = p.reaped()
		kick()
	}
}

// verified compares a routed status with the one that the kernel keeps with the
// pidfd (Linux 6.15). They differ when a pid was recycled and both bearers died
// before the first one's status got here: then two statuses are on their way,
// and the wrong one came first. Older kernels leave that case open; it takes a
// whole turn of the pid counter within the delay of one goroutine.
func (p *Process) verified(ws syscall.WaitStatus) Exit {
	if exact, ok := p.query(exitInfo); ok && exact != ws {
		p.reaper.mistaken(p.pid, ws)
		ws = exact
	}
	return Exit{ws, true}
}

// reaped tells whether the process was our child and has been waited for. Only
// then can a status of its pid that came out of wait4 be its own.
func (p *Process) reaped() bool {
	yes := false
	_ = p.control(func(fd int) { yes = fd < 0 && !isChild(p.pid) || fd >= 0 && dead(fd, 0) && !waitable(fd) })
	return yes
}

// control calls f with the pidfd, -1 if there is none; an error means that the end was
// reported.
func (p *Process) control(f func(fd int)) error {
	switch {
	case p.file != nil:
		return p.conn.Control(func(fd uintptr) { f(int(fd)) })
	case p.over.Load():
		return syscall.ESRCH
	}
	f(-1)
	return nil
}

func (p *Process) query(f func(fd int) (syscall.WaitStatus, bool)) (ws syscall.WaitStatus, ok bool) {
	_ = p.conn.Control(func(fd uintptr) { ws, ok = f(int(fd)) })
	return ws, ok
}

// Signal sends sig to the process by pidfd_send_signal(2), so that it never
// reaches a later bearer of the pid. When the process is gone the error is
// syscall.ESRCH (errors.Is); a zombie takes any signal without an error, as
// with kill(2). Signal 0 only asks.
func (p *Process) Signal(sig syscall.Signal) error {
	return p.send(sig, "process", p.pid, 0)
}

// SignalGroup sends sig to the process group that the process leads; if it
// leads none, to the process alone. Once Exited has its value the error is
// syscall.ESRCH, even if others of the group live.
//
// From Linux 6.9 on the kernel finds the group by the pidfd, which cannot go
// wrong. Before, kill(2) with the negative pid is used while the pidfd shows
// that the process has not been reaped. What this guarantees: at the moment of
// the check the number is the process's own, and the kernel gives it to nobody
// as long as it is not reaped or any member of its group lives. What it does
// not: for a group to be hit that is not ours, the process must, between the
// check and the kill a few instructions later, die, be reaped, have its group
// empty, and its number must have been given to a new process that has made
// itself the leader of a group.
//
// Where there are no pidfds, Signal is like that, too.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	err := p.send(sig, "process group", -p.pid, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	if errors.Is(err, syscall.ESRCH) { // no such group, or no such process
		return p.Signal(sig)
	}
	return err
}

// send signals by the pidfd, or number by kill(2) where the kernel cannot. It fails with
// ESRCH when the end was reported.
func (p *Process) send(sig syscall.Signal, what string, number, flags int) error {
	err := error(unix.EINVAL)
	gone := p.control(func(fd int) {
		if fd >= 0 {
			err = unix.PidfdSendSignal(fd, unix.Signal(sig), nil, flags)
		}
		if err == unix.EINVAL && (fd < 0 || flags != 0) { // the flag is unknown, or sig is nonsense
			err = p.kill(fd, number, sig)
		}
	})
	if gone != nil {
		err = syscall.ESRCH
	}
	if err != nil {
		return fmt.Errorf("cannot send signal %d to %s %d: %w", int(sig), what, p.pid, err)
	}
	return nil
}

// kill is kill(2) as long as the process has not been reaped.
func (p *Process) kill(fd, number int, sig syscall.Signal) error {
	if fd < 0 && !isChild(p.pid) || fd >= 0 && unix.PidfdSendSignal(fd, 0, nil, 0) == unix.ESRCH { // EPERM: it is there
		return unix.ESRCH
	}
	return unix.Kill(number, sig)
}
