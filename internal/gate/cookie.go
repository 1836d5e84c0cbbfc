package gate

import "golang.org/x/sys/unix"

// cookie is the number by which the kernel knows a socket for ever (SO_COOKIE).
func cookie(fd int) (int64, error) {
	n, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return int64(n), err
}

// netns is the number of this network namespace (SO_NETNS_COOKIE, Linux 5.14), 0 where
// the kernel does not tell.
func netns() int64 {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	n, _ := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	unix.Close(fd)
	return int64(n)
}
