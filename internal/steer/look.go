package steer

import (
	"slices"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"golang.org/x/sys/unix"
)

// alive are the states in which a server still has something to do.
const alive = 1<<established | 1<<closeWait

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 0), 1<<31))
}

// unseenRest is how long nothing must have waited in a queue where nothing else can be
// seen: a handshake may be going on, of which a packet was lost.
const unseenRest = 3 * time.Second

// SetUnseen says that connections cannot be counted here, and why: drains look at the
// queue only.
func (g *TCP) SetUnseen(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unseen = why
}

// Unseen is what SetUnseen has said, "" where connections can be counted.
func (g *TCP) Unseen() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unseen
}

// observeQueue is Observe where nothing else can be seen.
func (g *TCP) observeQueue(m *member) func(time.Duration) (Look, error) {
	var since clock.Time // when something was seen in the queue, or the first look
	tag := m.tag
	return func(time.Duration) (look Look, err error) {
		here, queued, err := g.queue(m, tag)
		if err != nil || !here {
			return look, err
		}
		if queued > 0 || since.IsZero() {
			since = clock.Now()
		}
		look.Queued, look.Unseen = queued, true
		if clock.Since(since) < unseenRest {
			look.Half = 1
		}
		return look, nil
	}
}

// Observe is to be called right after others got n's traffic. Half of its looks
// counts the handshakes of all generations, as they do not show whose they are. A
// SYN that was steered just before the cut-over may take some more moments until
// it shows; so the first look should come 10 ms later.
func (g *TCP) Observe(n int) func(idleAfter time.Duration) (look Look, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.own(n)
	if m == nil {
		return nil
	}
	if g.unseen != "" {
		return g.observeQueue(m)
	}
	at, tag := g.at, m.tag
	var known map[uint64]bool // handshakes, by cookie; nil before the first look
	var began clock.Time      // when that was
	return func(idleAfter time.Duration) (look Look, err error) {
		here, queued, err := g.queue(m, tag)
		if err != nil || !here {
			return look, err
		}
		still := map[uint64]bool{}
		limit := milliseconds(idleAfter)
		if began.IsZero() {
			began = clock.Now()
		}
		waited := milliseconds(clock.Since(began))
		q := question{at: at, states: alive | 1<<synRecv, info: true}
		err = q.ask(func(s *socket) {
			switch {
			case s.at.Port() != at.Port():
			case s.state == synRecv && !s.tagged:
				if known == nil || known[s.cookie] {
					still[s.cookie] = true
					look.name(s, handshake, waited, limit)
				}
			case s.tagged && s.tag == tag:
				w, age, quiet := look.add(s, limit)
				look.name(s, w, age, quiet)
			}
		})
		if err != nil {
			return Look{}, err
		}
		known, look.Half, look.Queued = still, len(still), queued
		return look, nil
	}
}

// queue looks at the queue of a member, under the mutex, as the descriptor may
// be closed otherwise. here: connections with the tag are still those that it
// had when it came from m.
func (g *TCP) queue(m *member, tag uint8) (here bool, queued int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case m.tag != tag: // handed on, with its queue
		return g.holders != nil && !g.tagged(tag), 0, nil
	case !slices.Contains(g.all(), m):
		return false, 0, nil
	}
	queued, err = Queue(m.fd)
	return true, queued, err
}

// Queue is how many connections wait to be accepted from a listening socket.
func Queue(fd int) (int, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return int(info.Unacked), nil // what this field means for a listener
}

// add counts an accepted connection, or one that waits to be.
func (l *Look) add(s *socket, limit uint32) (w what, age, quiet uint32) {
	l.Open++
	w, age, quiet = s.does(limit)
	if w == idles {
		l.Idle++
	}
	return w, age, quiet
}

func (g *TCP) Counts(idleAfter time.Duration, each func(n int, l Look)) error {
	var looks [tagMax + 1]Look
	var generations [tagMax + 1]int
	g.mu.Lock()
	at, unseen := g.at, g.unseen != ""
	for n := range g.holders {
		if m := g.own(n); m != nil {
			generations[m.tag] = n
			looks[m.tag].Queued, _ = Queue(m.fd)
			looks[m.tag].Unseen = unseen
		}
	}
	g.mu.Unlock() // nobody waits for a long answer
	limit := milliseconds(idleAfter)
	q := question{at: at, states: alive, info: true}
	if !unseen {
		err := q.ask(func(s *socket) {
			if s.at.Port() == at.Port() && s.tagged {
				looks[s.tag].add(s, limit)
			}
		})
		if err != nil {
			return err
		}
	}
	for tag, n := range generations {
		if n != 0 {
			each(n, looks[tag])
		}
	}
	return nil
}
