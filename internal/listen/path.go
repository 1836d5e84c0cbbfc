package listen

import (
	"errors"
	"strings"
	"syscall"
)

// path is the file of an own unix endpoint, and a second, hidden link to the
// same inode. A connect goes by the inode (unix_find_bsd), so a new link to
// it is as good as the first. That works on ext4, tmpfs and overlayfs; the
// owner may make the link under fs.protected_hardlinks too. Of a group's
// sockets one has the path, and each its own spare.
type path struct {
	name, spare string
	dev, ino    uint64 // of the socket's file, not of the socket
	spareErr    error  // why there is no spare
}

// spareName: hidden beside the path, and the same every time, so that what a
// killed container left on a volume is removed by the next. A generation's
// own socket has the generation's number after it.
func spareName(name string) string {
	base := lastPart(name)
	return strings.TrimSuffix(name, base) + "." + base + ".swapinit"
}

// errGone: no link to the socket is left, and an inode without links cannot
// be linked again (linkat: ENOENT).
var errGone = errors.New("its last link is gone")

// leads tells whether name is a link to our socket. While the socket is open
// its inode number cannot be given to another file.
func (p *path) leads(name string) bool {
	var stat syscall.Stat_t
	return syscall.Lstat(name, &stat) == nil && uint64(stat.Dev) == p.dev && stat.Ino == p.ino
}

// back makes the spare again. Without it a lost path costs a new socket.
func (p *path) back() {
	_ = syscall.Unlink(p.spare)
	p.spareErr = syscall.Link(p.name, p.spare)
	if p.spareErr == nil && !p.leads(p.spare) {
		_ = syscall.Unlink(p.spare) // linked what replaced the path just now
		p.spareErr = syscall.ESTALE
	}
}

// restore puts a lost path back, atomically: whoever connects finds either
// what was there or our socket. It says whether it had to do anything.
func (p *path) restore() (bool, error) {
	if p.leads(p.name) {
		if p.spareErr != nil || p.leads(p.spare) {
			return false, nil
		}
		p.back()
		return true, nil
	}
	if !p.leads(p.spare) {
		return false, errGone
	}
	err := syscall.Link(p.spare, p.name)
	if err == syscall.EEXIST {
		err = p.put()
	}
	return err == nil, err
}

// put makes the path lead to our socket, in the place of another one or of a
// symbolic link. Data is never destroyed: a regular file or a directory stays.
// A link and a rename do it on every file system that has links; exchanging
// the two names (RENAME_EXCHANGE) would save nothing, as whoever loses the path
// keeps its spare.
func (p *path) put() error {
	if err := replaceable(p.name, "socket", "symbolic link"); err != nil {
		return err
	}
	temporary := p.spare + "~"
	_ = syscall.Unlink(temporary)
	if err := syscall.Link(p.spare, temporary); err != nil {
		return err
	}
	err := syscall.Rename(temporary, p.name)
	// Between two links to one inode rename(2) does nothing and says 0.
	_ = syscall.Unlink(temporary)
	return err
}

// remove unlinks those names that are ours.
func (p *path) remove(names ...string) {
	for _, name := range names {
		if p.leads(name) {
			_ = syscall.Unlink(name)
		}
	}
}
