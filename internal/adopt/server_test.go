package adopt

import (
	"encoding/hex"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// address0 is where b is in memory, which the caller keeps alive.
func address0(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	return uintptr(unsafe.Pointer(&b[0]))
}

// page maps a page before one that is not there: words are the
// protection of the first, the address, and how many of its bytes are in the first.
func page(words []string, n []int) (int, error) {
	size := unix.Getpagesize()
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(2*size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, err
	}
	b, err := hex.DecodeString(words[2])
	if err != nil {
		return 0, err
	}
	start := unsafe.Add(at, size-n[3])
	copy(unsafe.Slice((*byte)(start), n[3]), b)
	if _, _, errno := unix.Syscall(unix.SYS_MPROTECT, uintptr(at), uintptr(size), uintptr(n[1])); errno != 0 {
		return 0, errno
	}
	return int(uintptr(start)), unix.MunmapPtr(unsafe.Add(at, size), uintptr(size))
}

// race binds new sockets while another thread writes the one address and the other to
// the same memory. It counts the binds that went well and left it with a socket that
// does not fit: ours has the one address and that inode, all others the other.
func race(words []string, n []int) (bad int, err error) {
	one, _ := hex.DecodeString(words[1])
	other, _ := hex.DecodeString(words[2])
	memory := make([]byte, len(one))
	copy(memory, one)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for _, b := range [][]byte{one, other} {
				flip(memory, b)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for range n[3] {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return bad, err
		}
		_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)))
		if errno == 0 {
			var st unix.Stat_t
			at, err := unix.Getsockname(fd)
			four, ok := at.(*unix.SockaddrInet4)
			if err != nil || !ok || unix.Fstat(fd, &st) != nil || (four.Addr[3] == one[7]) != (int(st.Ino) == n[4]) {
				bad++
			}
		}
		unix.Close(fd)
	}
	return bad, nil
}

// flip writes b as one word after the other, hidden from the race detector: that is the
// point.
//
//go:norace
func flip(memory, b []byte) {
	for i := range b {
		memory[i] = b[i]
	}
	runtime.Gosched()
}

// portOf is the port that fd is bound to.
func portOf(fd int) (int, error) {
	at, err := unix.Getsockname(fd)
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return at.Port, err
	case *unix.SockaddrInet6:
		return at.Port, err
	}
	return 0, err
}

// fault maps a page that userfaultfd(2) has to fill, which nobody does.
func fault() (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	api := struct{ api, features, ioctls uint64 }{api: 0xaa}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, 0xc018aa3f, uintptr(unsafe.Pointer(&api))); errno != 0 {
		return 0, errno
	}
	size := unix.Getpagesize()
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, err
	}
	register := struct{ start, length, mode, ioctls uint64 }{uint64(uintptr(at)), uint64(size), 1, 0}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, 0xc020aa00, uintptr(unsafe.Pointer(&register))); errno != 0 {
		return 0, errno
	}
	return int(uintptr(at)), nil
}
