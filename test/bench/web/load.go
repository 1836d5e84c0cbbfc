package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// answerTimeout is when a request without an answer has failed: much longer
// than a busy machine needs.
const answerTimeout = 60 * time.Second

// count is what the clients have done so far; the bench reads it as JSON.
type count struct {
	Requests int           `json:"requests"` // answered and failed ones, each on a connection of its own
	Failed   int           `json:"failed"`
	Refused  int           `json:"refused"` // of the failed ones: not even connected
	Reset    int           `json:"reset"`   // closed by a reset, before the whole answer was there
	Cut      int           `json:"cut"`     // closed in order, before the whole answer was there
	Timeout  int           `json:"timeout"` // no answer within a minute
	Slowest  time.Duration `json:"slowest_ns"`
	Running  time.Duration `json:"running_ns"` // between go and stop
	Errors   []string      `json:"errors"`     // the first few

	Trace []request `json:"trace,omitempty"` // of clients with a pace, all of it
}

// request is one of a trace.
type request struct {
	Began  time.Duration `json:"b"` // since go: when it was due, not when there was time for it
	Took   time.Duration `json:"t"` // from then to the end
	Failed bool          `json:"f,omitempty"`
}

// clients are told what to do by lines on stdin, each answered by a count:
// go, stop (answered when what is under way is over), count.
type clients struct {
	n    int
	to   string
	kept bool // a connection for each client, instead of one for each request
	pace int  // requests a second, whatever becomes of those before; 0: see load

	mu      sync.Mutex
	count   count
	running sync.WaitGroup
	stop    chan struct{} // nil: not running
	since   time.Time
}

// load runs n clients, each of which makes a connection, sends a request, reads
// the answer, and begins again. Nothing is tried twice.
func load(n int) error { return obey(&clients{n: n, to: address}) }

// keep runs n clients that keep their connections.
func keep(n int) error { return obey(&clients{n: n, to: address, kept: true}) }

// trace makes n requests a second, each when it is due: one that is slow does not keep the
// next ones back, as it would with clients that wait, so all that users would notice is in
// the trace.
func trace(n int) error { return obey(&clients{n: sources, to: address, pace: n}) }

// sources are the addresses from which a trace's requests come, one after the other.
const sources = 64

func obey(c *clients) error {
	answers := json.NewEncoder(os.Stdout)
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		switch order := orders.Text(); order {
		case "go":
			c.start()
		case "stop":
			c.end()
		case "count":
		default:
			return fmt.Errorf("unknown order %q", order)
		}
		if err := answers.Encode(c.now()); err != nil {
			return err
		}
	}
	return nil
}

func (c *clients) start() {
	stop := make(chan struct{})
	c.mu.Lock()
	c.stop, c.since = stop, time.Now()
	c.mu.Unlock()
	if c.pace > 0 {
		c.running.Go(func() { c.atPace(stop) })
		return
	}
	for i := range c.n {
		c.running.Go(func() {
			var k kept
			defer k.close()
			for {
				select {
				case <-stop:
					return
				default:
					begin := time.Now()
					var err error
					if c.kept {
						err = k.again(c.to, i)
					} else {
						err = once(c.to, i)
					}
					c.record(time.Since(begin), err)
				}
			}
		})
	}
}

// atPace starts requests until stop is closed.
func (c *clients) atPace(stop <-chan struct{}) {
	every := time.Second / time.Duration(c.pace)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		// A ticker drops what nobody took: those are due all the same.
		for ; time.Duration(i)*every <= time.Since(c.since); i++ {
			due := time.Duration(i) * every
			c.running.Go(func() {
				err := once(c.to, i%c.n)
				took := time.Since(c.since) - due
				c.record(took, err)
				c.mu.Lock()
				defer c.mu.Unlock()
				c.count.Trace = append(c.count.Trace, request{due, took, err != nil})
			})
		}
	}
}

func (c *clients) end() {
	close(c.stop)
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Running += time.Since(c.since)
	c.stop = nil
}

func (c *clients) now() count {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.count
	if c.stop != nil {
		now.Running += time.Since(c.since)
	}
	return now
}

func (c *clients) record(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.count
	n.Requests++
	n.Slowest = max(n.Slowest, took)
	if err == nil {
		return
	}
	n.Failed++
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		n.Refused++
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		n.Reset++
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		n.Cut++
	case errors.As(err, &timeout) && timeout.Timeout():
		n.Timeout++
	}
	if len(n.Errors) < 5 {
		n.Errors = append(n.Errors, err.Error())
	}
}

// source is client i's own address: the ports of one would not do for all.
func source(i int) *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))} }

// dial connects. The connection will end with a reset: TIME_WAIT would use up
// the ports.
func dial(to string, from int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: source(from), Timeout: answerTimeout, KeepAlive: -1}
	c, err := d.Dial("tcp4", to)
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetLinger(0)
}

// once is one request on a connection of its own, to the end of all that the
// server sends.
func once(to string, client int) error {
	c, err := dial(to, client)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	in := bufio.NewReaderSize(c, 1024)
	if err := answer(in); err != nil {
		return err
	}
	if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("%d bytes more than the answer, error %w", n, err)
	}
	return nil
}

// answer reads one and compares it.
func answer(in *bufio.Reader) error {
	a, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || string(text) != body {
		return fmt.Errorf("answer %s %q", a.Status, text)
	}
	return nil
}
