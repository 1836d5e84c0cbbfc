package listen

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// whole is all connections, in the unit of Aim and Share.
const whole = shares.Full

// Paths is an own unix endpoint. As a group it has a socket for each
// generation. The first one is bound at the path; a later one at a hidden name
// beside it, and put at the path by Aim, atomically: a connect finds the one or
// the other. What was at the path before keeps its hidden link, so that Aim can
// go back.
//
// It owns its sockets until Leave or Close; the numbers that Socket and FDs
// return are lent until then. Its methods may be called from any goroutine.
type Paths struct {
	mu      sync.Mutex
	spec    *Spec
	set     *Set      // for its guard only, which needs no lock of the Set's
	groups  bool      // Options.UnixGroups; without it there is one socket, whatever the generation
	members []*member // oldest first
	aimed   *member   // whose inode is, or is to be, at the path; nil after Close
	reason  string    // why the latest generation shares a socket
	shared  bool      // SetShared
}

// openPaths opens an own unix endpoint. Its path may be what a killed
// predecessor left behind (a socket that refuses connections); anything else
// that is in the way is an error.
func openPaths(spec *Spec, set *Set, groups bool) (*Paths, error) {
	spare := spareName(spec.Path)
	err := removeStale(spec.Path)
	if err == nil {
		// The spare is looked at too: it is alive while another swapinit that has
		// just lost the path is about to take it back.
		err = removeStale(spare)
	}
	if err == nil {
		err = clearHidden(spare)
	}
	var first *member
	if err == nil {
		first, err = newMember(spec, spec.Path, spare, nil)
	}
	if err != nil {
		return nil, unixHint(spec, err)
	}
	p := &Paths{spec: spec, set: set, groups: groups, members: []*member{first}, aimed: first}
	if err := p.possible(2); err != nil {
		p.reason = err.Error()
	}
	return p, nil
}

// of is generation n's socket, or nil. The caller holds the mutex.
func (p *Paths) of(n int) *member {
	for _, m := range p.members {
		for _, generation := range m.generations {
			if generation == n {
				return m
			}
		}
	}
	return nil
}

// Socket is what generation n has: the descriptor, lent, and its inode.
func (p *Paths) Socket(n int) (fd int, inode uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.of(n)
	if m == nil {
		return -1, 0, false
	}
	return m.fd, m.inode, true
}

// FDs are those of all sockets, the oldest first.
func (p *Paths) FDs() (list []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		list = append(list, m.fd)
	}
	return list
}

// Add gives generation n a socket: a new one that gets no connection yet, or
// that at the path where its generation has left. Where no new one can be made
// n shares that at the path, and Reason says why. An error means closed.
func (p *Paths) Add(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.aimed == nil:
		return errors.New("cannot add a socket to " + p.spec.Path + ": it is closed")
	case p.of(n) != nil:
		return nil
	case !p.shared && len(p.aimed.generations) > 0:
		m, err := p.another(n)
		if err == nil {
			m.generations = []int{n}
			p.members = append(p.members, m)
			p.reason = ""
			// What cannot be watched is looked at when a generation ends.
			_ = m.watch(p.set.guard.Load())
			return nil
		}
		p.reason = err.Error()
	}
	p.aimed.generations = append(p.aimed.generations, n)
	return nil
}

// another makes a socket for generation n, with the owner and the mode that
// the one at the path has now: a server may have changed them.
func (p *Paths) another(n int) (*member, error) {
	if err := p.possible(n); err != nil {
		return nil, err
	}
	hidden := p.hidden(n)
	var like *syscall.Stat_t
	var stat syscall.Stat_t
	if syscall.Lstat(p.aimed.file.spare, &stat) == nil && stat.Ino == p.aimed.file.ino {
		like = &stat
	}
	err := removeStale(hidden)
	var m *member
	if err == nil {
		m, err = newMember(p.spec, hidden, hidden, like)
	}
	return m, unixHint(p.spec, err)
}

func (p *Paths) hidden(n int) string { return spareName(p.spec.Path) + "." + strconv.Itoa(n) }

// possible says why generation n can have no socket of its own, if the path
// or its directory is the reason.
func (p *Paths) possible(n int) error {
	if size := len(p.hidden(n)); size > maxPath {
		return errors.New("the hidden name " + p.hidden(n) + " would have " + strconv.Itoa(size) + " bytes, the kernel accepts 107: use a shorter path")
	}
	file := &p.aimed.file
	if file.spareErr != nil {
		file.back() // it may have been a passing trouble
	}
	if file.spareErr != nil {
		return fmt.Errorf("its path can have no second link: %w", file.spareErr)
	}
	return nil
}

// Aim leads the path to generation to. A path cannot be divided: with a share
// of less than 10000 it leads to generation rest.
func (p *Paths) Aim(to, rest, share int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if share < whole {
		to = rest
	}
	m := p.of(to)
	var err error
	switch {
	case m == nil:
		err = errors.New("it has no socket")
	case m == p.aimed:
		return nil
	case isShut(m.fd):
		err = errors.New("a process shut its socket down, and it cannot listen again: start another generation")
	case !m.file.leads(m.file.spare):
		err = errors.New("a process removed " + m.file.spare + ": start another generation")
	default:
		err = m.file.put()
	}
	if err != nil {
		return fmt.Errorf("cannot lead %s to generation %d: %w", p.spec.Path, to, unixHint(p.spec, err))
	}
	before := p.aimed
	p.aimed = m
	if len(before.generations) == 0 {
		p.drop(before)
	}
	return nil
}

// Leave: generation n has no process any more. Its socket is closed, and what
// waits in it is reset, unless the path leads there: then it stays, until Aim
// leads the path elsewhere or Add hands it on.
func (p *Paths) Leave(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.of(n)
	if m == nil {
		return
	}
	for i, generation := range m.generations {
		if generation == n {
			m.generations = append(m.generations[:i], m.generations[i+1:]...)
			break
		}
	}
	if len(m.generations) == 0 && m != p.aimed {
		p.drop(m)
	}
}

// drop ends a socket that the path does not lead to.
func (p *Paths) drop(m *member) {
	for i := range p.members {
		if p.members[i] == m {
			p.members = append(p.members[:i], p.members[i+1:]...)
			break
		}
	}
	p.set.Unwatch(m.fd)
	if m.file.leads(m.file.spare) {
		_ = syscall.Unlink(m.file.spare)
	}
	// A stray process may hold it, and then the queue would outlive our close.
	// Once it is shut down nothing joins the queue, and accept(2) never waits.
	_ = unix.Shutdown(m.fd, unix.SHUT_RD)
	for range p.spec.Backlog {
		conn, _, err := unix.Accept4(m.fd, unix.SOCK_CLOEXEC)
		if err != nil {
			break
		}
		_ = syscall.Close(conn)
	}
	_ = syscall.Close(m.fd)
}

// Share is generation n's part of the new connections in 1/10000; ok is false
// where it shares its socket or has none.
func (p *Paths) Share(n int) (share int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.of(n)
	if m == nil || p.reason != "" || len(m.generations) > 1 {
		return 0, false
	}
	if m == p.aimed {
		share = whole
	}
	return share, true
}

// Reason is why generations share a socket, "" if each has its own.
func (p *Paths) Reason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// SetShared makes all generations share the socket that is at the path, from
// the next Add on.
func (p *Paths) SetShared(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared, p.reason = true, reason
}

// Close unlinks what is ours and closes all sockets. A generation that still
// holds one keeps it.
func (p *Paths) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		m.file.remove()
		_ = syscall.Close(m.fd) // EINTR or not, Linux has released it
	}
	p.members, p.aimed = nil, nil
}

// Join gives generation n the socket at the path.
func (p *Paths) Join(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aimed != nil && p.of(n) == nil {
		p.aimed.generations = append(p.aimed.generations, n)
	}
}
