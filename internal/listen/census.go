package listen

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Observe returns the func that counts generation n's connections: those that
// are open, and of them those that nobody has accepted yet. Nothing tells how
// long a unix connection has been idle, and none is ever half open: these two
// are 0. It is nil where they cannot be told from those of another generation,
// or of another socket that is bound at the same name (in another container
// that has this one's network).
func (p *Paths) Observe(n int) func(idleAfter time.Duration) (open, idle, half, queued int, err error) {
	p.mu.Lock()
	m := p.of(n)
	if m == nil || len(m.generations) > 1 {
		p.mu.Unlock()
		return nil
	}
	bound, inode := m.bound, m.inode
	p.mu.Unlock()
	if _, _, err := census(bound, inode); err == errNamesake {
		return nil
	}
	return func(time.Duration) (open, idle, half, queued int, err error) {
		// Where a socket ends in the middle of a look the kernel may pass over
		// another one: one look at nothing proves nothing.
		for i := 0; i < 2 && open == 0 && err == nil; i++ {
			open, queued, err = census(bound, inode)
		}
		return open, 0, 0, queued, err
	}
}

var errNamesake = errors.New("cannot count connections: another socket listens under the same name")

// census counts the connections of the listener that is bound at name, in
// /proc/net/unix. An accepted socket shows its listener's name, whatever has
// become of the file, and so does one that waits in the queue, which has no
// inode yet:
//
//	Num       RefCount Protocol Flags    Type St Inode Path
//	0000...:  00000002 00000000 00010000 0001 01 73523 /run/a.sock    listens
//	0000...:  00000003 00000000 00000000 0001 03 73541 /run/a.sock    accepted
//	0000...:  00000003 00000000 00000000 0001 02     0 /run/a.sock    waits
func census(name string, inode uint64) (open, queued int, err error) {
	fd, err := syscall.Open("/proc/net/unix", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, errors.New("cannot count connections: /proc/net/unix: " + err.Error())
	}
	defer syscall.Close(fd)
	var buffer [2048]byte // less than the kernel's page, so that lines are cut and the tests see it
	suffix := []byte(" " + name)
	own := strconv.FormatUint(inode, 10)
	held := 0 // the beginning of a line, from the last read
	for {
		n, err := syscall.Read(fd, buffer[held:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return open, queued, err
		}
		text := buffer[:held+n]
		for {
			line, rest, ok := bytes.Cut(text, []byte{'\n'})
			if !ok {
				break
			}
			text = rest
			line, ok = bytes.CutSuffix(line, suffix)
			if !ok {
				continue
			}
			fields := strings.Fields(string(line))
			switch {
			case len(fields) != 7: // the end of a longer name
			case fields[3] == "00010000" && fields[6] != own:
				return 0, 0, errNamesake
			case fields[5] == "03":
				open++
			case fields[5] == "02":
				open++
				queued++
			}
		}
		if held = copy(buffer[:], text); held == len(buffer) {
			held = 0 // no line is that long
		}
	}
}
