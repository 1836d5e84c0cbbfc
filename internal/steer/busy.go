package steer

import (
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/busy"
)

// what a connection does.
type what uint8

const (
	idles      what = iota
	waits           // in the queue
	unread          // what came from the client is in the kernel
	unsent          // what the server has written was not acknowledged
	unanswered      // the client was the last to speak
	halfClosed      // by the client
	fresh           // not quiet for long enough
	untold          // by the kernel
	handshake
)

// sameTick is how many times as long a connection must have been quiet of which
// nobody can tell who was the last to speak: the kernel's ages are in ticks of
// up to 10 ms. An answer and the request after it may share one, and so may a
// request and its answer.
const sameTick = 5

// does tells whether a connection idles, that is, a request was answered on it, or none
// was begun, and it has been quiet for limit ms; and what it does if not. It errs on the
// busy side, but an answer in parts (an event stream) looks idle between two of them.
// age is how long, in ms, it has been so: since the last that the client sent, or the
// last that either side sent, or that the client acknowledged, as the kernel knows no
// more. A connection on which nothing was said has the age of its handshake.
func (s *socket) does(limit uint32) (w what, age, quiet uint32) {
	if s.taken > 0 && s.sent == s.recv && s.ack >= s.recv {
		limit = min(limit, 1<<28) * sameTick
	}
	last := min(s.sent, s.recv)
	switch {
	case s.inode == 0:
		return waits, max(s.sent, s.recv), limit
	case !s.informed:
		return untold, 0, limit
	case s.unread > 0:
		return unread, s.recv, limit
	case s.unsent > 0:
		return unsent, s.ack, limit
	case s.sent > s.recv, s.taken > 0 && s.acked == 0:
		return unanswered, s.recv, limit
	case s.state != established:
		return halfClosed, s.ack, limit
	case last < limit:
		return fresh, last, limit
	}
	return idles, last, limit
}

func (w what) text(s *socket, limit uint32) string {
	switch w {
	case waits:
		return "not accepted yet"
	case unread:
		return bytes(s.unread) + " unread by the server"
	case unsent:
		return bytes(s.unsent) + " not acknowledged by the client"
	case unanswered:
		return "a request without an answer"
	case halfClosed:
		return "closed by the client, not by the server"
	case fresh:
		return "data within the last " + (time.Duration(limit) * time.Millisecond).String()
	case handshake:
		return "its handshake is not finished"
	case untold:
		return "the kernel tells nothing about it"
	}
	return "open, idle"
}

func bytes(n uint32) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.FormatUint(uint64(n), 10) + " bytes"
}

// name adds a connection to those that the look names, if it is old enough.
func (l *Look) name(s *socket, w what, age, limit uint32) {
	c := busy.Conn{AgeMS: int64(age), Idle: w == idles}
	if len(l.Busy) == busy.Most && !busy.Before(&c, &l.Busy[busy.Most-1]) {
		return // before anything is written: there are many of these
	}
	c.Peer, c.Why = s.peer.String(), w.text(s, limit)
	l.Busy = busy.Insert(l.Busy, &c)
}

// Busy is what a drain waits for.
type Busy struct {
	List []busy.Conn // the oldest, first
	More int         // how many there are besides
}

// add adds what a look has found; gone: whoever is idle is waited for, too.
func (b *Busy) add(l *Look, gone bool) {
	n := l.Open + l.Half
	if !gone {
		n -= l.Idle
	}
	if l.Unseen {
		n = l.Queued
	}
	b.More += n + len(b.List)
	for i := range l.Busy {
		if c := &l.Busy[i]; gone || !c.Idle {
			b.List = busy.Insert(b.List, c)
		}
	}
	b.More -= len(b.List)
}
