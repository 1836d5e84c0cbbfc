package pid1

import (
	"cmp"
	"errors"
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
	"github.com/swapinit/swapinit/internal/procnet"
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

	mu    sync.Mutex
	gens  map[int]*adopted // those that live
	bound map[uint64]*unused
	queue queues
}

// adopted is what one generation has bound for itself.
type adopted struct {
	g       *generation
	sockets map[*endpoint]bool
	ready   map[*endpoint]bool // what it listened on when it was ready; nil before
	passed  []passed
	refused string // why its processes are not supervised
	watched bool   // they are
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
			g.watched = true
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
		return b.open(bind)
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
		return nil, nil
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
	fd, err := listen.Bind(&spec)
	if err != nil {
		return nil, err
	}
	if err = steer.Prepare(fd); err == nil {
		var twin *endpoint
		if twin, err = b.join(fd, spec, e, b.w.g.number); err == nil {
			e.twin.Store(twin)
			return twin, nil
		}
	}
	_ = syscall.Close(fd)
	return nil, err
}

// open binds a socket to an address that only the server has named. It is no endpoint
// before the server listens.
func (b *broker) open(bind adopt.Bind) (fd int, errno unix.Errno) {
	port := bind.At.Port()
	if !b.wish.Has(port) || b.find(bind.At) != nil || !mayBind(bind.Pid, port) {
		return -1, 0
	}
	u := &unused{spec: listen.Of(bind.At, bind.Only6), n: b.w.g.number}
	fd, err := listen.BindFirst(&u.spec, steer.Prepare)
	if err == nil {
		u.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	inode, failed := procnet.Inode(fd)
	if err = cmp.Or(err, failed); err != nil {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
		errno, _ = errors.AsType[unix.Errno](err)
		return -1, errno
	}
	b.bound[inode] = u
	time.AfterFunc(heldFor, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.bound[inode] == u {
			delete(b.bound, inode)
			_ = syscall.Close(u.fd)
		}
	})
	return fd, 0
}

// mayBind reports whether the kernel would let the task bind to the port: a socket of
// ours is not to get a server what it may not have, ip(7).
func mayBind(pid int, port uint16) bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	least, failed := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || failed != nil {
		least = 1024
	}
	if int(port) >= least {
		return true
	}
	status, _ := os.ReadFile("/proc/" + itoa(pid) + "/status")
	_, rest, _ := strings.Cut(string(status), "\nCapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	effective, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return err == nil && effective&(1<<unix.CAP_NET_BIND_SERVICE) != 0
}

// join makes an endpoint of the first socket of its address, which is generation n's,
// and takes it over unless it fails. of: the one whose twin it is, or nil.
func (b *adoption) join(fd int, spec listen.Spec, of *endpoint, n int) (*endpoint, error) {
	set := b.endpoints()
	if err := unix.Listen(fd, spec.Backlog); err != nil {
		return nil, err
	}
	tcp, err := steer.NewTCP(fd, n, steer.Options{Open: func() (int, error) { return listen.Bind(&spec) }, Backlog: spec.Backlog, Watch: set.Watch, Unwatch: set.Unwatch})
	if err != nil {
		return nil, err
	}
	e := &endpoint{Endpoint: set.Join(spec, tcp), joined: true, of: of, tcp: tcp}
	b.steering.steer(e, tcp, b.logger)
	b.steering.add(e)
	return e, nil
}

func (b *broker) Held(inode uint64) bool { return b.held(b.w.g, inode, b.given) }

// Bound counts for an endpoint, which listens already.
func (b *broker) Bound(_ adopt.Bind, inode uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.steering.list() {
		if e.inode(b.w.g.number) == inode {
			b.has(e, inode)
		}
	}
}

// has notes that the server has the socket of an endpoint.
func (b *broker) has(e *endpoint, inode uint64) {
	g := b.gens[b.w.g.number]
	if g == nil {
		return
	}
	g.sockets[e] = true
	b.debug("adopted", b.w.named()+" has bound "+e.Address+", with a socket of swapinit's", b.w.g.number, b.w.pid())
	b.w.bindOnce.Do(func() { close(b.w.bound) })
	b.look(e, b.w.g, inode, b.given)
	time.AfterFunc(heldFor, b.tidy)
}

func (b *broker) Listens(inode uint64, backlog int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u := b.bound[inode]; u != nil {
		delete(b.bound, inode)
		u.spec.Backlog = max(u.spec.Backlog, backlog)
		e, err := b.join(u.fd, u.spec, nil, u.n)
		if err != nil {
			_ = syscall.Close(u.fd)
			b.warn("adopt.failed", "cannot make "+bindText(&u.spec)+" an endpoint: "+err.Error(), u.n, b.w.pid())
			return false
		}
		b.has(e, inode)
		return true
	}
	for _, e := range b.steering.list() {
		if e.inode(b.w.g.number) != inode {
			continue
		}
		if e.group == nil {
			return true
		}
		if fd, _, err := e.group.Lend(b.w.g.number); err == nil {
			if !e.asleep() {
				_ = unix.Listen(fd, max(backlog, e.Backlog))
			}
			_ = syscall.Close(fd)
		}
		return true
	}
	return false
}

func bindText(spec *listen.Spec) string { return "tcp://" + spec.Addr.String() }

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
		if e.joined && e.of == nil {
			a.close(e)
			continue
		}
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
			a.part(twin)
			e.twin.Store(nil)
		}
	}
}

// close ends an endpoint that only servers have named, when one that is ready does without
// and no other has it.
func (a *adoption) close(e *endpoint) {
	ready := false
	for _, g := range a.gens {
		if g.sockets[e] {
			return
		}
		ready = ready || g.ready != nil
	}
	if ready {
		a.part(e)
	}
}

// part gives up an endpoint that was joined.
func (a *adoption) part(e *endpoint) {
	a.steering.remove(e)
	a.endpoints().Part(e.group)
	e.group.Close()
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

// hint says what a server should know that has ended before it was ready, in case that
// its address was in use: swapinit listens there, or the generation before.
func (a *adoption) hint(g *generation) string {
	a.mu.Lock()
	mine := a.gens[g.number]
	if mine == nil || mine.ready != nil || len(mine.sockets) > 0 {
		a.mu.Unlock()
		return ""
	}
	watched, refused := mine.watched, mine.refused
	var before *generation
	for n, other := range a.gens {
		if n < g.number && !other.g.ended() && (before == nil || n > before.number) {
			before = other.g
		}
	}
	a.mu.Unlock()
	var addresses []string
	for _, e := range a.steering.list() {
		if e.IsTCP() {
			addresses = append(addresses, e.Address)
		}
	}
	switch all := strings.Join(addresses, ", "); {
	case len(addresses) > 0 && !watched && refused != "":
		return "if its address was in use: swapinit listens on " + all + " for it, and SWAPINIT_ADOPT does not work here (" + refused + "): take the socket from LISTEN_FDS (fd 3)"
	case len(addresses) > 0 && !watched:
		return "if its address was in use: swapinit listens on " + all + " for it: SWAPINIT_ADOPT=auto lets it bind there itself, or take the socket from LISTEN_FDS (fd 3)"
	case before == nil:
		return ""
	}
	if ports := a.listens(before); ports != "" {
		return "if its address was in use: " + named(before.number) + " listens on port " + ports + " itself; SWAPINIT_LISTEN=:" + ports + " (and SWAPINIT_ADOPT=auto, the default) lets both have it"
	}
	return ""
}

// listens is the ports on which a generation listens with TCP sockets of its own.
func (a *adoption) listens(g *generation) string {
	members := a.procs.members(g, snapshot(), map[life]mark{})
	var ports []string
	for inode, port := range procnet.Listening() {
		if port == 0 || len(ports) >= passedMost {
			continue
		}
		if text := itoa(int(port)); !slices.Contains(ports, text) && a.own(inode, g.number) {
			if held, _ := holds(members, []uint64{inode}); held {
				ports = append(ports, text)
			}
		}
	}
	return strings.Join(ports, ",:")
}

// own reports whether a socket is none that swapinit has given to generation n.
func (a *adoption) own(inode uint64, n int) bool {
	return !slices.ContainsFunc(a.steering.list(), func(e *endpoint) bool { return e.inode(n) == inode })
}
