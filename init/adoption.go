package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/adopt"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/spawn"
	"golang.org/x/sys/unix"
)

// adoption gives servers that bind for themselves the sockets of the endpoints. Its
// methods may be called from any goroutine.
type adoption struct {
	logger
	wish      config.Adopt
	steering  *steering
	endpoints func() *listen.Set
	procs     *processes
	note      func(w *worker, text string) // the best account of why w fails, if it does

	mu    sync.Mutex
	gens  map[int]*adopted   // those that live
	fresh map[uint64]*unused // by inode
	queue queues
}

// adopted is what one generation has bound for itself.
type adopted struct {
	g       *generation
	sockets map[*endpoint]bool
	ready   map[*endpoint]bool // what it listened on when it was ready; nil before
	readyAt clock.Time
	passed  []passed
	refused string // why its processes are not supervised
	watched bool   // they are
	blind   string // why one of its binds could not be answered
	given   int    // sockets that each of them was started with, from fd 3 on
}

// unused is a socket of an address that only the server has named, from its bind to
// its listen: it may be no listener, but a client that wants this port. We keep it for
// no longer than heldFor, as its connection would not end before we close it.
type unused struct {
	spec listen.Spec
	fd   int
	n    int
}

// passed is an address that a server has for itself.
type passed struct {
	doctor.Passed
	alone bool
}

// passedMost bounds what is remembered of, and logged about, one generation.
const passedMost = 16

// on reports whether children are to be supervised.
func (a *adoption) on() bool {
	switch a.wish {
	case "off", "":
		return false
	case "auto":
		return slices.ContainsFunc(a.steering.list(), func(e *endpoint) bool { return e.IsTCP() && !e.Inherited })
	}
	return true
}

// allows reports whether a program that is about to be started may be supervised.
// In auto no program loses what no_new_privs takes away (execve(2)): its setuid bit,
// or its file capabilities, for a user who is not root.
func (a *adoption) allows(spec *spawn.Spec, n int) bool {
	uid, path := os.Getuid(), spec.Path
	if spec.User != nil {
		uid = int(spec.User.Uid)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(spec.Dir, path)
	}
	if a.wish != "auto" || uid == 0 || adopt.Confined() {
		return true
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return true // the exec will tell
	}
	loss := ""
	if size, err := unix.Getxattr(path, "security.capability", nil); err == nil && size > 0 {
		loss = "file capabilities"
	}
	if st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		loss = "setuid or setgid bit"
	}
	if loss == "" {
		return true
	}
	a.info("adopt.left", path+" would lose its "+loss+" (no_new_privs), so its bind() is not answered: it has to take its socket from swapinit; SWAPINIT_ADOPT=on adopts it all the same", n, 0)
	return false
}

// begin notes a generation that is about to be started.
func (a *adoption) begin(g *generation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gens[g.number] == nil {
		a.gens[g.number] = &adopted{g: g, sockets: map[*endpoint]bool{}}
	}
	if len(a.gens) > 1 {
		return
	}
	// Nobody else is there: it may take any family.
	for _, e := range a.steering.list() {
		if e.twin.Load() != nil && e.remote == nil { // else another container may have it
			_ = e.tcp.Wake()
		}
	}
}

// end forgets a generation of which nothing is left.
func (a *adoption) end(g *generation) {
	a.mu.Lock()
	delete(a.gens, g.number)
	a.mu.Unlock()
	a.queue.forget(g)
	go a.tidy()
}

// supervise answers what comes of a worker, until all of it has ended.
func (a *adoption) supervise(w *worker, listener int, refused syscall.Errno, given int) {
	why := ""
	switch {
	case listener >= 0:
		a.mu.Lock()
		if g := a.gens[w.g.number]; g != nil {
			g.watched, g.given = true, given
		}
		a.mu.Unlock()
		go func() {
			if err := adopt.Supervise(listener, &broker{adoption: a, w: w, given: given}); err != nil {
				a.refuse(w, err.Error())
			}
		}()
		return
	case refused == syscall.EBUSY:
		why = "another supervisor is above swapinit already (EBUSY)"
	case refused != 0:
		why = "seccomp: " + refused.Error()
	}
	if why != "" {
		a.refuse(w, why)
	}
}

func (a *adoption) refuse(w *worker, why string) {
	a.mu.Lock()
	if g := a.gens[w.g.number]; g != nil {
		g.refused = why
	}
	a.mu.Unlock()
	text := doctor.NoAnswer + why + "; " + doctor.TakeIt
	if a.wish == "auto" {
		a.debug("adopt.refused", text, w.g.number, w.pid())
		return
	}
	a.warn("adopt.refused", text, w.g.number, w.pid())
}

// becameReady notes what a generation listened on when it was.
func (a *adoption) becameReady(n int) {
	a.mu.Lock()
	if g := a.gens[n]; g != nil && g.ready == nil {
		g.ready, g.readyAt = map[*endpoint]bool{}, clock.Now()
		for e := range g.sockets {
			g.ready[e] = true
		}
	}
	a.mu.Unlock()
	time.AfterFunc(heldFor, a.tidy)
	time.AfterFunc(settleFor+heldFor, a.tidy)
}

// missing is what another generation listened on when it was ready and n has not bound,
// "" if nothing is: that of the latest one before n. One that has bound nothing may use
// what it was given.
func (a *adoption) missing(n int) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := 0
	for other, g := range a.gens {
		if other < n && other > before && g.ready != nil {
			before = other
		}
	}
	mine := a.gens[n]
	if before == 0 || mine == nil {
		return ""
	}
	var names []string
	for _, e := range a.steering.list() {
		if a.gens[before].ready[e] && !mine.sockets[e] && (e.joined || len(mine.sockets) > 0) {
			names = append(names, e.Address)
		}
	}
	return strings.Join(names, ", ")
}

// watches reports whether binds of generation n are answered.
func (a *adoption) watches(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.gens[n]
	return g != nil && g.watched
}

// uses lists the endpoints that n has bound.
func (a *adoption) uses(n int) (list []*endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.steering.list() {
		if g := a.gens[n]; g != nil && g.sockets[e] {
			list = append(list, e)
		}
	}
	return list
}

// adopts reports whether anybody has bound e.
func (a *adoption) adopts(e *endpoint) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	twin := e.twin.Load()
	return a.bound(e) || twin != nil && a.bound(twin)
}

// alone is why n cannot be started beside those that live: one that runs the same command
// has an address that nobody else can have at the same time. Another command may do
// without.
func (a *adoption) alone(n int, same func(*generation) bool) error {
	type holder struct {
		g *generation
		passed
	}
	var all []holder
	a.mu.Lock()
	for other, g := range a.gens {
		for _, p := range g.passed {
			if other != n && p.alone && !g.g.ended() {
				all = append(all, holder{g.g, p})
			}
		}
	}
	a.mu.Unlock() // what follows reads files
	for _, h := range all {
		if h.bound() && same(h.g) {
			return errors.New(h.Text(h.g.number) + "; " + h.Do())
		}
	}
	return nil
}

// bound reports whether somebody has the address still. An address that cannot be told
// counts as one.
func (p passed) bound() bool {
	network, rest, _ := strings.Cut(p.Address, "://")
	if network == "unix" { // an abstract name
		yes := false
		err := procnet.EachUnix(func(u *procnet.Unix) { yes = yes || string(u.Name) == rest })
		return yes || err != nil
	}
	port, err := strconv.ParseUint(rest[strings.LastIndexByte(rest, ':')+1:], 10, 16)
	return err != nil || procnet.Bound(network, uint16(port))
}
