package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const sigwaiting = "sigwaiting"

// A handler of package os/signal runs two goroutines and a futex after the
// signal came, which is more than some inits need to forward it. So USR1 is
// blocked in all threads, and one waits for it in the kernel: exec passes the
// mask on, and the Go runtime leaves USR1 as it finds it.
func sigwait() error {
	runtime.LockOSThread()
	set := usr1()
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", []string{"helper", sigwaiting}, os.Environ())
}

func sigwaited() error {
	runtime.LockOSThread()
	set := usr1()
	for {
		if err := put(1, now()); err != nil {
			return err
		}
		for {
			sig, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, pointer(&set), 0, 0, 8, 0, 0)
			if errno == 0 && sig == uintptr(unix.SIGUSR1) {
				break
			}
			if errno != 0 && errno != unix.EINTR {
				return errno
			}
		}
	}
}

func usr1() unix.Sigset_t {
	var set unix.Sigset_t
	set.Val[0] = 1 << (uint(unix.SIGUSR1) - 1)
	return set
}
