package adopt

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel says and is told (linux/seccomp.h). The sizes are part of the
// ioctls' numbers.
type (
	notification struct { // struct seccomp_notif, 80 bytes; zero before it is received
		id    uint64
		pid   uint32 // a thread's, as our pid namespace has it; 0: it is not in there
		flags uint32
		call  int32 // struct seccomp_data from here on
		arch  uint32
		at    uint64
		args  [6]uint64
	}
	response struct { // struct seccomp_notif_resp, 24 bytes
		id    uint64
		value int64
		errno int32 // negative
		flags uint32
	}
	addition struct { // struct seccomp_notif_addfd, 24 bytes
		id       uint64
		flags    uint32
		from, to uint32 // our descriptor, and the task's
		toFlags  uint32 // O_CLOEXEC
	}
)

// ioctl is ioctl(2) on the listener; no signal ends it early.
func ioctl(listener int, request uint, at unsafe.Pointer) error {
	for {
		switch _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), uintptr(request), uintptr(at)); errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// receive takes the next notification. It waits for one, so poll before. ENOENT:
// whoever was stopped has gone.
func receive(listener int) (n notification, err error) {
	err = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
	return n, err
}

// valid reports whether the task still waits for the answer: then its thread id has
// not become another's, and what was read of it before is its own.
func (n *notification) valid(listener int) bool {
	return ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id)) == nil
}

// proceed lets the kernel do what the task has asked for.
func (n *notification) proceed(listener int) {
	r := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_ = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)) // ENOENT: it has gone
}

// answer ends the system call with errno, or with success for 0.
func (n *notification) answer(listener int, errno unix.Errno) {
	r := response{id: n.id, errno: -int32(errno)}
	_ = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// replace puts a duplicate of ours in the place of the task's descriptor, atomically,
// which closes what was there. SEND has to follow: SECCOMP_ADDFD_FLAG_SEND would
// make the call return the descriptor's number.
func (n *notification) replace(listener, ours int, theirs uint32, flags uint32) error {
	a := addition{id: n.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, from: uint32(ours), to: theirs, toFlags: flags}
	return ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
}

// replaces reports whether the kernel can put descriptors into a task (Linux 5.9):
// one that knows the call finds that there is no such notification.
func replaces(listener int) bool {
	n := notification{id: ^uint64(0)}
	err := n.replace(listener, 0, 0, 0)
	return err == unix.ENOENT || err == nil
}
