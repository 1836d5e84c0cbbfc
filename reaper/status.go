package reaper

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dead tells whether a pidfd is readable: all threads have ended, the process is a zombie
// or reaped. A descriptor that cannot be polled counts as dead.
func dead(fd int) bool {
	q := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(q, 0)
	return n > 0 || err != nil && err != unix.EINTR
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

// isChild tells whether a process, P_PID or P_PIDFD, is a child of ours that was not
// reaped. It takes nothing from whoever waits for it.
func isChild(kind, id int) bool {
	return unix.Waitid(kind, id, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == nil
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
