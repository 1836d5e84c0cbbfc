package channel

import (
	"bytes"
	"errors"
	"io"
)

// lineMax bounds a line of the child's, in bytes without its newline.
const lineMax = 64 << 10

var errTooLong = errors.New("a line is longer than 64 KiB")

// lines cuts a stream into lines and holds little more than one of them.
type lines struct {
	r    io.Reader
	buf  []byte // read, and not returned yet
	seen int    // bytes of buf that have no newline
	skip bool   // what is left of a line that was too long comes first
}

// next returns the next line without its newline, valid until it is called
// again. A line that is too long is errTooLong, as soon as that is known, and
// the next call goes on after it. Any other error is the reader's. What follows
// the last newline is no line: its sender died while it wrote.
func (l *lines) next() ([]byte, error) {
	for {
		i := bytes.IndexByte(l.buf[l.seen:], '\n')
		if i >= 0 {
			i += l.seen
			line := l.buf[:i]
			l.buf, l.seen = l.buf[i+1:], 0
			if l.skip {
				l.skip = false
				continue
			}
			if i > lineMax {
				return nil, errTooLong
			}
			return line, nil
		}
		if l.seen = len(l.buf); l.skip || l.seen > lineMax {
			l.buf, l.seen = l.buf[:0], 0
			if !l.skip {
				l.skip = true
				return nil, errTooLong
			}
		}
		if l.seen == 0 && cap(l.buf) > 4<<10 {
			l.buf = nil // an idle channel keeps no long buffer
		}
		if cap(l.buf)-l.seen < 512 {
			l.buf = append(make([]byte, 0, 2*l.seen+1024), l.buf...)
		}
		n, err := l.r.Read(l.buf[l.seen:cap(l.buf)])
		l.buf = l.buf[:l.seen+n]
		if err != nil && n == 0 {
			return nil, err
		}
	}
}
