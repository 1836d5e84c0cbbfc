package listen

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// recorder collects the guard's lines.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) report(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// incidents counts those that the lines tell of.
func (r *recorder) incidents() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.lines)
	for _, line := range r.lines {
		if found := regexp.MustCompile(`\(and (\d+) times more\)$`).FindStringSubmatch(line); found != nil {
			var more int
			fmt.Sscan(found[1], &more)
			n += more
		}
	}
	return n
}

func mustGuard(t *testing.T, set *Set) *recorder {
	t.Helper()
	r := &recorder{}
	if err := set.Guard(r.report); err != nil {
		t.Fatal(err)
	}
	return r
}

// crowd connects in a loop until the test ends. While calm is set every
// connect that began and ended calm must succeed.
type crowd struct {
	calm      atomic.Int64 // odd: calm; changes at every border
	succeeded atomic.Int64
	failed    atomic.Pointer[error]
	rounds    [3]atomic.Int64 // connects that each has tried
}

func newCrowd(t *testing.T, network, address string) *crowd {
	c := &crowd{}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := range c.rounds {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := c.calm.Load()
				c.rounds[i].Add(1)
				conn, err := net.Dial(network, address)
				switch {
				case err == nil:
					if tcp, ok := conn.(*net.TCPConn); ok {
						tcp.SetLinger(0) // reset: no port is used up by TIME_WAIT
					}
					conn.Close()
					c.succeeded.Add(1)
				case errors.Is(err, unix.EAGAIN): // a full queue is no refusal
				case before%2 == 1 && c.calm.Load() == before:
					c.failed.Store(&err)
				}
			}
		}()
	}
	t.Cleanup(func() { close(stop); group.Wait() })
	return c
}

// calmly lets the crowd connect for a while, undisturbed.
func (c *crowd) calmly(t *testing.T) {
	t.Helper()
	c.calm.Add(1)
	start := c.succeeded.Load()
	until(t, "connects", func() bool { return c.failed.Load() != nil || c.succeeded.Load() > start+5 })
	if err := c.failed.Load(); err != nil {
		t.Fatalf("a connect failed after the repair: %v", *err)
	}
	c.calm.Add(1)
}

// renewed waits until no connect is under way that has begun before.
func (c *crowd) renewed(t *testing.T) {
	t.Helper()
	for i := range c.rounds {
		start := c.rounds[i].Load()
		until(t, "a new connect", func() bool { return c.rounds[i].Load() > start })
	}
}

// drained accepts what the crowd sends, so that no queue is ever full.
func drained(t *testing.T, fd uintptr) {
	t.Helper()
	stop := make(chan struct{})
	done := make(chan struct{})
	own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		defer unix.Close(own)
		for {
			select {
			case <-stop:
				return
			default:
			}
			poll := []unix.PollFd{{Fd: int32(own), Events: unix.POLLIN}}
			if n, _ := unix.Poll(poll, 1); n == 1 && poll[0].Revents&unix.POLLIN != 0 {
				switch conn, _, err := unix.Accept4(own, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK); err {
				case nil:
					unix.Close(conn)
				case unix.EINVAL:
					return // a unix socket that was shut down, and is for ever
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}
