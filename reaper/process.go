package reaper

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	// Status is as wait4(2) gives it, Exited or Signaled. Only if Known.
	Status syscall.WaitStatus

	// Known is false when the process is gone and its status could not be
	// had: it was not our child, and its parent did not reap it at once or the
	// kernel is one without PIDFD_INFO_EXIT.
	Known bool
}

// Process is a process that is watched until it ends. It owns its pidfd, and
// closes it before the Exit is sent.
type Process struct {
	pid    int
	reaper *Reaper   // its lock guards what is below
	fd     int       // the pidfd; -1: by number
	file   *os.File  // fd's, of a process that was adopted
	over   bool      // the Exit was sent
	exited chan Exit // 1 slot, filled exactly once
}

// Pid is the process's number. After its end the number may be another's.
func (p *Process) Pid() int { return p.pid }

// Exited gives exactly one Exit, when the process has ended and was reaped; the
// channel is never closed. A process that stops or continues has not ended.
func (p *Process) Exited() <-chan Exit { return p.exited }

// end reports the end. r.mu is held, as for fate.
func (p *Process) end(e Exit) {
	p.over = true
	if p.reaper.owned[p.pid] == p { // else the number has a new owner, see watch
		delete(p.reaper.owned, p.pid)
	}
	if p.file != nil {
		_ = p.file.Close()
	} else {
		_ = unix.Close(p.fd) // or it is -1
	}
	p.exited <- e
}

// fate asks the kernel what became of a process: whether it was our child and has been
// reaped, and, if it keeps that, the status. By number it cannot be asked.
func (p *Process) fate() (reaped bool, ws syscall.WaitStatus, known bool) {
	if p.fd < 0 {
		return true, 0, false
	}
	if ws, ok := exitInfo(p.fd); ok {
		return true, ws, true
	}
	return dead(p.fd) && !isChild(unix.P_PIDFD, p.fd), 0, false
}

// follow waits for the end of a process that may be no child of ours: in the netpoller,
// which costs no thread. Its parent reaps it a moment after its end, or never, or it
// becomes our child; after two seconds that is not waited for.
func (p *Process) follow() {
	_ = unix.SetNonblock(p.fd, true) // os.NewFile uses the netpoller for such only
	p.file = os.NewFile(uintptr(p.fd), "pidfd")
	conn, _ := p.file.SyscallConn() // fails for a nil file only
	go func() {
		// An error: it was reaped and the file closed, or this is not in the netpoller.
		_ = conn.Read(func(fd uintptr) bool { return dead(int(fd)) })
		for d := time.Millisecond; !p.look(d > time.Second); d = min(2*d, 2*time.Second) {
			<-clock.After(d)
		}
	}()
}

// look tells whether the Exit is sent, and sends it if the process has ended and the
// kernel has its status, or last.
func (p *Process) look(last bool) bool {
	p.reaper.mu.Lock()
	defer p.reaper.mu.Unlock()
	if !p.over && dead(p.fd) {
		if ws, known := exitInfo(p.fd); known || last {
			p.end(Exit{ws, known})
		}
	}
	return p.over
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
// From Linux 6.9 on the kernel finds the group by the pidfd. Before, kill(2) with the
// negative pid is used. A child of ours is not reaped meanwhile, so the number is its own,
// and the kernel gives it to nobody as long as any member of its group lives. A stranger
// may be: for a group to be hit that is not ours, it must, between a look at the pidfd and
// the kill a few instructions later, die, be reaped, have its group empty, and its number
// must have been given to a new process that has made itself the leader of a group.
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
	p.reaper.mu.Lock()
	defer p.reaper.mu.Unlock()
	err := error(unix.ESRCH)
	if !p.over {
		err = unix.EINVAL
		if p.fd >= 0 {
			err = unix.PidfdSendSignal(p.fd, unix.Signal(sig), nil, flags)
		}
		if err == unix.EINVAL && (p.fd < 0 || flags != 0) { // the flag is unknown, or sig is nonsense
			err = p.kill(number, sig)
		}
	}
	if err != nil {
		return text.Errorf("cannot send signal %d to %s %d: %w", int(sig), what, p.pid, err)
	}
	return nil
}

// kill is kill(2) as long as the process has not been reaped.
func (p *Process) kill(number int, sig syscall.Signal) error {
	if p.fd >= 0 && unix.PidfdSendSignal(p.fd, 0, nil, 0) == unix.ESRCH { // EPERM: it is there
		return unix.ESRCH
	}
	return unix.Kill(number, sig)
}
