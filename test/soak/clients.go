package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

const web = "127.0.0.1:8080"

// counts is what became of requests.
type counts struct {
	requests, failed, refused, reset, cut, late, wrong int // failed includes those that follow
	excused                                            int // failed in a phase in which that may be, and not counted in failed
	again                                              int // sent a second time, on a kept connection that its server had closed
}

func (c *counts) add(o counts) {
	c.requests += o.requests
	c.failed += o.failed
	c.refused += o.refused
	c.reset += o.reset
	c.cut += o.cut
	c.late += o.late
	c.wrong += o.wrong
	c.excused += o.excused
	c.again += o.again
}

func (c counts) String() string {
	return fmt.Sprintf("%d requests, %d failed (%d refused, %d reset, %d cut, %d late, %d wrong), %d lost where that may be, %d sent again on a new connection",
		c.requests, c.failed, c.refused, c.reset, c.cut, c.late, c.wrong, c.excused, c.again)
}

// tally counts the requests of one lap. While it is lossy, requests may be lost, but
// never refused.
type tally struct {
	load *load.Load
	once sync.Once

	mu     sync.Mutex
	n      counts
	lossy  bool
	closed bool
	until  time.Time // what had begun by then may be lost
	first  error     // that may not be
}

var errWrong = errors.New("a wrong answer")

// answers are what servers say: their generation, and in a member its name.
var answers = regexp.MustCompile(`^generation [1-9][0-9]*( m[1-9][0-9]*)?$`)

// ask is one request of the load.
func ask(c net.Conn, in *bufio.Reader, keep bool) (string, bool, error) {
	http, err := load.Protocol("http")
	if err != nil {
		return "", false, err
	}
	body, again, err := http(c, in, keep)
	if err == nil && !answers.MatchString(body) {
		err = fmt.Errorf("%w: %q", errWrong, body)
	}
	return "", again, err // the load keeps a count of each body, and there would be many
}

// startLoad begins requests from the network of a container, on new connections and on
// kept ones. careful clients rest between the requests on a kept connection, and send one
// again that finds it closed, as HTTP allows: their server ends abruptly.
func startLoad(from *box, careful bool) *tally {
	y := &tally{}
	o := load.Options{Fresh: 3, Kept: 3, Pace: 5 * time.Millisecond, Ask: ask, Done: y.done, Dial: from.dialWeb}
	if careful {
		o.Think, o.Again = 1500*time.Millisecond, true
	}
	y.load = load.Start(o)
	return y
}

// dialWeb makes a connection that ends with a reset: TIME_WAIT would use up the ports.
func (b *box) dialWeb(ctx context.Context) (net.Conn, error) {
	c, err := b.Dial(ctx, "tcp", web)
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetLinger(0)
}

func (y *tally) done(took time.Duration, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.closed {
		return
	}
	y.n.requests++
	if err == nil {
		return
	}
	refused := errors.Is(err, syscall.ECONNREFUSED)
	if !refused && (y.lossy || time.Now().Add(-took).Before(y.until)) {
		y.n.excused++
		return
	}
	y.n.failed++
	var late net.Error
	switch {
	case refused:
		y.n.refused++
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		y.n.reset++
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		y.n.cut++
	case errors.As(err, &late) && late.Timeout():
		y.n.late++
	case errors.Is(err, errWrong):
		y.n.wrong++
	}
	if y.first == nil {
		y.first = fmt.Errorf("%s: a request was lost after %v: %w", time.Now().Format(stamp), took.Round(time.Microsecond), err)
	}
}

// may has requests be lost, until it is called again.
func (y *tally) may(lossy bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.lossy && !lossy {
		y.until = time.Now()
	}
	y.lossy = lossy
}

func (y *tally) now() counts {
	again := y.load.Count().Again
	y.mu.Lock()
	defer y.mu.Unlock()
	n := y.n
	n.again = again
	return n
}

// lost is the first request that was lost and must not have been.
func (y *tally) lost() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.first
}

// close has nothing count any more.
func (y *tally) close() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.closed = true
}

// stop ends the load when what is under way is answered.
func (y *tally) stop() { y.once.Do(func() { y.load.Stop() }) }

// more waits until the load has made another n requests.
func (y *tally) more(ctx context.Context, n int) error {
	want := y.now().requests + n
	return poll(ctx, fmt.Sprintf("another %d requests", n), func() (bool, error) { return y.now().requests >= want, y.lost() })
}
