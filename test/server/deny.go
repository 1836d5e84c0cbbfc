package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deny runs a program on a kernel that refuses something: "server deny WHAT PROGRAM
// ARG...", see refusals. A seccomp filter makes the system calls fail, as a container's
// profile may. The program takes the place of this one and keeps its pid.
func deny(args []string) {
	if len(args) < 2 {
		fatal("usage: server deny WHAT PROGRAM ARG...")
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		fatal("%v", err)
	}
	// A filter belongs to a thread; the one that execs takes it along.
	runtime.LockOSThread()
	if err := refuse(refusals[args[0]]); err != nil {
		fatal("cannot refuse %s: %v", args[0], err)
	}
	fatal("cannot exec %s: %v", path, syscall.Exec(path, args[1:], os.Environ()))
}

// refusal is a system call that fails if its arguments are like that.
type refusal struct {
	call  uint32
	errno unix.Errno
	tests []argument
}

type argument struct {
	number uint8
	value  uint32
	test   uint16 // BPF_JEQ, or BPF_JSET: it has one of the bits
}

var refusals = map[string][]refusal{
	"steering": {{unix.SYS_SETSOCKOPT, unix.EPERM, []argument{{1, unix.SOL_SOCKET, unix.BPF_JEQ}, {2, unix.SO_ATTACH_REUSEPORT_CBPF, unix.BPF_JEQ}}}},
	"netlink":  {{unix.SYS_SOCKET, unix.EPERM, []argument{{0, unix.AF_NETLINK, unix.BPF_JEQ}}}},
	// Linux before 5.14, and the errno is what it says.
	"netns": {{unix.SYS_GETSOCKOPT, unix.ENOPROTOOPT, []argument{{1, unix.SOL_SOCKET, unix.BPF_JEQ}, {2, unix.SO_NETNS_COOKIE, unix.BPF_JEQ}}}},
	// Docker's profile before 20.10.
	"pidfds": {{unix.SYS_PIDFD_OPEN, unix.EPERM, nil}, {unix.SYS_PIDFD_SEND_SIGNAL, unix.EPERM, nil}, {unix.SYS_CLONE3, unix.EPERM, nil}},
	// A kernel that is older than all of it, or gVisor.
	"2018": {
		{unix.SYS_PIDFD_OPEN, unix.ENOSYS, nil}, {unix.SYS_PIDFD_SEND_SIGNAL, unix.ENOSYS, nil}, {unix.SYS_CLONE3, unix.ENOSYS, nil},
		{unix.SYS_WAITID, unix.EINVAL, []argument{{0, unix.P_PIDFD, unix.BPF_JEQ}}},
		{unix.SYS_CLONE, unix.EINVAL, []argument{{0, unix.CLONE_PIDFD, unix.BPF_JSET}}},
		{unix.SYS_CLOSE_RANGE, unix.ENOSYS, nil}, {unix.SYS_OPENAT2, unix.ENOSYS, nil}, {unix.SYS_FACCESSAT2, unix.ENOSYS, nil},
		{unix.SYS_STATX, unix.ENOSYS, nil}, {unix.SYS_EPOLL_PWAIT2, unix.ENOSYS, nil},
	},
}

// Offsets in struct seccomp_data: the number of the system call, and the lower
// half of an argument where bytes are little-endian, as on amd64 and arm64.
const (
	callNumber = 0
	argument0  = 16
)

func refuse(list []refusal) error {
	if list == nil {
		return unix.EINVAL
	}
	var filter []unix.SockFilter
	load := func(offset uint32) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
	}
	// unless skips n instructions where the test fails for what was loaded.
	unless := func(test uint16, value uint32, n int) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jf: uint8(n), K: value})
	}
	end := func(verdict uint32) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_RET, K: verdict})
	}
	for _, r := range list {
		left := 2*len(r.tests) + 1
		load(callNumber)
		unless(unix.BPF_JEQ, r.call, left)
		for _, a := range r.tests {
			left -= 2
			load(argument0 + 8*uint32(a.number))
			unless(a.test, a.value, left)
		}
		end(unix.SECCOMP_RET_ERRNO | uint32(r.errno))
	}
	end(unix.SECCOMP_RET_ALLOW)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
