package listen

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch has the guard watch a socket and its file. Without a guard it does
// nothing.
func (m *member) watch(g *guard) error {
	if g == nil {
		return nil
	}
	if err := g.add(m.fd); err != nil {
		return err
	}
	name := m.file.spare
	if m.file.spareErr != nil {
		name = m.file.name
	}
	return g.addPath(name)
}

// watch has the guard watch all.
func (p *Paths) watch(g *guard) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if failed := m.watch(g); failed != nil {
			err = failed
		}
	}
	return err
}

// lonely is why the path has no second link, or nil.
func (p *Paths) lonely() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.aimed.file.spareErr
}

// Mend looks at the path and at the socket that it leads to, and repairs what
// a process has harmed: a lost path comes back, a socket that was shut down is
// made anew, as it cannot be revived. Other generations' sockets get no
// connections, and Aim looks at them. It returns what it did, or why it could
// not; neither when all is well.
func (p *Paths) Mend() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.aimed
	if m == nil {
		return "", nil
	}
	if isShut(m.fd) {
		return p.renew("a process shut it down")
	}
	did, err := m.file.restore()
	switch {
	case err == errGone:
		return p.renew("its path was removed with all links")
	case err != nil:
		return "", errors.New("cannot restore its path: " + err.Error())
	case did:
		return "a process removed or replaced its path, restored", nil
	}
	return "", nil
}

// renew puts a new socket in the place of a dead one: at the path, and under
// the old fd number, so that what was lent stays true. Running generations
// keep the dead one, so it is nobody's: connections wait in its queue, and are
// not refused, until Add hands it to the next generation.
func (p *Paths) renew(cause string) (string, error) {
	m := p.aimed
	fresh, err := p.fresh(m)
	if err != nil {
		return "", errors.New(cause + ", cannot make a new socket: " + unixHint(p.spec, err).Error())
	}
	// epoll watches the open file, which lives on in the children: it must be
	// deleted while the fd still means it.
	p.set.Unwatch(m.fd)
	err = unix.Dup3(fresh.fd, m.fd, unix.O_CLOEXEC)
	_ = syscall.Close(fresh.fd)
	if err == nil {
		m.inode, m.file, m.generations = fresh.inode, fresh.file, nil
	}
	watchErr := m.watch(p.set.guard.Load())
	if err != nil {
		return "", errors.New(cause + ", cannot put a new socket into its place: " + err.Error())
	}
	line := cause + ", made a new socket, which only the next generation gets: connections wait until a swap"
	if watchErr != nil {
		line += " (cannot watch it: " + watchErr.Error() + ")"
	}
	return line, nil
}

// fresh makes a socket that is bound as the dead one m is, and at the path.
func (p *Paths) fresh(m *member) (*member, error) {
	if err := replaceable(m.file.name); err != nil {
		return nil, err
	}
	_ = syscall.Unlink(m.bound) // ours, or one that took our path; bind tells if it is still there
	fresh, err := newMember(p.spec, m.bound, m.file.spare, nil)
	if err != nil || m.bound == m.file.name {
		return fresh, err
	}
	if err = fresh.file.put(); err != nil {
		_ = syscall.Unlink(m.bound)
		_ = syscall.Close(fresh.fd)
		return nil, err
	}
	return fresh, nil
}
