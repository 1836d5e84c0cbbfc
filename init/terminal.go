package pid1

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal, if swapinit has one and is in its
// foreground: then the keys belong to the child. It owns its descriptor.
type terminal struct{ fd int }

// openTerminal asks for /dev/tty, not for stdin: a shell below us would wait
// for the terminal although stdin is /dev/null.
func openTerminal() *terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &terminal{-1} // ENXIO: no controlling terminal, the usual case
	}
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || group != unix.Getpgrp() {
		unix.Close(fd) // a background job of a shell: it stays one
		return &terminal{-1}
	}
	return &terminal{fd}
}

// forFirst is the descriptor by which the first generation takes the
// foreground between fork and exec; later ones get it at their cut-over.
func (t *terminal) forFirst(generation, worker int) int {
	if generation == 1 && worker == 0 {
		return t.fd
	}
	return -1
}

// hungUp reports whether the terminal is gone: then HUP comes from the kernel,
// to the session's leader, and means what it always meant.
func (t *terminal) hungUp() bool {
	if t.fd < 0 {
		return false
	}
	q := []unix.PollFd{{Fd: int32(t.fd)}}
	n, _ := unix.Poll(q, 0)
	return n > 0 && q[0].Revents&unix.POLLHUP != 0
}

// foreground gives the terminal to the process group of pid.
func (t *terminal) foreground(pid int) {
	if t.fd < 0 || pid <= 0 {
		return
	}
	// We are in the background by now, where TIOCSPGRP raises TTOU; blocked,
	// it is let through (tcsetpgrp(3)). The mask is the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ttou, old unix.Sigset_t
	ttou.Val[0] = 1 << (uint(syscall.SIGTTOU) - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &old) != nil {
		return
	}
	// ENOTTY or EPERM: the terminal has gone, or the group. Nothing to do.
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pid)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
}
