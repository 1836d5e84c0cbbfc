package control

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/lines"
	"golang.org/x/sys/unix"
)

// eventBuffer is how many events wait for a client that does not read; more are
// dropped. The reply has a place of its own.
const eventBuffer = 64

// conn is one connection; its goroutine is run. It owns file.
type conn struct {
	s     *Server
	file  *os.File
	raw   syscall.RawConn
	peer  Peer
	lines lines.Reader
}

// Call is one valid request that waits for its answer. Its methods can be called
// from any goroutine, never block, and do no harm after the client has gone.
type Call struct {
	Request
	Peer Peer
	a    *answer
}

type answer struct {
	file   *os.File
	limit  time.Duration // for the reply
	events chan Event
	reply  chan *Reply
	done   atomic.Bool
	gone   chan struct{}
}

// Event sends a stage. With a client that reads too slowly it is dropped, as is
// one that comes after Done.
func (c *Call) Event(e Event) {
	if c.a.done.Load() {
		return
	}
	select {
	case c.a.events <- e:
	default:
	}
}

// Done sends the reply, after the events. Only the first counts.
func (c *Call) Done(r *Reply) {
	if c.a.done.Swap(true) {
		return
	}
	// Also ends the patience of an event that is being written right now; before
	// the reply is passed on, or it could hit the next request on the connection.
	c.a.file.SetWriteDeadline(time.Now().Add(c.a.limit))
	c.a.reply <- r
}

// Gone is closed when the client left, or the server closed, before the client
// had its reply.
func (c *Call) Gone() <-chan struct{} { return c.a.gone }

// run reads requests one after the other.
func (c *conn) run() {
	defer c.s.forget(c)
	deadline := time.Now().Add(c.s.limits.first)
	for {
		c.file.SetReadDeadline(deadline)
		if c.s.closing() {
			return
		}
		line, err := c.lines.Next()
		if err == lines.ErrTooLong {
			// Where the next line begins is unknown, so this is the end of it.
			c.send(refuse(CodeRequest, "cannot read request: more than "+strconv.Itoa(MaxLine)+" bytes in a line"))
			return
		}
		if err != nil {
			return
		}
		req, refusal := decodeRequest(line)
		if refusal != nil {
			if !c.send(refusal) {
				return
			}
			continue // under the same deadline: rubbish wins no time
		}
		if !c.serve(req) {
			return
		}
		deadline = time.Now().Add(c.s.limits.next)
	}
}

// send answers at once.
func (c *conn) send(r *Reply) bool {
	c.file.SetWriteDeadline(time.Now().Add(c.s.limits.reply))
	return c.write(encode(r))
}

// serve hands a request to the init and writes its answer. It returns whether
// the connection can take another one.
func (c *conn) serve(req Request) bool {
	a := &answer{
		file:   c.file,
		limit:  c.s.limits.reply,
		events: make(chan Event, eventBuffer),
		reply:  make(chan *Reply, 1),
		gone:   make(chan struct{}),
	}
	// As long as the init works on it there is no hurry: a stopped terminal gets
	// its reply when it goes on. Done sets the limit.
	c.file.SetReadDeadline(time.Time{})
	c.file.SetWriteDeadline(time.Time{})
	hup := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// It reads nothing, as a further request may already be there. An end of file
		// alone is no hangup: `printf … | nc -NU` half-closes and wants its answer.
		if c.raw.Read(pollHangup) == nil {
			close(hup)
		}
	}()
	c.s.handle(&Call{Request: req, Peer: c.peer, a: a})
	ok := c.answer(a, hup)
	if !ok {
		close(a.gone)
	}
	c.file.SetReadDeadline(time.Unix(1, 0)) // ends the wait for a hangup
	<-watched
	return ok
}

func (c *conn) answer(a *answer, hup <-chan struct{}) bool {
	for {
		select {
		case e := <-a.events:
			if !c.write(encode(&e)) {
				return false
			}
		case r := <-a.reply:
			return c.finish(a, r)
		case <-hup:
			return false
		case <-c.s.quit:
			select {
			case r := <-a.reply:
				return c.finish(a, r)
			default:
				return false
			}
		}
	}
}

// finish writes the events that came before the reply, then the reply.
func (c *conn) finish(a *answer, r *Reply) bool {
	for {
		select {
		case e := <-a.events:
			if !c.write(encode(&e)) {
				return false
			}
		default:
			return c.write(encode(r))
		}
	}
}

func (c *conn) write(line []byte) bool {
	_, err := c.file.Write(line)
	return err == nil
}

// hungUp reports whether the client has closed its socket.
func (c *conn) hungUp() (yes bool) {
	err := c.raw.Control(func(fd uintptr) { yes = pollHangup(fd) })
	return yes || err != nil
}

func pollHangup(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}} // HUP and ERR are always reported
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
