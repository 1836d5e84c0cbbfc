package watch

import (
	"errors"
	"os"
	"syscall"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/folder"
	"golang.org/x/sys/unix"
)

const (
	depthMax   = 8     // levels of a directory
	entriesMax = 10000 // of a watched path
)

// state is what a path is like. The zero state is that of one that is not there.
type state struct {
	real  string // without symbolic links
	ino   uint64
	ctime int64  // ns
	sum   uint64 // of what is in it
}

func (s state) same(o state) bool {
	return s.real == o.real && s.sum == o.sum && (s.ino == o.ino || s.ctime == o.ctime)
}

// look is one look at everything.
type look struct {
	old, sums map[stamp]uint64
	left      int   // entries that may still be looked at
	err       error // why something could not be seen
	buf       []byte
}

// at looks at one path; ok is false when it could not.
func (l *look) at(name string) (s state, ok bool) {
	l.left, l.err = entriesMax, nil
	var st unix.Stat_t
	real, err := file.Real(name)
	if err == nil {
		err = unix.Lstat(real, &st)
	}
	if err != nil {
		return state{}, errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	}
	s = state{real: real, ino: st.Ino, ctime: st.Ctim.Nano(), sum: l.sum(real, &st, 0)}
	return s, l.err == nil
}

// sum is that of what name has in it, st being its status.
func (l *look) sum(name string, st *unix.Stat_t, depth int) uint64 {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return l.content(name, st)
	case unix.S_IFLNK:
		to, err := os.Readlink(name)
		l.note(err)
		var sum uint64
		var target unix.Stat_t
		if err = unix.Stat(name, &target); err == nil && target.Mode&unix.S_IFMT == unix.S_IFREG {
			sum = l.content(name, &target)
		}
		l.note(err)
		return hash(sum, 0, to)
	case unix.S_IFDIR:
		if depth < depthMax {
			return l.dir(name, depth+1)
		}
	}
	return 0
}

// dir adds up its entries, in whatever order the file system has them.
func (l *look) dir(name string, depth int) (sum uint64) {
	if l.left == 0 {
		return 0
	}
	var names []string
	l.note(folder.Each(name, func(n string) bool { names = append(names, n); return len(names) < l.left }))
	l.left -= len(names)
	for _, n := range names {
		path := name + "/" + n
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			l.note(err)
			continue
		}
		kind := st.Mode & unix.S_IFMT
		switch kind {
		case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
			sum += hash(l.sum(path, &st, depth), uint64(kind), n)
		}
	}
	return sum
}

// note keeps an error that makes the look worthless. What has just gone the
// next look will miss; a lack of rights and a circle of links last.
func (l *look) note(err error) {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return
	}
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.EPERM, unix.ENXIO, unix.ELOOP:
		return
	}
	l.err = err
}
