package pid1

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/swap"
)

// verify finds out whether a successor holds an endpoint, in its main process
// or in any other of its own. One that lost them on the way (a wrapper that
// passes no descriptors on, a server that binds a port of its own) would be
// ready and serve nobody.
func (i *Init) verify(g *generation) {
	kind, reason := swap.Verified, ""
	if inodes := i.launcher.inodes(g.number); len(inodes) > 0 {
		held, seen := holds(i.launcher.procs.members(g, snapshot(), map[life]mark{}), inodes)
		switch {
		case !seen:
			i.warn("verify", "cannot see whether "+named(g.number)+" holds the endpoints: its descriptors are not ours to read", g.number, g.pid())
		case !held:
			kind = swap.Refused
			reason = "is ready but holds none of the endpoints: the sockets were lost between swapinit and the server (npm, some wrappers and Bun do that)"
		}
	}
	i.post(func() { i.happened(kind, g.number, reason) })
}

// inodes are those of the sockets that generation n has.
func (l *launcher) inodes(n int) (list []uint64) {
	for _, e := range l.sockets(n).Endpoints {
		if e.Inode != 0 {
			list = append(list, e.Inode)
		}
	}
	return list
}

// holds reports whether one of the processes has one of the sockets open; seen
// is false when one of them did not let us look.
func holds(processes []process, inodes []uint64) (held, seen bool) {
	seen = len(processes) > 0
	for _, p := range processes {
		open, ok := sockets(p.pid)
		seen = seen && ok
		if slices.ContainsFunc(open, func(inode uint64) bool { return slices.Contains(inodes, inode) }) {
			return true, true
		}
	}
	return false, seen
}

// sockets lists the inodes of a process's sockets, proc_pid_fd(5); false if we
// may not see them. One that has gone has none.
func sockets(pid int) (inodes []uint64, ok bool) {
	path := "/proc/" + itoa(pid) + "/fd/"
	names, err := entries(path)
	if err != nil {
		return nil, os.IsNotExist(err)
	}
	for _, name := range names {
		link, err := os.Readlink(path + name)
		if os.IsPermission(err) {
			return nil, false
		}
		if s, found := strings.CutPrefix(link, "socket:["); found {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				inodes = append(inodes, inode)
			}
		}
	}
	return inodes, true
}
