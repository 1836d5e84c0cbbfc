// Package load sends requests, HTTP or others, without pause and counts what became of
// them. It is strict: nothing is tried again, so that a connection that was
// refused, reset or closed before its answer is a failure, also on a
// connection that was kept open (see Options.Again for that one).
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Options say what to send, and where.
type Options struct {
	Dial  func(context.Context) (net.Conn, error) // one new connection to the server
	Fresh int                                     // clients with a connection for each request
	Kept  int                                     // clients that keep theirs as long as the server does
	Pace  time.Duration                           // each client's time from one request to the next; 0 = none
	Think time.Duration                           // the same for clients that keep their connection; 0 = Pace
	Rate  int                                     // requests a second besides, each on its own connection, however the earlier ones fare

	// Ask is what to send, and what a good answer is; nil = GET / over HTTP.
	Ask Ask

	// Again allows what HTTP says of connections that are kept: the server may
	// close one at any time, and the client sends the request again, on a new
	// connection. Only a connection that has served before is excused.
	Again bool

	// Done, if there is one, is told of every request when it is over. It is called by
	// several goroutines at a time.
	Done func(took time.Duration, err error)
}

// Count is what happened so far.
type Count struct {
	Requests int
	Failed   int // of these, without a complete and good answer
	Refused  int // of these, not even connected
	Again    int // requests that were sent a second time (Options.Again)
	Slowest  time.Duration
	Bodies   map[string]int // answers by their first line
	Errors   []string       // the first few failures
}

func (c Count) String() string {
	return fmt.Sprintf("%d requests, %d failed (%d refused), %d sent again, answers %v, errors %q", c.Requests, c.Failed, c.Refused, c.Again, c.Bodies, c.Errors)
}

// Load is a running load. Its owner calls Stop.
type Load struct {
	opts    Options
	stop    chan struct{}
	clients sync.WaitGroup

	mu    sync.Mutex
	count Count
}

// answerTimeout is when a request without an answer has failed. It is longer
// than any pause that a busy test machine makes.
const answerTimeout = 60 * time.Second

// Start starts the clients.
func Start(o Options) *Load {
	if o.Ask == nil {
		o.Ask = http1("/")
	}
	l := &Load{opts: o, stop: make(chan struct{}), count: Count{Bodies: map[string]int{}}}
	for i := range o.Fresh + o.Kept {
		l.clients.Add(1)
		go func() {
			defer l.clients.Done()
			l.client(i < o.Kept)
		}()
	}
	if o.Rate > 0 {
		l.clients.Go(l.stream)
	}
	return l
}

// Stop ends the load when the requests that are under way are answered, and
// returns the final count.
func (l *Load) Stop() Count {
	close(l.stop)
	l.clients.Wait()
	return l.Count()
}

// Count returns what happened until now.
func (l *Load) Count() Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.count
	c.Bodies = map[string]int{}
	for k, n := range l.count.Bodies {
		c.Bodies[k] = n
	}
	c.Errors = append([]string(nil), l.count.Errors...)
	return c
}

// client is one client: requests one after the other until the load stops.
func (l *Load) client(keep bool) {
	var pace <-chan time.Time
	every := l.opts.Pace
	if keep && l.opts.Think > 0 {
		every = l.opts.Think
	}
	if every > 0 {
		tick := time.NewTicker(every)
		defer tick.Stop()
		pace = tick.C
	}
	var conn *connection
	defer func() { conn.close() }()
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		if pace != nil {
			select {
			case <-l.stop:
				return
			case <-pace:
			}
		}
		begin := time.Now()
		var body string
		var err error
		served := conn != nil
		conn, body, err = l.request(conn, keep)
		if err != nil && served && l.opts.Again {
			l.sentAgain()
			conn, body, err = l.request(nil, keep)
		}
		l.record(body, time.Since(begin), err)
	}
}

// underway bounds the requests of a stream that have no answer yet. A server
// that is so far behind gets no more of them until it has caught up.
const underway = 1000

// stream is the open loop: requests at a fixed rate until the load stops.
func (l *Load) stream() {
	tick := time.NewTicker(time.Second / time.Duration(l.opts.Rate))
	defer tick.Stop()
	places := make(chan struct{}, underway)
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		select {
		case <-l.stop:
			return
		case places <- struct{}{}:
		}
		l.clients.Go(func() {
			begin := time.Now()
			_, body, err := l.request(nil, false)
			l.record(body, time.Since(begin), err)
			<-places
		})
	}
}

func (l *Load) sentAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Again++
}

// request sends one request, on conn or on a new connection, and returns the
// connection that the next one can use, or nil.
func (l *Load) request(conn *connection, keep bool) (*connection, string, error) {
	if conn == nil {
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		raw, err := l.opts.Dial(ctx)
		if err != nil {
			return nil, "", err
		}
		conn = &connection{Conn: raw, in: bufio.NewReader(raw)}
	}
	body, again, err := conn.ask(l.opts.Ask, keep)
	if err != nil || !again {
		conn.close()
		conn = nil
	}
	return conn, body, err
}

func (l *Load) record(body string, took time.Duration, err error) {
	if l.opts.Done != nil {
		l.opts.Done(took, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.count
	c.Requests++
	c.Slowest = max(c.Slowest, took)
	if err == nil {
		c.Bodies[body]++
		return
	}
	c.Failed++
	if errors.Is(err, syscall.ECONNREFUSED) {
		c.Refused++
	}
	if len(c.Errors) < 5 {
		c.Errors = append(c.Errors, err.Error())
	}
}

// connection is one connection of a client.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func (c *connection) close() {
	if c != nil {
		_ = c.Conn.Close()
	}
}

// ask makes one request. again: the connection can be used for the next one.
func (c *connection) ask(how Ask, keep bool) (body string, again bool, err error) {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return "", false, err
	}
	return how(c.Conn, c.in, keep)
}
