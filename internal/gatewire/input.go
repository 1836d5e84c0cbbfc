package gatewire

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// input cuts the stream into lines, and finds the descriptors of each: those that came
// when its first byte did.
type input struct {
	room []byte // what buf is part of
	buf  []byte // read, and not returned yet
	seen int    // bytes of buf that have no newline
	at   int64  // the place of buf in the stream
	err  error  // the end

	control [controlRoom]byte // for one recvmsg

	mu     sync.Mutex
	parts  []part // that have descriptors which no line has taken; never more than two
	closed bool
}

// controlRoom is that of MaxFDs descriptors, cmsg(3).
const controlRoom = (16 + 4*MaxFDs + 7) &^ 7

// part is what one recvmsg(2) has read. Where in it the descriptors belong the kernel
// does not tell.
type part struct {
	from, to int64
	fds      []int
}

// line returns the next line without its newline, valid until the next call, and its
// place in the stream.
func (in *input) line(receive func(p, control []byte) (n, controls int, err error)) (line []byte, start int64, err error) {
	for {
		if i := bytes.IndexByte(in.buf[in.seen:], '\n'); i >= 0 {
			i += in.seen
			line, start = in.buf[:i], in.at
			in.buf, in.seen, in.at = in.buf[i+1:], 0, in.at+int64(i)+1
			if i > MaxLine {
				return nil, 0, errTooLong
			}
			return line, start, nil
		}
		if in.seen = len(in.buf); in.seen > MaxLine {
			return nil, 0, errTooLong
		}
		in.makeRoom()
		n, controls, err := receive(in.buf[in.seen:cap(in.buf)], in.control[:])
		fds, wrong := descriptors(in.control[:controls])
		in.buf = in.buf[:in.seen+n]
		if len(fds) > 0 {
			if err == nil {
				err = wrong
			}
			err = in.keep(fds, n, err)
		}
		switch {
		case err != nil:
			return nil, 0, err
		case wrong != nil:
			return nil, 0, wrong
		case n == 0:
			return nil, 0, io.EOF
		}
	}
}

const errTooLong = text.Fault("cannot read message: more than 65536 bytes in a line") // MaxLine

// makeRoom has room for more behind buf. While nothing is there only a little is kept.
func (in *input) makeRoom() {
	if in.seen == 0 && len(in.room) > 4<<10 {
		in.room, in.buf = nil, nil
	}
	if cap(in.buf)-in.seen < 512 {
		if 2*in.seen+512 > len(in.room) {
			in.room = make([]byte, 2*in.seen+1024)
		}
		in.buf = in.room[:copy(in.room, in.buf)]
	}
}

// keep takes over the fds that came with the last n bytes of buf; after an error none.
func (in *input) keep(fds []int, n int, err error) error {
	p := part{from: in.at + int64(in.seen), to: in.at + int64(in.seen+n), fds: fds}
	begins := in.seen == 0 || n > 0 && bytes.IndexByte(in.buf[in.seen:in.seen+n-1], '\n') >= 0
	in.mu.Lock()
	switch {
	case err != nil:
	case in.closed:
		err = io.EOF
	case !begins:
		err = errors.New("cannot read message: descriptors came in the middle of a line")
	default:
		in.parts = append(in.parts, p)
		fds = nil
	}
	in.mu.Unlock()
	closeAll(fds)
	return err
}

// take returns the n descriptors of the line at start, which was the last one.
func (in *input) take(start int64, n int) (fds []int, err error) {
	none, left := false, false
	in.mu.Lock()
	if n > 0 {
		none = len(in.parts) == 0 || start < in.parts[0].from || start >= in.parts[0].to
		if !none {
			fds, in.parts = in.parts[0].fds, in.parts[1:]
		}
	}
	left = len(in.parts) > 0 && in.parts[0].to <= in.at
	in.mu.Unlock()
	why := ""
	switch {
	case none:
		why = "fds is " + strconv.Itoa(n) + ", and none came"
	case len(fds) != n:
		why = "fds is " + strconv.Itoa(n) + ", and " + strconv.Itoa(len(fds)) + " came"
	case left:
		why = "descriptors came, and fds is not there"
	default:
		return fds, nil
	}
	closeAll(fds)
	return nil, errors.New("cannot read message: " + why)
}

// close closes what no line has taken, and what is still to come.
func (in *input) close() {
	in.mu.Lock()
	in.closed = true
	for _, p := range in.parts {
		closeAll(p.fds)
	}
	in.parts = nil
	in.mu.Unlock()
}

// descriptors finds those in control data, and moves them above 2, where none is taken
// for a standard stream. After an error some may be there.
func descriptors(control []byte) (fds []int, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	list, err := syscall.ParseSocketControlMessage(control)
	for _, m := range list {
		rights, wrong := syscall.ParseUnixRights(&m)
		if wrong != nil {
			err = wrong
			continue
		}
		for _, fd := range rights {
			if fd <= 2 {
				above, wrong := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
				syscall.Close(fd)
				if wrong != nil {
					err = wrong
					continue
				}
				fd = above
			}
			fds = append(fds, fd)
		}
	}
	return fds, err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}
