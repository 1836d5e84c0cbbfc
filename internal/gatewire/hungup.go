package gatewire

import "golang.org/x/sys/unix"

// HungUp reports whether the other end is closed, though Recv may not have come to that
// yet. It does not wait.
func (c *Conn) HungUp() (yes bool) {
	err := c.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}} // HUP and ERR are always reported
		n, err := unix.Poll(p, 0)
		yes = err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	return yes || err != nil
}
