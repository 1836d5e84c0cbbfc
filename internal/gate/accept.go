package gate

import (
	"slices"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
)

const (
	maxMembers = 64               // that have joined, at a time
	maxNew     = 16               // connections that have not said who they are
	helloTime  = 10 * time.Second // until they have to
)

// allowed: who may join. The kernel says who is there (SO_PEERCRED).
func (g *Gate) allowed(uid uint32) bool {
	allow := &g.set.GateAllow
	return allow.Any || uid == 0 || int(uid) == g.uid || slices.Contains(allow.List, uid)
}

// accept takes a new connection over.
func (g *Gate) accept(conn *gatewire.Conn, uid uint32) {
	s := g.begin(conn)
	if !g.allowed(uid) {
		s.refuse("uid " + utoa(uid) + " may not join this gate: it needs SWAPINIT_GATE_ALLOW=" + utoa(uid) + " at the gate")
		g.stranger("turned away uid " + utoa(uid) + ", which may not join (SWAPINIT_GATE_ALLOW)")
		return
	}
	// Whoever has nothing to say makes room for who comes.
	if n, oldest := g.unnamed(); n > maxNew {
		oldest.refuse("too many connections have not said who they are")
	}
	time.AfterFunc(helloTime, func() {
		g.post(func() {
			if s.member == "" {
				s.refuse("no hello within " + helloTime.String())
			}
		})
	})
}

// unnamed counts the connections that have not said hello.
func (g *Gate) unnamed() (n int, oldest *session) {
	for _, s := range g.sessions {
		if s.member == "" && !s.gone {
			if n++; oldest == nil || s.id < oldest.id {
				oldest = s
			}
		}
	}
	return n, oldest
}

// stranger logs what somebody who is no member has done, now and then.
func (g *Gate) stranger(line string) {
	hidden, ok := g.strangers.Note()
	if hidden > 0 {
		line += " (and " + plural(hidden, "line", "lines") + " of this kind since the last one)"
	}
	if ok {
		g.warn("stranger", line)
	}
}

// ended: the connection of s has ended; err says how.
func (g *Gate) ended(s *session, err error) {
	if g.sessions[s.id] == nil {
		return // it was replaced
	}
	delete(g.sessions, s.id)
	s.gone = true
	s.conn.Close()
	if g.gather != nil {
		g.gather.forget(s)
	}
	if line := g.describe(s) + " is gone"; s.joined {
		if why := g.reasons[s.member]; why != "" {
			line += ": " + why
		}
		g.info("member", line)
	} else {
		g.debug("member", line+": "+err.Error())
	}
	if s.joined {
		g.step(&arbiter.Ended{Session: s.id})
	}
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
