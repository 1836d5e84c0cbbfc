package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deny runs a program on a kernel that refuses something:
// "server deny steering|netlink PROGRAM ARG...". A seccomp filter makes the
// system call fail with EPERM, as a container's profile may. The program takes
// the place of this one and keeps its pid.
//
//   - steering: setsockopt(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF)
//   - netlink: socket(AF_NETLINK)
func deny(args []string) {
	if len(args) < 2 {
		fatal("usage: server deny steering|netlink PROGRAM ARG...")
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		fatal("%v", err)
	}
	// A filter belongs to a thread; the one that execs takes it along.
	runtime.LockOSThread()
	if err := refuse(args[0]); err != nil {
		fatal("cannot refuse %s: %v", args[0], err)
	}
	fatal("cannot exec %s: %v", path, syscall.Exec(path, args[1:], os.Environ()))
}

// Offsets in struct seccomp_data: the number of the system call, and the lower
// half of an argument where bytes are little-endian, as on amd64 and arm64.
const (
	callNumber = 0
	argument0  = 16
)

func refuse(what string) error {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	// unless skips n instructions where what was loaded is another value.
	unless := func(value uint32, n uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: n, K: value}
	}
	done := func(verdict uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET, K: verdict} }
	refused := done(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))

	var filter []unix.SockFilter
	switch what {
	case "steering":
		filter = []unix.SockFilter{
			load(callNumber), unless(unix.SYS_SETSOCKOPT, 5),
			load(argument0 + 8), unless(unix.SOL_SOCKET, 3),
			load(argument0 + 16), unless(unix.SO_ATTACH_REUSEPORT_CBPF, 1),
			refused, done(unix.SECCOMP_RET_ALLOW),
		}
	case "netlink":
		filter = []unix.SockFilter{
			load(callNumber), unless(unix.SYS_SOCKET, 3),
			load(argument0), unless(unix.AF_NETLINK, 1),
			refused, done(unix.SECCOMP_RET_ALLOW),
		}
	default:
		return unix.EINVAL
	}
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
