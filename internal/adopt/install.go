package adopt

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Install puts the filter on the calling thread, which an execve keeps, and
// returns the listener, close-on-exec and the caller's. The goroutine stays on that
// thread for good. It is for the exec stage alone: whatever this process does next
// under the filter waits for a supervisor.
//
// A filter needs no_new_privs or CAP_SYS_ADMIN; the first is set where the second is
// not there, so that setuid bits and file capabilities count for nothing from then
// on (seccomp(2)). Errors are bare errnos: EBUSY where a filter with a listener is in
// force already, ENOSYS on kernels before Linux 5.7.
func Install() (listener int, err error) {
	if architecture() == 0 || !continues() {
		return -1, unix.ENOSYS
	}
	runtime.LockOSThread()
	program := filter()
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	for {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
			uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})))
		switch {
		case errno == 0:
			return int(fd), nil
		case errno == unix.EACCES && !Confined():
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return -1, err
			}
		case errno == unix.EINVAL && flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0:
			flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // before Linux 5.19
		default:
			return -1, errno
		}
	}
}

// continues reports whether a supervisor can let a system call go on
// (SECCOMP_USER_NOTIF_FLAG_CONTINUE, Linux 5.5). Before that, whatever is not answered
// would never return, and the filter cannot be taken off again. Only flags can be asked
// for: a kernel that knows the one of Linux 5.7 goes on to read the program, which is
// not there.
func continues() bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, 0)
	return errno == unix.EFAULT
}

// Confined reports whether no_new_privs is set for this process already.
func Confined() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}
