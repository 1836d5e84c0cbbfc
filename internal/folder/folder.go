// Package folder lists what is in a folder.
package folder

import "golang.org/x/sys/unix"

// Each calls f with each name in the folder, but . and .., in whatever order the file
// system has them, until f is false. os.File.Readdirnames would do that, but brings
// 12 KB with it for all else that an entry can be asked for.
func Each(path string, f func(name string) bool) error {
	fd, err := open(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	block := make([]byte, 4<<10)
	for {
		n, err := unix.ReadDirent(fd, block)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		_, _, names := unix.ParseDirent(block[:n], -1, nil)
		for _, name := range names {
			if !f(name) {
				return nil
			}
		}
	}
}

// open waits for no FIFO that is there in place of the folder.
func open(path string) (fd int, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
