package pid1

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/adopt"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/steer"
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

	mu   sync.Mutex
	gens map[int]*adopted // those that live
}

// adopted is what one generation has bound for itself.
type adopted struct {
	g       *generation
	sockets map[*endpoint]bool
	ready   map[*endpoint]bool // what it listened on when it was ready; nil before
	passed  []passed
	refused string // why its processes are not supervised
}

// passed is an address that a server has for itself.
type passed struct {
	address, why string
	alone        bool
}

// passedMost bounds what is remembered of, and logged about, one generation.
const passedMost = 16

// heldFor is how long an endpoint goes on listening of which the server uses the other
// address family, or nothing.
const heldFor = time.Second

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
	info, err := os.Stat(path)
	if err != nil {
		return true // the exec will tell
	}
	loss := ""
	if size, err := unix.Getxattr(path, "security.capability", nil); err == nil && size > 0 {
		loss = "file capabilities"
	}
	if info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
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
		if e.twin.Load() != nil {
			_ = e.tcp.Wake()
		}
	}
}

// end forgets a generation of which nothing is left.
func (a *adoption) end(n int) {
	a.mu.Lock()
	delete(a.gens, n)
	a.mu.Unlock()
	go a.tidy()
}

// supervise answers what comes of a worker, until all of it has ended.
func (a *adoption) supervise(w *worker, listener int, refused syscall.Errno, given int) {
	why := ""
	switch {
	case listener >= 0:
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
	text := "cannot answer bind() of the server: " + why + "; it has to take its socket from swapinit"
	if a.wish == "auto" {
		a.debug("adopt.refused", text, w.g.number, w.pid())
		return
	}
	a.warn("adopt.refused", text, w.g.number, w.pid())
}

// broker is adoption for one worker: an adopt.Broker.
type broker struct {
	*adoption
	w     *worker
	given int // how many descriptors from 3 on it was started with
	said  int
}

// Wants: the port of an endpoint, or what the setting says.
func (b *broker) Wants(at netip.AddrPort) bool {
	return b.find(at) != nil || b.wish.Has(at.Port())
}

// find is the endpoint with that port which fits best, nil if there is none.
func (a *adoption) find(at netip.AddrPort) (best *endpoint) {
	fit := -1
	for _, e := range a.steering.list() {
		if !e.IsTCP() || e.Inherited || e.of != nil || e.Addr.Port() != at.Port() {
			continue
		}
		score := 0
		if e.Addr.Addr().Is4() == at.Addr().Is4() {
			score = 1
		}
		if e.Addr.Addr() == at.Addr().Unmap() || e.Addr.Addr() == at.Addr() {
			score += 2
		}
		if score > fit {
			best, fit = e, score
		}
	}
	return best
}

func (b *broker) Bind(bind adopt.Bind) (fd int, errno unix.Errno) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.choose(bind)
	if err != nil {
		b.warn("adopt.failed", b.w.named()+": "+err.Error(), b.w.g.number, b.w.pid())
		return -1, unix.EADDRINUSE
	}
	if e == nil {
		return -1, 0
	}
	if e.group == nil {
		fd, err = b.endpoints().Another(e.index)
	} else if err = e.moves.Add(b.w.g.number, b.w.g.together); err == nil {
		fd, _, err = e.group.Lend(b.w.g.number)
	}
	if err != nil {
		b.warn("adopt.failed", "cannot give "+b.w.named()+" a socket for "+bind.At.String()+": "+err.Error(), b.w.g.number, b.w.pid())
		return -1, 0
	}
	if b.gens[b.w.g.number] == nil { // it has ended, a process that it left behind has not
		return fd, 0
	}
	if e.tcp != nil {
		_ = e.tcp.Wake()
	}
	return fd, 0
}

// choose finds the endpoint whose socket a server gets: of the family that it has asked
// for. nil: none fits.
func (b *broker) choose(bind adopt.Bind) (*endpoint, error) {
	e := b.find(bind.At)
	want4 := bind.At.Addr().Is4()
	switch {
	case e == nil:
		return b.open(bind)
	case e.Addr.Addr().Is4() == want4:
		return e, nil
	case e.group == nil:
		return nil, nil
	case !want4 && (bind.Only6 || !bind.At.Addr().IsUnspecified() && !bind.At.Addr().Is4In6()):
		return nil, nil // IPv6 alone
	case e.twin.Load() != nil:
		return e.twin.Load(), nil
	}
	spec, ok := e.Spec.Twin()
	if !ok {
		return nil, nil
	}
	for n, other := range b.gens {
		if n != b.w.g.number && (other.sockets[e] || len(other.sockets) == 0) {
			return nil, fmt.Errorf("it binds %s, while %s listens on %s: the sockets are of different families, between which no traffic can be moved; "+
				"SWAPINIT_STRATEGY=replace stops the predecessor first", bind.At.String(), named(n), e.Address)
		}
	}
	twin, err := b.join(spec, e, listen.Bind)
	if err == nil {
		e.twin.Store(twin)
	}
	return twin, err
}

// open makes an endpoint of an address that only the server has named.
func (b *broker) open(adopt.Bind) (*endpoint, error) { return nil, nil }

// join adds an endpoint whose first socket is this generation's. of: the one whose
// twin it is, or nil.
func (b *broker) join(spec listen.Spec, of *endpoint, bind func(*listen.Spec) (int, error)) (*endpoint, error) {
	fd, err := bind(&spec)
	if err != nil {
		return nil, err
	}
	set := b.endpoints()
	if err = steer.Prepare(fd); err == nil {
		err = unix.Listen(fd, spec.Backlog)
	}
	var tcp *steer.TCP
	if err == nil {
		tcp, err = steer.NewTCP(fd, b.w.g.number, steer.Options{Open: func() (int, error) { return listen.Bind(&spec) }, Backlog: spec.Backlog, Watch: set.Watch, Unwatch: set.Unwatch})
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	e := &endpoint{Endpoint: set.Join(spec, tcp), joined: true, of: of, tcp: tcp}
	b.steering.steer(e, tcp, b.logger)
	b.steering.add(e)
	return e, nil
}

func (b *broker) Held(inode uint64) bool {
	members := b.procs.members(b.w.g, snapshot(), map[life]mark{})
	held, _ := holdsBeyond(members, []uint64{inode}, 3+b.given)
	return held
}

func (b *broker) Bound(_ adopt.Bind, inode uint64) {
	b.mu.Lock()
	g := b.gens[b.w.g.number]
	for _, e := range b.steering.list() {
		if g != nil && e.inode(b.w.g.number) == inode {
			g.sockets[e] = true
			b.debug("adopted", b.w.named()+" has bound "+e.Address+", with a socket of swapinit's", b.w.g.number, b.w.pid())
		}
	}
	b.mu.Unlock()
	b.w.bindOnce.Do(func() { close(b.w.bound) })
	time.AfterFunc(heldFor, b.tidy)
}

func (b *broker) Listens(inode uint64, backlog int) {
	for _, e := range b.steering.list() {
		if e.group == nil || e.inode(b.w.g.number) != inode {
			continue
		}
		if fd, _, err := e.group.Lend(b.w.g.number); err == nil {
			if !e.asleep() {
				_ = unix.Listen(fd, max(backlog, e.Backlog))
			}
			_ = syscall.Close(fd)
		}
	}
}

func (b *broker) Passed(address, why string, alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gens[b.w.g.number]
	if g == nil || len(g.passed) >= passedMost || slices.ContainsFunc(g.passed, func(p passed) bool { return p.address == address && p.why == why }) {
		return
	}
	g.passed = append(g.passed, passed{address, why, alone})
	text := b.w.named() + " has " + address + " for itself: " + why
	if alone {
		text += "; a successor cannot have it beside it"
	}
	b.info("adopt.passed", text, b.w.g.number, b.w.pid())
}

// tidy ends the listening of endpoints of which every generation uses the other family:
// who connects there is refused, as without swapinit, and does not wait in vain.
func (a *adoption) tidy() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.steering.list() {
		twin := e.twin.Load()
		if twin == nil {
			continue
		}
		used, other := false, false
		for _, g := range a.gens {
			other = other || g.sockets[twin]
			used = used || g.sockets[e] || len(g.sockets) == 0 && g.ready != nil
		}
		switch {
		case other && !used && !e.tcp.Asleep():
			a.debug("adopt.asleep", "nobody listens on "+e.Address+" but on "+twin.Address, 0, 0)
			e.tcp.Sleep()
		case used && !other:
			a.steering.remove(twin)
			a.endpoints().Part(twin.group)
			twin.group.Close()
			e.twin.Store(nil)
		}
	}
}

// becameReady notes what a generation listened on when it was.
func (a *adoption) becameReady(n int) {
	a.mu.Lock()
	if g := a.gens[n]; g != nil && g.ready == nil {
		g.ready = map[*endpoint]bool{}
		for e := range g.sockets {
			g.ready[e] = true
		}
	}
	a.mu.Unlock()
	time.AfterFunc(heldFor, a.tidy)
}

// missing is what another generation listened on when it was ready and n has not bound,
// "" if nothing is: that of the latest one before n.
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
		if a.gens[before].ready[e] && !mine.sockets[e] {
			names = append(names, e.Address)
		}
	}
	return strings.Join(names, ", ")
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
	for _, g := range a.gens {
		if g.sockets[e] || twin != nil && g.sockets[twin] {
			return true
		}
	}
	return false
}

// alone is why n cannot be started beside those that live: one of them has an address
// that nobody else can have at the same time.
func (a *adoption) alone(n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for other, g := range a.gens {
		if other == n || g.g.ended() {
			continue
		}
		for _, p := range g.passed {
			if p.alone {
				return fmt.Errorf("%s has %s for itself, which a successor cannot have beside it: %s; SWAPINIT_STRATEGY=replace stops the predecessor first", named(other), p.address, p.why)
			}
		}
	}
	return nil
}

// holdsBeyond is holds for descriptors from least on.
func holdsBeyond(processes []process, inodes []uint64, least int) (held, seen bool) {
	return holdsFD(processes, inodes, func(name string) bool {
		fd, err := strconv.Atoi(name)
		return err == nil && (fd < 3 || fd >= least)
	})
}
