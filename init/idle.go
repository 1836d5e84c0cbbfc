package pid1

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// heldFor is how long an endpoint goes on listening of which the server uses the other
// address family, or nothing.
const heldFor = time.Second

// settleFor is how long an endpoint that only servers have named waits for a ready
// generation to bind it, too: where a script starts several servers, the first one to be
// ready is not the last.
const settleFor = 10 * time.Second

// tidy ends the listening of endpoints of which every generation uses the other family:
// who connects there is refused, as without swapinit, and does not wait in vain. It also
// ends what only servers have named and none uses any more.
func (a *adoption) tidy() {
	for _, e := range a.steering.list() {
		twin := e.twin.Load()
		switch {
		case e.joined && e.of == nil:
			a.closeUnused(e)
		case twin == nil:
		case a.idle(e, twin):
			a.mu.Lock()
			if !a.bound(e) { // nobody has bound it meanwhile
				a.debug("adopt.asleep", "nobody listens on "+e.Address+" but on "+twin.Address, 0, 0)
				e.tcp.Sleep()
			}
			a.mu.Unlock()
		case a.idle(twin, e):
			a.mu.Lock()
			if !a.bound(twin) {
				a.part(twin)
				e.twin.Store(nil)
			}
			a.mu.Unlock()
		}
	}
}

// bound reports whether a generation has bound e. The caller holds the mutex.
func (a *adoption) bound(e *endpoint) bool {
	for _, g := range a.gens {
		if g.sockets[e] {
			return true
		}
	}
	return false
}

// idle reports whether nobody uses e while somebody uses other, its twin.
func (a *adoption) idle(e, other *endpoint) bool {
	if e.asleep() {
		return false
	}
	a.mu.Lock()
	elsewhere, used := false, false
	var may []*adopted // those that were given e, and have bound something else
	for _, g := range a.gens {
		unbound := len(g.sockets) == 0 && g.ready != nil
		elsewhere = elsewhere || g.sockets[other] || unbound && e.of != nil
		used = used || g.sockets[e] || unbound && e.of == nil
		if len(g.sockets) > 0 && e.of == nil {
			may = append(may, g)
		}
	}
	a.mu.Unlock() // what follows reads files
	return elsewhere && !used && !slices.ContainsFunc(may, func(g *adopted) bool { return a.taken(e, g) })
}

// taken reports whether a server that has bound something uses the socket, too, with
// which it was started (unicorn does). Whoever takes one over marks it: it does not
// block, or is closed on exec (sd_listen_fds(3)).
func (a *adoption) taken(e *endpoint, g *adopted) bool {
	fd, inode, err := e.group.Lend(g.g.number)
	if err != nil {
		return false
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	_ = syscall.Close(fd)
	if err == nil && flags&unix.O_NONBLOCK != 0 {
		return true
	}
	for _, p := range a.procs.members(g.g, snapshot(), map[life]mark{}) {
		for n := range g.given {
			at := "/proc/" + itoa(p.pid) + "/fd"
			link, _ := os.Readlink(at + "/" + itoa(3+n))
			info, _ := file.Read(at + "info/" + itoa(3+n))
			if link == socketLink(inode) && closedOnExec(string(info)) {
				return true
			}
		}
	}
	return false
}

// closedOnExec reads it from /proc/PID/fdinfo, proc_pid_fdinfo(5).
func closedOnExec(info string) bool {
	flags, err := strconv.ParseInt(procnet.Field(info, "flags"), 8, 64)
	return err == nil && flags&unix.O_CLOEXEC != 0
}

// closeUnused ends an endpoint that only servers have named, when one that is ready does
// without and no other has it.
func (a *adoption) closeUnused(e *endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready := false
	for _, g := range a.gens {
		ready = ready || g.ready != nil && clock.Since(g.readyAt) > settleFor
	}
	if ready && !a.bound(e) {
		a.part(e)
	}
}

// part gives up an endpoint that was joined. Its sockets may live on in a server, but
// listen no more.
func (a *adoption) part(e *endpoint) {
	a.steering.remove(e)
	if e.remote == nil { // else the gate closes it when nobody has a socket of it
		e.tcp.Sleep()
	}
	a.endpoints().Part(e.group)
	e.group.Close()
}
