package watch

import (
	"hash/fnv"
	"io"
	"os"
	"time"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

const (
	// contentMax is up to what size files are read, in bytes.
	contentMax = 64 << 20
	// fresh: what was written that shortly ago can be written again without
	// any of its times being changed, as clocks of file systems tick slowly.
	fresh = 2 * time.Second
)

// stamp stands for a content: when it is the same, that is not read again.
type stamp struct {
	dev, ino           uint64
	size, mtime, ctime int64
}

// content is a file's sum. name may be a link to it.
func (l *look) content(name string, st *unix.Stat_t) uint64 {
	mtime, ctime := st.Mtim.Nano(), st.Ctim.Nano()
	if st.Size > contentMax {
		return hash(hash(st.Ino, uint64(st.Size), ""), uint64(mtime), "")
	}
	key := stamp{st.Dev, st.Ino, st.Size, mtime, ctime}
	sum, ok := l.old[key]
	if !ok {
		age := time.Duration(time.Now().UnixNano() - ctime).Abs()
		if sum, ok = l.read(name); age < fresh {
			ok = false
		}
	}
	if ok {
		l.sums[key] = sum
	}
	return sum
}

// read reads a file; ok is false when it could not.
func (l *look) read(name string) (sum uint64, ok bool) {
	// It may have become a pipe meanwhile, on which a plain open waits.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		l.note(err)
		return 0, false
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false
	}
	if l.buf == nil {
		l.buf = make([]byte, 32<<10)
	}
	h := fnv.New64a() // it has to tell a content from the next one, not to withstand anybody
	for size := 0; size < contentMax; {
		n, err := f.Read(l.buf)
		h.Write(l.buf[:n])
		size += n
		if err == io.EOF {
			break
		}
		if err != nil {
			l.note(err)
			return 0, false
		}
	}
	return h.Sum64(), true
}

// hash is of two numbers and a name.
func hash(a, b uint64, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text.Sprintf("%d %d %s", a, b, name)))
	return h.Sum64()
}
