package reaper

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// siginfo is siginfo_t as waitid(2) fills it on 64-bit Linux; x/sys has no
// names for the fields of a child. 128 bytes.
type siginfo struct {
	signo, errno, code, _ int32
	pid, uid, status      int32
	_                     [25]int32
}

// si_code for a dead child, asm-generic/siginfo.h.
const (
	cldExited = 1
	cldDumped = 3
)

// dead tells whether a pidfd is readable, waiting at most timeout milliseconds,
// -1 for ever. A descriptor that cannot be polled counts as dead.
func dead(fd, timeout int) bool {
	q := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(q, timeout)
	return n > 0 || err != nil && err != unix.EINTR
}

// waitable tells whether the process is our child and a zombie. It takes
// nothing from whoever waits for it.
func waitable(fd int) bool {
	_, ok := waitid(fd, unix.WNOWAIT)
	return ok
}

// collect reaps the process if it is our child and a zombie.
func collect(fd int) (syscall.WaitStatus, bool) {
	return waitid(fd, 0)
}

// isChild tells whether pid is a child of ours that was not reaped.
func isChild(pid int) bool {
	return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == nil
}

// pidfdsWork tells whether the kernel has all that is used of pidfds (Linux 5.4), and lets
// us use it: sandboxes, and seccomp profiles that are older than they, do not.
func pidfdsWork() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.PidfdSendSignal(fd, 0, nil, 0) == nil &&
		unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOHANG, nil) == unix.ECHILD // it is not our child
}

func waitid(fd, options int) (syscall.WaitStatus, bool) {
	var si siginfo
	for {
		err := unix.Waitid(unix.P_PIDFD, fd, (*unix.Siginfo)(unsafe.Pointer(&si)), unix.WEXITED|unix.WNOHANG|options, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || si.pid == 0 { // ECHILD; or it has not ended
			return 0, false
		}
		return si.waitStatus(), true
	}
}

// waitStatus packs it as wait4(2) does.
func (si *siginfo) waitStatus() syscall.WaitStatus {
	switch si.code {
	case cldExited:
		return syscall.WaitStatus(si.status&0xff) << 8
	case cldDumped:
		return syscall.WaitStatus(si.status&0x7f | 0x80)
	default:
		return syscall.WaitStatus(si.status & 0x7f)
	}
}

// exitInfo asks the kernel for the status of a process that has been reaped, by
// whomever (ioctl_pidfd(2), Linux 6.15).
func exitInfo(fd int) (syscall.WaitStatus, bool) {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if unix.IoctlPidfdInfo(fd, &info) != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return 0, false
	}
	return syscall.WaitStatus(info.Exit_code), true
}
