package pid1

import (
	"github.com/swapinit/swapinit/internal/logline"
	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal, if swapinit has one and is in its
// foreground: then the keys belong to the child. It owns its descriptor.
type terminal struct {
	fd    int
	group int // the process group that got the foreground last; the loop's
}

// openTerminal asks for /dev/tty, not for stdin: a shell below us would wait
// for the terminal although stdin is /dev/null.
func openTerminal() *terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &terminal{fd: -1} // ENXIO: no controlling terminal, the usual case
	}
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || group != unix.Getpgrp() {
		unix.Close(fd) // a background job of a shell: it stays one
		return &terminal{fd: -1}
	}
	return &terminal{fd, group}
}

// forFirst is the descriptor by which the first worker takes the foreground between
// fork and exec, to find itself there; later ones get it from foreground.
func (t *terminal) forFirst(w *worker) int {
	if w.g.number == 1 && w.index == 0 && w.restarts == 0 {
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

// foreground gives the terminal to a process group, unless a shell above us has taken
// it from the one that had it (^Z and bg): its own group would never get it back.
func (t *terminal) foreground(group int) {
	if t.fd < 0 || group <= 0 {
		return
	}
	now, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err == nil && now != t.group && (now == 1 || unix.Kill(-now, 0) != unix.ESRCH) { // -1 is no group
		return
	}
	t.group = group
	// We are in the background by now, where TIOCSPGRP raises TTOU.
	logline.WithoutTTOU(func() {
		// ENOTTY or EPERM: the terminal has gone, or the group. Nothing to do.
		_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
	})
}
