package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/steer"
	"golang.org/x/sys/unix"
)

// looks is how often look looks.
const looks = 20

// look measures what one look of a drain takes, with n connections:
// swapinit's own code, on a group made here, because from the outside of a
// swapinit nobody sees when it looks. It writes the times in nanoseconds as JSON.
func look(n int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		steer.Prepare(fd), unix.Listen(fd, 4096)); err != nil {
		return err
	}
	group, err := steer.NewTCP(fd, 1, steer.Options{Open: func() (int, error) { return 0, errors.ErrUnsupported }, Backlog: 4096})
	if err != nil {
		return err
	}
	defer group.Close()
	copied, err := unix.Dup(fd)
	if err != nil {
		return err
	}
	l, err := net.FileListener(os.NewFile(uintptr(copied), "listener"))
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, worker(0)) }() // it ends with this process
	ends, err := far(l.Addr().String(), n)
	if err != nil {
		return err
	}
	defer ends.Close()
	once := group.Observe(1)
	var took []time.Duration
	for range looks {
		begin := time.Now()
		l, err := once(time.Second)
		took = append(took, time.Since(begin))
		if err == nil && l.Open != n {
			err = errors.New("it does not see all connections")
		}
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

// far starts a crowd, in a process of its own: the limit on open files is one
// for each process. It stays until the returned pipe is closed.
func far(address string, n int) (io.Closer, error) {
	c := exec.Command("/proc/self/exe", "crowd", strconv.Itoa(n))
	c.Env = append(os.Environ(), envAddress+"="+address)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	_, err = out.Read(make([]byte, 1)) // an error: it has said why
	return in, err
}
