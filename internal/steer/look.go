package steer

import "time"

// alive are the states in which a server still has something to do.
const alive = 1<<established | 1<<closeWait

// sameTick is how many times as long a connection must have been quiet of which
// nobody can tell who was the last to speak: the kernel's ages are in ticks of
// up to 10 ms. An answer and the request after it may share one, and so may a
// request and its answer.
const sameTick = 5

// idle: a connection on which a request was answered, or none was begun, and
// which has been quiet for limit ms. It errs on the busy side, but an event
// stream between two events looks the same.
func (s *socket) idle(limit uint32) bool {
	if s.taken > 0 && s.sent == s.recv && s.ack >= s.recv {
		limit = min(limit, 1<<28) * sameTick
	}
	return s.state == established && s.inode != 0 && s.informed &&
		s.unread == 0 && s.unsent == 0 &&
		(s.taken == 0 || s.acked > 0) && // something was answered
		s.sent <= s.recv && // and it was the last to be said
		s.sent >= limit && s.recv >= limit
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 0), 1<<31))
}

// Observe begins to observe the connections of generation n, right after
// others got its traffic. The func looks once: open is how many there are,
// accepted or not; idle how many of them were quiet for idleAfter with nothing
// left to do; half how many handshakes that were under way at the first look
// still are (they do not show whose they are, so those of all generations
// count); queued how many wait to be accepted. After n has left they are 0. The func
// keeps nothing open, and may be called by one goroutine at a time.
//
// It is nil where n has no socket, or shares it with another generation.
//
// A SYN that was steered just before the cut-over may take some more moments until it
// shows; so the first look should come 10 ms later.
func (g *Group) Observe(n int) func(idleAfter time.Duration) (open, idle, half, queued int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.books.holders[n]
	if m == nil || g.books.users(m) > 1 {
		return nil
	}
	at, tag := g.at, m.tag
	var known map[uint64]bool // handshakes, by cookie; nil before the first look
	return func(idleAfter time.Duration) (open, idle, half, queued int, err error) {
		here, queued, err := g.queue(m, tag)
		if err != nil || !here {
			return 0, 0, 0, 0, err
		}
		still := map[uint64]bool{}
		limit := milliseconds(idleAfter)
		q := question{bound: at, states: alive | 1<<synRecv, info: true}
		err = q.ask(func(s *socket) {
			switch {
			case s.port != at.port:
			case s.state == synRecv && !s.tagged:
				if known == nil || known[s.cookie] {
					still[s.cookie] = true
				}
			case s.tagged && s.tag == tag:
				open++
				if s.idle(limit) {
					idle++
				}
			}
		})
		if err != nil {
			return 0, 0, 0, 0, err
		}
		known = still
		return open, idle, len(known), queued, nil
	}
}

// queue looks at the queue of a member, under the mutex, as the descriptor may
// be closed otherwise. here: connections with the tag are still those that it
// had when it came from m.
func (g *Group) queue(m *member, tag uint8) (here bool, queued int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.books
	switch {
	case m.tag != tag: // handed on, with its queue
		return !g.closed && !b.tagged(tag), 0, nil
	case !b.has(m):
		return false, 0, nil
	}
	queued, err = queueOf(m.fd)
	return true, queued, err
}

// Counts tells each how many connections a generation has, as Observe does,
// all from one look. Generations that share a socket are left out. It lasts
// as long as a look, without holding anybody up.
func (g *Group) Counts(idleAfter time.Duration, each func(generation, open, idle, queued int)) error {
	type count struct{ open, idle, queued int }
	var counts [tagMax + 1]count
	var generations [tagMax + 1]int
	g.mu.Lock()
	at := g.at
	for n, m := range g.books.holders {
		if g.books.users(m) == 1 {
			generations[m.tag] = n
			counts[m.tag].queued, _ = queueOf(m.fd)
		}
	}
	g.mu.Unlock()
	limit := milliseconds(idleAfter)
	q := question{bound: at, states: alive, info: true}
	err := q.ask(func(s *socket) {
		if s.port == at.port && s.tagged {
			c := &counts[s.tag]
			c.open++
			if s.idle(limit) {
				c.idle++
			}
		}
	})
	if err != nil {
		return err
	}
	for tag, n := range generations {
		if n != 0 {
			each(n, counts[tag].open, counts[tag].idle, counts[tag].queued)
		}
	}
	return nil
}
