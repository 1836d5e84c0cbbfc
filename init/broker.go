package pid1

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/adopt"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// broker is adoption for one worker: an adopt.Broker.
type broker struct {
	*adoption
	w     *worker
	given int // how many descriptors from 3 on it was started with
	said  int // lines about binds that failed
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
	b.fetch(bind)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gens[b.w.g.number] == nil { // it has ended, a process that it left behind has not
		return -1, unix.EADDRINUSE
	}
	e, err := b.choose(bind)
	if err != nil {
		b.failed(err.Error())
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
		b.failed("cannot give it a socket for " + bind.At.String() + ": " + err.Error())
		return -1, 0
	}
	if e.tcp != nil {
		_ = e.tcp.Wake()
		b.absorb(bind, e)
	}
	return fd, 0
}

// fetch has a gate give the socket that the bind is to be answered with, before the mutex
// is held, for which the loop may wait. Errors come again when it is asked for.
func (b *broker) fetch(bind adopt.Bind) {
	e := b.find(bind.At)
	if e == nil || e.remote == nil {
		return
	}
	if _, ok := e.Spec.Twin(); ok && e.Addr.Addr().Is4() != bind.At.Addr().Is4() {
		if twin, err := e.remote.Twin(); err == nil {
			_ = twin.Add(b.w.g.number, b.w.g.together)
		}
		return
	}
	_ = e.moves.Add(b.w.g.number, b.w.g.together)
}

// failed tells why a bind could not be answered, a limited number of times: a server may
// try again for ever.
func (b *broker) failed(why string) {
	b.note(b.w, why)
	if b.said < passedMost {
		b.said++
		b.warn("adopt.failed", b.w.named()+": "+why, b.w.g.number, b.w.pid())
	}
}

// absorb ends the twin of e, which has lost its last server, before one of both families
// has e: it would go on taking the connections of IPv4.
func (b *broker) absorb(bind adopt.Bind, e *endpoint) {
	twin := e.twin.Load()
	if twin == nil || bind.Only6 {
		return
	}
	if !b.bound(twin) {
		b.part(twin)
		e.twin.Store(nil)
	}
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
		return e, b.leaves(bind, e)
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
		// Who has bound nothing may use the socket with which it was started: a predecessor,
		// as it need not say that it is ready, and a successor that has said so.
		started := len(other.sockets) == 0 && (n < b.w.g.number || other.ready != nil)
		if n != b.w.g.number && (other.sockets[e] || started) {
			return nil, apart(bind, n, e)
		}
	}
	if e.remote != nil {
		return b.joinRemote(spec, e)
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

// leaves is why a server cannot have the socket of e, which is for both families or for
// IPv6: another generation has that of e's twin, and keeps the connections of IPv4. One
// that has a socket of each may.
func (b *broker) leaves(bind adopt.Bind, e *endpoint) error {
	twin := e.twin.Load()
	if twin == nil || bind.Only6 {
		return nil
	}
	mine := b.gens[b.w.g.number]
	for n, other := range b.gens {
		if n != b.w.g.number && other.sockets[twin] && !(mine != nil && mine.sockets[twin]) {
			return apart(bind, n, twin)
		}
	}
	return nil
}

// apart says that the traffic of e, which generation n has, cannot be moved.
func apart(bind adopt.Bind, n int, e *endpoint) error {
	return text.Errorf("it binds %s, while %s listens on %s: the sockets are of different families, between which no traffic can be moved; "+
		"SWAPINIT_STRATEGY=replace stops the predecessor first", bind.At.String(), named(n), e.Address)
}

// open binds a socket to an address that only the server has named. It is no endpoint
// before the server listens.
func (b *broker) open(bind adopt.Bind) (fd int, errno unix.Errno) {
	port := bind.At.Port()
	if !b.wish.Has(port) || b.find(bind.At) != nil || !mayBind(bind.Pid, port) {
		return -1, 0
	}
	u := &unused{spec: listen.Of(bind.At, bind.Only6), n: b.w.g.number}
	for _, other := range b.fresh { // of SO_REUSEPORT workers, none of which listens yet
		if other.n == u.n && other.spec.Addr == u.spec.Addr && other.spec.Network == u.spec.Network {
			fd, err := unix.FcntlInt(uintptr(other.fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return -1, 0
			}
			return fd, 0
		}
	}
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
	b.fresh[inode] = u
	time.AfterFunc(heldFor, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.fresh[inode] == u {
			delete(b.fresh, inode)
			_ = syscall.Close(u.fd)
		}
	})
	return fd, 0
}

// lent lists the TCP ports of the gate, if one was joined.
func (a *adoption) lent() (ports []int, joined bool) {
	for _, e := range a.steering.list() {
		joined = joined || e.remote != nil
		if port := int(e.Addr.Port()); e.remote != nil && e.IsTCP() && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, joined
}

// mayBind reports whether the kernel would let the task bind to the port: a socket of
// ours is not to get a server what it may not have, ip(7).
func mayBind(pid int, port uint16) bool {
	text, err := file.Read("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	least, failed := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || failed != nil {
		least = 1024
	}
	if int(port) >= least {
		return true
	}
	status, _ := file.Read("/proc/" + itoa(pid) + "/status")
	effective, err := strconv.ParseUint(procnet.Field(string(status), "CapEff"), 16, 64)
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
	e := &endpoint{Endpoint: set.Join(spec, tcp), joined: true, of: of, tcp: local{tcp}}
	b.steering.steer(e, tcp)
	e.obey(b.steering.probe())
	b.steering.add(e)
	return e, nil
}

// joinRemote is join for the twin of an endpoint that a gate has.
func (b *adoption) joinRemote(spec listen.Spec, of *endpoint) (*endpoint, error) {
	group, err := of.remote.Twin()
	if err != nil {
		return nil, err
	}
	e := &endpoint{Endpoint: b.endpoints().Join(spec, group), joined: true, of: of, tcp: group, remote: group}
	b.steering.steer(e, group)
	b.steering.add(e)
	of.twin.Store(e)
	return e, nil
}

func (b *broker) Held(inode uint64) bool { return b.held(b.w.g, inode, b.given) }

// Bound counts for an endpoint, which listens already. A server that closes all that it
// was given, as daemons do, gets the socket under one of those numbers: there it has it.
func (b *broker) Bound(bind adopt.Bind, inode uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bind.FD >= 3 {
		b.given = min(b.given, bind.FD-3)
	}
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
	b.steering.own(b.w.g)
	b.debug("adopted", b.w.named()+" has bound "+e.Address+", with a socket of swapinit's", b.w.g.number, b.w.pid())
	b.w.bindOnce.Do(func() { close(b.w.bound) })
	b.look(e, b.w.g, inode, b.given)
	time.AfterFunc(heldFor, b.tidy)
}

func (b *broker) Listens(inode uint64, backlog int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u := b.fresh[inode]; u != nil {
		delete(b.fresh, inode)
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

func (b *broker) Blind(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gens[b.w.g.number]; g != nil {
		g.blind = why
	}
}

func (b *broker) Passed(address, why string, alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gens[b.w.g.number]
	if g == nil || len(g.passed) >= passedMost || slices.ContainsFunc(g.passed, func(p passed) bool { return p.Address == address && p.Why == why }) {
		return
	}
	p, do := passed{Passed: doctor.Passed{Address: address, Why: why}, alone: alone}, ""
	if why == adopt.NoEndpoint {
		do, p.Set = ": "+doctor.NameIt, doctor.NameIt+"; "+doctor.StopsFirst
		if ports, joined := b.lent(); joined {
			p.Set = doctor.OfTheGate(ports)
			do = ": " + p.Set
		}
	}
	g.passed = append(g.passed, p)
	text := b.w.named() + " has " + address + " for itself: " + why + do
	if alone {
		text += "; a successor cannot have it beside it"
	}
	b.info("adopt.passed", text, b.w.g.number, b.w.pid())
}
