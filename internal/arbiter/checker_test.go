package arbiter

import (
	"fmt"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// peer is what the checker knows of a member, from what went in and came out.
type peer struct {
	session  Session
	life     string
	joined   time.Duration // its hello has had no answer since
	waits    bool
	hello    Join
	heard    time.Duration
	leaving  bool
	gen      int           // serves, and could have the traffic
	holds    bool          // was told that it has the traffic, and nothing else since
	told     bool          // Back or Serve, without an answer
	by       time.Duration // for that
	asks     map[int]Event
	stage    int // the generation in canary
	answered int
	dropped  bool
	lost     bool // had the traffic in this life
	again    bool // it was welcomed before, on another connection
	late     bool // has not answered in time that it has the traffic
	rolled   bool // the traffic was taken from it
}

// checker watches what goes into an arbiter and what comes out of it, keeps an account
// of its own, and says which invariant was broken. It shares no code with the arbiter.
type checker struct {
	names   map[Session]string
	peers   map[string]*peer
	aim     Aim  // what the kernel does
	refused bool // the share in it, by the event of this step
	epoch   int64
	turn    string
	verbs   map[uint64]time.Duration
	rolls   int           // rollbacks without an answer
	since   time.Duration // nobody has had the traffic since
	left    bool          // the last one that had it was told to stop, or nobody had it
	failing bool          // the disk has failed since the last write
	saving  bool
	record  string          // who had the traffic after the step before
	wrote   map[string]bool // the disk has said so since they got the traffic
	began   time.Duration   // of the gate
	awaits  string          // the recorded holder, after a start of the gate
	saveAt  time.Duration
	pings   map[Session]time.Duration
	counts  map[string]int
	outs    map[string]Role // after the step before
	done    string          // has said in this step that its swap has ended
}

func newChecker() *checker {
	return &checker{names: map[Session]string{}, peers: map[string]*peer{}, wrote: map[string]bool{}, aim: Aim{Share: shares.Full}, verbs: map[uint64]time.Duration{},
		left: true, counts: map[string]int{}, pings: map[Session]time.Duration{}}
}

// restarted: another gate, to which nobody is connected.
func (c *checker) restarted(r *rig) {
	clear(c.names)
	for _, p := range c.peers {
		p.session, p.waits, p.told, p.stage, p.answered, p.holds = 0, false, false, 0, 0, false
		clear(p.asks)
	}
	c.aim, c.turn, c.rolls, c.since, c.left, c.failing, c.saving = Aim{Share: shares.Full}, "", 0, r.now, true, false, false
	clear(c.verbs)
	clear(c.wrote)
	clear(c.pings)
	c.began, c.awaits = r.now, r.disk.Holder
	if r.disk.Epoch < c.epoch {
		c.epoch = r.disk.Epoch // the file was lost
	}
	c.counts["gate"]++
}

func (c *checker) of(s Session) *peer { return c.peers[c.names[s]] }

// on is one that could have the traffic, if it serves.
func (p *peer) on() bool { return p != nil && p.session != 0 && !p.leaving && !p.waits }

// holder is who has the traffic, as far as members were told.
func (c *checker) holder() (name string, h *peer) {
	for n, p := range c.peers {
		if p.on() && p.holds && (h == nil || h.told) {
			name, h = n, p
		}
	}
	return name, h
}

func (c *checker) in(r *rig, e Event) {
	if s, _ := of(e); s != 0 && c.of(s) != nil {
		c.of(s).heard = r.now
		delete(c.pings, s)
	}
	had, hp := c.holder()
	c.done, c.refused = "", false
	unsure := hp != nil && hp.told // if it does not take the traffic it never had it
	switch e := e.(type) {
	case *Join:
		p := c.peers[e.Member]
		if p == nil {
			p = &peer{asks: map[int]Event{}}
			c.peers[e.Member] = p
		}
		same := p.session != 0 && p.life == e.Life
		again := p.session != 0 && p.life == e.Life && !p.waits
		delete(c.names, p.session)
		if p.life != e.Life {
			clear(p.asks)
			p.answered, p.rolled = 0, false
		}
		p.session, p.life, p.joined, p.waits, p.hello, p.heard = e.Session, e.Life, r.now, true, *e, r.now
		c.names[e.Session] = e.Member
		if p.again = again; again {
			if e.Generation != 0 && !e.Dead && (e.State == Holder || e.State == Kept || p.holds) {
				p.gen = e.Generation
			} else if e.Generation == 0 && e.State != Successor && !p.holds {
				p.gen = 0
			}
			break // nothing else has changed
		}
		if !same {
			clear(p.asks)
		}
		p.leaving, p.told, p.stage, p.dropped, p.gen = false, false, 0, false, 0
		if had != e.Member {
			p.holds = false
		}
		c.leaves(e.Member)
		if e.State != "" && !e.Dead {
			p.gen = e.Generation
		}
	case *Ended:
		if p := c.of(e.Session); p != nil {
			c.leaves(c.names[e.Session])
			delete(c.wrote, c.names[e.Session])
			p.session, p.gen, p.stage, p.waits, p.told = 0, 0, 0, false, false
			clear(p.asks)
			delete(c.names, e.Session)
		}
	case *Leaving:
		if p := c.of(e.Session); p != nil && !p.leaving {
			if had == c.names[e.Session] && !unsure {
				c.since, c.left = r.now, !e.Died
			}
			c.leaves(c.names[e.Session])
			p.leaving, p.gen, p.stage = true, 0, 0
			p.waits = false // nobody needs a welcome any more
		}
	case *Turn:
		if p := c.of(e.Session); p != nil {
			p.asks[e.ID] = e
		}
	case *Ask:
		if p := c.of(e.Session); p != nil {
			p.dropped = false
			p.asks[e.ID] = e
		}
	case *Done:
		c.done = c.names[e.Session]
		if c.names[e.Session] != "" {
			c.leaves(c.names[e.Session])
			c.of(e.Session).stage = 0
		}
	case *Took:
		if p := c.of(e.Session); p != nil && e.Generation != 0 {
			p.dropped = false // it has started another server
		}
		if p := c.of(e.Session); p.on() && p.told {
			p.told, p.gen = false, e.Generation
			if e.Generation == 0 {
				p.holds, p.late = false, true
				c.leaves(c.names[e.Session])
			}
		} else if p.on() && p.holds && e.Generation != 0 {
			p.gen = e.Generation
		} else if p.on() && e.Generation != 0 && !(p.hello.Dead && e.Generation == p.hello.Generation) {
			p.gen = e.Generation
		}
	case *Moved:
		if p := c.of(e.Session); p != nil && e.Generation != 0 {
			c.aim = Aim{To: Slot{c.names[e.Session], e.Generation}, Share: shares.Full} // the gate did
			if p.on() {
				p.dropped = false
			}
			if p.on() && p.holds {
				p.gen, p.told = e.Generation, false
			} else if p.on() {
				p.gen = e.Generation // it had started it just before it lost the traffic
			} else if p.waits && p.hello.State == Holder && !p.hello.Dead {
				p.gen = e.Generation
			}
		}
	case *NoServer:
		if p := c.of(e.Session); p != nil {
			p.gen, p.stage = 0, 0
			p.holds, p.told = false, false
		}
	case *Saved:
		c.saving = false
		if e.Err != "" {
			c.failing = true
		} else {
			c.failing = false
			c.wrote[r.disk.Holder] = true
		}
	case *Unmoved:
		c.refused = e.Aim == c.aim && e.Aim.Share < shares.Full
	case *Rollback:
		c.verbs[e.ID] = r.now
		c.rolls++
	case *Promote:
		c.verbs[e.ID] = r.now
	}
	for n, p := range c.peers { // it has had its time
		if p.told && (r.now >= p.heard+10*time.Second || r.now >= p.by) {
			p.told, p.holds, p.gen, p.late = false, false, 0, true
			c.leaves(n)
		}
	}
	if now, _ := c.holder(); had != "" && now == "" && !unsure {
		c.since = r.now
		if e, ok := e.(*Leaving); !ok || e.Died {
			c.left = false
		} else {
			c.left = true
		}
	}
}

// leaves: a member's turn is over.
func (c *checker) leaves(member string) {
	if c.turn == member {
		c.turn = ""
	}
}

// order is a member's number, as the arbiter remembers it.
func order(s State, member string) (int, Role) {
	for _, m := range s.Members {
		if m.Container == member {
			return m.Order, m.Out
		}
	}
	return 0, ""
}

// fails: the disk cannot be written, or hangs.
func (c *checker) fails(r *rig) bool {
	return c.failing || r.save != nil && r.now-c.saveAt >= 10*time.Second
}

// written: the disk says who has the traffic, or cannot be written.
func (c *checker) written(r *rig, member string) error {
	if r.disk.Holder != member && !c.wrote[member] && !c.fails(r) {
		return fmt.Errorf("StateFirst: on the disk %q has the traffic", r.disk.Holder)
	}
	return nil
}
