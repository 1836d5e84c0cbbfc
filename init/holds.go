package pid1

import (
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/swap"
)

// verify finds out whether a successor holds an endpoint, in its main process
// or in any other of its own. One that lost them on the way (a wrapper that
// passes no descriptors on, a server that binds a port of its own) would be
// ready and serve nobody.
func (i *Init) verify(g *generation) {
	kind, reason := swap.Verified, ""
	if missing := i.adoption.missing(g.number); missing != "" {
		kind, reason = swap.Refused, "is ready but does not listen on "+missing+", as its predecessor does"
	} else if inodes := i.launcher.inodes(g.number); len(inodes) > 0 {
		members := i.launcher.procs.members(g, snapshot(), map[life]mark{})
		held, seen := holds(members, inodes)
		for n := 0; !held && seen && ending(members) && n < endingLooks; n++ {
			// Its end is on its way here, and says more than what it holds.
			<-clock.After(endingEvery)
			members = i.launcher.procs.members(g, snapshot(), map[life]mark{})
			held, seen = holds(members, inodes)
		}
		switch {
		case len(members) == 0: // it has ended
		case !seen:
			i.warn("verify", "cannot see whether "+named(g.number)+" holds the endpoints: its descriptors are not ours to read", g.number, g.pid())
		case !held:
			kind = swap.Refused
			reason = "is ready but holds none of the endpoints: " + doctor.Lost
		}
	}
	i.post(func() { i.happened(kind, g.number, reason) })
}

// How long one that is ending is waited for: a second.
const (
	endingLooks = 20
	endingEvery = 50 * time.Millisecond
)

// ending: none of the processes has a descriptor. The kernel takes all of them at once
// when a process ends, before its parent hears of that.
func ending(processes []process) bool {
	for _, p := range processes {
		if names, err := entries("/proc/" + itoa(p.pid) + "/fd/"); err != nil && !os.IsNotExist(err) || len(names) > 0 {
			return false
		}
	}
	return true
}

// inodes are those of the sockets that generation n has.
func (l *launcher) inodes(n int) (list []uint64) {
	for _, e := range l.sockets(n).Endpoints {
		if e.Inode != 0 {
			list = append(list, e.Inode)
		}
	}
	for _, e := range l.adoption.steering.list() {
		if inode := e.inode(n); e.joined && inode != 0 {
			list = append(list, inode)
		}
	}
	return list
}

// holds reports whether one of the processes has one of the sockets open,
// proc_pid_fd(5); seen is false when one of them did not let us look. One that has
// gone has none.
func holds(processes []process, inodes []uint64) (held, seen bool) {
	return holdsFD(processes, inodes, func(string) bool { return true })
}

// holdsFD is holds for the descriptors that count.
func holdsFD(processes []process, inodes []uint64, counts func(fd string) bool) (held, seen bool) {
	var links []string
	for _, inode := range inodes {
		links = append(links, socketLink(inode))
	}
	seen = len(processes) > 0
	for _, p := range processes {
		path := "/proc/" + itoa(p.pid) + "/fd/"
		names, err := entries(path)
		seen = seen && (err == nil || os.IsNotExist(err))
		for _, name := range names {
			if !counts(name) {
				continue
			}
			link, err := os.Readlink(path + name)
			seen = seen && !os.IsPermission(err)
			if slices.Contains(links, link) {
				return true, true
			}
		}
	}
	return false, seen
}

// socketLink is what a link in /proc/PID/fd says of a socket.
func socketLink(inode uint64) string { return "socket:[" + strconv.FormatUint(inode, 10) + "]" }
