package steer

import "github.com/swapinit/swapinit/internal/netip"

// peersFew is how many connections say too little about all.
const peersFew = 5

// peerStates are those of a connection that was made, also of one that is over.
const peerStates = 1<<established | 1<<finWait1 | 1<<finWait2 | 1<<timeWait | 1<<closeWait | 1<<lastAck | 1<<closing

// Peer is the one address from which all connections to the endpoint come that there are,
// or were until a moment ago, of all generations; "" if they come from several. known is
// false while there are too few to tell. Those over the loopback interface count only while
// they stand, and where there are no others: a container checks its server there, one
// connection after the other. It takes as long as Counts, or longer.
func (g *TCP) Peer() (from string, known bool, err error) {
	if g.Unseen() != "" {
		return "", false, nil
	}
	var one netip.Addr
	count, several := [2]int{}, false
	q := question{at: g.at, states: peerStates}
	err = q.ask(func(s *socket) {
		if s.at.Port() != g.at.Port() || s.at != g.at && !g.at.Addr().IsUnspecified() {
			return
		}
		peer, own := s.peer.Addr(), 0
		if peer.IsLoopback() {
			if own = 1; alive&(1<<s.state) == 0 {
				return
			}
		}
		if count[own]++; own == 1 && count[0] > 0 {
			return
		}
		if count[own] == 1 {
			one, several = peer, false
		}
		several = several || peer != one
	})
	if !several && one.IsValid() {
		from = one.String()
	}
	return from, several || max(count[0], count[1]) >= peersFew, err
}
