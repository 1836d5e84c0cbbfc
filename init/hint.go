package pid1

import (
	"cmp"
	"slices"
	"strings"

	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/procnet"
)

// hint says what a server should know that has ended before it was ready. With a status
// of 0 the first one may have left itself behind, and a successor may have found the pid
// file of its predecessor. Else its address may be in use: swapinit listens there, or the
// generation before.
func (a *adoption) hint(g *generation, status int) string {
	a.mu.Lock()
	mine := a.gens[g.number]
	if mine == nil || mine.ready != nil || len(mine.sockets) > 0 && status != 0 {
		a.mu.Unlock()
		return ""
	}
	watched, refused := mine.watched && mine.blind == "", cmp.Or(mine.refused, mine.blind)
	var before *generation
	for n, other := range a.gens {
		if n < g.number && !other.g.ended() && (before == nil || n > before.number) {
			before = other.g
		}
	}
	a.mu.Unlock()
	if status == 0 {
		switch {
		case before != nil:
		case len(a.procs.members(g, snapshot(), map[life]mark{})) > 0:
			return "a server that goes to the background does that: start it in the foreground, as in nginx -g 'daemon off;'"
		default:
			return ""
		}
		return "a server that finds the pid file of its predecessor does that: name one of its own, as in /run/server-{generation}.pid"
	}
	var addresses []string
	var given []uint64 // to the generation before
	for _, e := range a.steering.list() {
		if e.IsTCP() {
			addresses = append(addresses, e.Address)
			if before != nil {
				given = append(given, e.inode(before.number))
			}
		}
	}
	if before != nil && !watched && len(addresses) > 0 {
		// Where that one serves by what it was given, the address is not the reason.
		if took, _ := holds(a.procs.members(before, snapshot(), map[life]mark{}), given); took {
			return ""
		}
	}
	switch all := strings.Join(addresses, ", "); {
	case len(addresses) > 0 && !watched && refused != "":
		return "if its address was in use: swapinit listens on " + all + " for it, and SWAPINIT_ADOPT cannot help (" + refused + "): take the socket from LISTEN_FDS (fd 3)"
	case len(addresses) > 0 && !watched:
		return "if its address was in use: swapinit listens on " + all + " for it: SWAPINIT_ADOPT=auto lets it bind there itself, or take the socket from LISTEN_FDS (fd 3)"
	case before == nil:
		return ""
	}
	if ports := a.ports(before); len(ports) > 0 {
		list := doctor.Ports(ports)
		both := doctor.BothHave(list)
		if _, joined := a.lent(); joined {
			both = doctor.AtTheGate
		}
		return "if its address was in use: " + named(before.number) + " listens on port " + list[1:] + " itself; " + both
	}
	return ""
}

// ports are those on which a generation listens with TCP sockets of its own.
func (a *adoption) ports(g *generation) (ports []int) {
	members := a.procs.members(g, snapshot(), map[life]mark{})
	for inode, port := range procnet.Listening() {
		if port == 0 || len(ports) >= passedMost || slices.Contains(ports, int(port)) || !a.own(inode, g.number) {
			continue
		}
		if held, _ := holds(members, []uint64{inode}); held {
			ports = append(ports, int(port))
		}
	}
	slices.Sort(ports)
	return ports
}

// own reports whether a socket is none that swapinit has given to generation n.
func (a *adoption) own(inode uint64, n int) bool {
	return !slices.ContainsFunc(a.steering.list(), func(e *endpoint) bool { return e.inode(n) == inode })
}
